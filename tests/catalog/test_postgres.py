"""The same tasks on PostgreSQL, on a server that these tests start and stop themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

from spheredc_hpc.catalog.models import RawFrame
from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.publish import publish
from spheredc_hpc.catalog.query import list_products
from spheredc_hpc.catalog.rebuild import rebuild
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.catalog.setup import DATABASE_URL, close

pytestmark = pytest.mark.postgres

OWNER = "postgres"


def programs() -> Path | None:
    """Folder of the newest server."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


def run(*command: str | Path) -> None:
    """Run a program of the server, which refuses to be root."""
    prefix = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    subprocess.run(  # noqa: S603 fixed programs
        [*prefix, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/"
    )


@pytest.fixture(scope="module")
def server():
    """URL of the databases of a server of our own, on a socket only."""
    pytest.importorskip("psycopg", reason="PostgreSQL CHECKS DID NOT RUN: no psycopg")
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL CHECKS DID NOT RUN: no server below /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="sdc-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, OWNER)
    try:
        run(binaries / "initdb", "-D", folder / "data", "-U", OWNER, "-A", "trust", "-E", "UTF8")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        control = (binaries / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w")
        run(*control, "-o", options, "start")
        try:
            yield binaries, folder
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(server, request):
    """URL of an empty database."""
    binaries, folder = server
    name = f"t{abs(hash(request.node.name))}"
    run(binaries / "createdb", "-h", folder, "-U", OWNER, name)
    return f"postgres://{OWNER}@{quote(str(folder), safe='')}/{name}"


def test_postgresql_holds_what_sqlite_holds(
    raw, root, config, product, dump, database, monkeypatch
):
    (raw / "bad.fits").touch()
    tables = {}
    for url in ("", database):
        monkeypatch.setenv(DATABASE_URL, url)
        for _ in range(2):  # the second time updates
            scan([raw], root, config)
            plan(root, "first", config, [raw])
            product(root, "observations/x/level1", "level1", "CENTER_ASSUMED")
            publish(root)
        tables[url] = dump()
        close()
    assert tables[""] == tables[database]
    assert all(tables[""].values())


def test_a_catalogue_on_postgresql_is_rebuilt_equal(raw, root, config, dump, database, monkeypatch):
    monkeypatch.setenv(DATABASE_URL, database)
    scan([raw], root, config)
    plan(root, "first", config, [raw])
    before = dump()
    rebuild(root, config)
    assert dump() == before
    assert not (root / "catalogue.sqlite").exists()
    assert list_products(root)["observations"][0]["status"] == "planned"


def test_headers_that_postgresql_refuses_are_stored(
    root, config, raw_file, tmp_path, database, monkeypatch
):
    monkeypatch.setenv(DATABASE_URL, database)
    path = raw_file(tmp_path / "raw", "DARK", 57647.0, INS4_TEMP=1e300, INS4_NOTE="a~b")
    path.write_bytes(path.read_bytes().replace(b"1E+300", b"1E+999").replace(b"a~b", b"a\x00b"))
    scan([path], root, config)
    assert RawFrame.objects.count() == 1
