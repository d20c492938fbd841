"""A step skips what is current and remembers what failed for good."""

from __future__ import annotations

import pytest

from spheredc_hpc.errors import ConfigError, DataError, ResourceError
from spheredc_hpc.model.product import InputRef
from spheredc_hpc.model.provenance import PRODUCT_VERSIONS
from spheredc_hpc.steps.guard import failure_path, make
from spheredc_hpc.steps.layout import split_product
from spheredc_hpc.store.receipt import Draft


@pytest.fixture
def target(tmp_path):
    return tmp_path / "root" / "observations" / "o" / "level1"


def draft(digest="a"):
    inputs = (InputRef("OBJECT", "SPHER.x", digest),)
    return Draft("level1", "observations/o/level1", inputs, {}, "s")


class Build:
    def __init__(self, error=None):
        self.calls = 0
        self.error = error

    def __call__(self, writer):
        self.calls += 1
        if self.error:
            raise self.error
        (writer.path / "cube").write_text("data")


def test_a_current_product_is_not_made_again(target):
    build = Build()
    make(target, draft(), build)
    make(target, draft(), build)
    assert build.calls == 1
    make(target, draft("b"), build)
    assert build.calls == 2


def test_a_damaged_product_is_made_again(target):
    build = Build()
    make(target, draft(), build)
    (target / "cube").write_text("DATA")
    make(target, draft(), build)
    assert build.calls == 2


@pytest.mark.parametrize("error", [DataError("bad frame"), ConfigError("bad value")])
def test_what_failed_for_good_fails_at_once_with_equal_inputs(target, error):
    build = Build(error)
    with pytest.raises(type(error), match="bad"):
        make(target, draft(), build)
    with pytest.raises(type(error), match="failed before with equal inputs"):
        make(target, draft(), build)
    assert build.calls == 1
    with pytest.raises(type(error)):
        make(target, draft("b"), build)
    assert build.calls == 2


def test_mended_software_tries_again(target, monkeypatch):
    build = Build(DataError("bad frame"))
    with pytest.raises(DataError):
        make(target, draft(), build)
    monkeypatch.setitem(PRODUCT_VERSIONS, "level1", PRODUCT_VERSIONS["level1"] + 1)
    build.error = None
    make(target, draft(), build)
    assert build.calls == 2


def test_a_lack_of_resources_is_not_remembered(target):
    build = Build(ResourceError("no memory"))
    for _ in range(2):
        with pytest.raises(ResourceError):
            make(target, draft(), build)
    assert build.calls == 2


def test_success_clears_the_record(target):
    with pytest.raises(DataError):
        make(target, draft(), Build(DataError("x")))
    root, product_id = split_product(target)
    assert failure_path(root, product_id).is_file()
    make(target, draft("b"), Build())
    assert not failure_path(root, product_id).exists()


def test_the_root_is_found_from_the_product(tmp_path):
    root, product = split_product(tmp_path / "r" / "observations" / "o" / "level2" / "pca")
    assert (root, product) == (tmp_path / "r", "observations/o/level2/pca")
    with pytest.raises(ConfigError, match="not below"):
        split_product(tmp_path / "elsewhere")
