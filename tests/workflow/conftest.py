"""A small simulated night, made once per session, and quick settings for it."""

from __future__ import annotations

import pytest

from spheredc_hpc import cli
from spheredc_hpc.simulate import load_scenario, simulate_irdis

QUICK = """
level2:
  pca-adi:
    algorithm: pca
    imaging: {outer_mas: 800.0, throughput_branches: 1}
    settings: {n_modes: 1}
"""


@pytest.fixture(scope="session")
def small_night(tmp_path_factory):
    """Raw files of full-size planes, few of them; link or copy them, do not change them."""
    raw = tmp_path_factory.mktemp("small_night") / "raw"
    simulate_irdis(load_scenario("first-light-small"), raw)
    return raw


@pytest.fixture(scope="session")
def quick_config(tmp_path_factory):
    """One recipe in a small field."""
    path = tmp_path_factory.mktemp("config") / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture
def link_night(small_night):
    """Give a function that links the night's files into a folder, those of some classes only."""
    from astropy.io import fits

    def link(folder, *, without=(), only=None):
        folder.mkdir()
        for path in sorted(small_night.glob("SPHER.*.fits")):
            dpr_type = fits.getheader(path).get("ESO DPR TYPE", "")
            if dpr_type in without or (only is not None and dpr_type not in only):
                continue
            (folder / path.name).symlink_to(path)
        return folder

    return link


@pytest.fixture
def reduce(quick_config, capsys):
    """Give a function that runs `spheredc reduce` in this process: code, output, errors."""

    def run(raw, root, *words, config=quick_config):
        words = [raw, "--root", root, "--config", config, "--quiet", *words]
        code = cli.run(["reduce", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
