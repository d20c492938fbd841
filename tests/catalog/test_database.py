import subprocess
import sys

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.utils import IntegrityError

from spheredc_hpc.catalog.models import Observation, PlanEntry, RawFrame, RawHeader
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.publish import publish
from spheredc_hpc.catalog.rebuild import rebuild
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.catalog.setup import DATABASE_URL, setup
from spheredc_hpc.errors import ConfigError, ExternalError

LEVEL1 = "observations/x/level1"


def test_no_migration_is_missing(root):
    setup(root)
    call_command("makemigrations", "catalog", check=True, dry_run=True, verbosity=0)


def test_the_catalogue_lies_in_its_root_and_is_written_ahead(root):
    setup(root)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone() == (60_000,)
    assert (root / "catalogue.sqlite").is_file()


def test_every_root_has_its_own_catalogue(tmp_path, raw, config, dump):
    scan([raw], tmp_path / "a", config)
    setup(tmp_path / "b")
    assert not any(dump().values())
    setup(tmp_path / "a")
    assert len(dump()["RawFrame"]) == 13


def test_a_catalogue_of_a_newer_version_is_refused(root):
    setup(root)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('catalog', '0999_future', '2030-01-01')"
        )
    with pytest.raises(ConfigError, match=r"newer version \(migration 0999_future\)"):
        setup(root)


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b"])
def test_a_wrong_database_url_is_said(root, monkeypatch, url):
    monkeypatch.setenv(DATABASE_URL, url)
    with pytest.raises(ConfigError, match=DATABASE_URL):
        setup(root)


def test_a_server_that_does_not_answer_is_said(root, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setenv(DATABASE_URL, "postgres://nobody@127.0.0.1:1/nothing")
    with pytest.raises(ExternalError, match="database nothing") as error:
        setup(root)
    assert error.value.exit_code == 5


def test_the_database_is_rebuilt_equal_from_headers_and_receipts(raw, root, config, product, dump):
    (raw / "bad.fits").touch()
    scan([raw], root, config)
    plan(root, "first", config, [raw])
    plan(root, "all", config)
    product(root, LEVEL1, "level1", "CENTER_ASSUMED")
    publish(root)
    before = dump()
    assert all(before.values()), {name for name, rows in before.items() if not rows}
    (root / "catalogue.sqlite").write_bytes(b"no database")
    rebuild(root, config)
    assert dump() == before


def test_constraints_hold(root):
    setup(root)
    Observation(id="x", night="n", arm="IRDIS", n_frames=1).save()
    with pytest.raises(IntegrityError):
        PlanEntry(plan="p", observation_id="x", status="odd", association="a").save()


def test_a_query_of_frames_uses_an_index(root):
    setup(root)
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN QUERY PLAN SELECT path FROM catalog_rawframe"
            " WHERE night = 'n' AND arm = 'IRDIS' AND frame_class = 'DARK'"
        )
        assert "raw_frame_night" in str(cursor.fetchall())


def test_values_that_databases_refuse_are_replaced():
    assert clean("a\x00b") == "ab"
    assert clean(float("nan")) is None
    assert clean({"x": [float("inf"), 10**30]}) == {"x": ["inf", 2**63 - 1]}
    assert clean("\udcff") == "\\udcff"


def test_steps_and_science_never_load_django():
    code = (
        "import sys, spheredc_hpc.steps.guard, spheredc_hpc.association.engine;"
        "sys.exit('django' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603 fixed code
    assert run.returncode == 0


def test_headers_of_an_older_catalogue_are_read_again(raw, root, config):
    scan([raw], root, config)
    call_command("migrate", "catalog", "0001", verbosity=0)
    RawFrame.objects.update(scanner="of before")
    setup(root)
    assert not RawHeader.objects.exists()
    summary = scan([raw], root, config)
    assert summary.n_read == summary.n_frames > 0
    for header in RawHeader.objects.select_related("raw_frame"):
        assert header.cards["ESO DPR TYPE"] == header.raw_frame.dpr_type
    assert RawHeader.objects.count() == summary.n_frames
