"""Open the catalogue of a result root: settings in code, schema brought up to date."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dj_database_url
import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from spheredc_hpc.errors import ConfigError, ExternalError, ResourceError, SphereDCError

APP = "spheredc_hpc.catalog"
LABEL = "catalog"
DATABASE_URL = "SPHEREDC_DATABASE_URL"
SQLITE_FILE = "catalogue.sqlite"
SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 60,  # seconds that a writer waits for another one
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
DEFAULT = "default"

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Make Django ready without a database; settings made elsewhere are left alone."""
    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=[APP],
            DATABASES={DEFAULT: {"ENGINE": "django.db.backends.dummy"}},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            USE_TZ=True,
            LOGGING_CONFIG=None,
        )
    django.setup()


def setup(root: Path, *, create: bool = True) -> None:
    """Open the catalogue of `root`, create it if it is not there, bring its tables up to date.

    The database is ``<root>/catalogue.sqlite``, or what SPHEREDC_DATABASE_URL names.

    Parameters
    ----------
    root : Path
        Result root.
    create : bool
        Make the root if it does not exist; otherwise that is an error.

    Raises
    ------
    ConfigError
        If the root does not exist, the URL is wrong or a newer version wrote the catalogue.
    ResourceError
        If the root cannot be written.
    ExternalError
        If the database server does not answer.
    """
    root = root.absolute()
    if not create and not root.is_dir():
        raise ConfigError(f"result root {root} does not exist")
    _check_writable(root)
    connect(root)
    with database_errors():
        _migrate()


def database_settings(root: Path) -> dict[str, Any]:
    """Give the Django settings of the database of `root`."""
    url = os.environ.get(DATABASE_URL, "")
    if not url:
        return {"ENGINE": SQLITE, "NAME": str(root / SQLITE_FILE), "OPTIONS": SQLITE_OPTIONS}
    try:
        parsed = dict(dj_database_url.parse(url))
    except ValueError as error:
        raise ConfigError(f"{DATABASE_URL}: {error}") from error
    if parsed["ENGINE"] == SQLITE:
        return {**parsed, "OPTIONS": SQLITE_OPTIONS}
    if parsed["ENGINE"] != POSTGRESQL:
        raise ConfigError(f"{DATABASE_URL}: {parsed['ENGINE']}; expected postgres:// or sqlite://")
    return parsed


def close() -> None:
    """Close the connection to the database."""
    connections[DEFAULT].close()


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what a database says into errors of the project."""
    try:
        yield
    except ImproperlyConfigured as error:
        raise ConfigError(f"database: {error} (PostgreSQL needs the extra `postgres`)") from error
    except (OperationalError, InterfaceError) as error:
        raise _database_error(error) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a wrong statement is a bug, not a circumstance
            raise
        raise _database_error(error) from error


def check_answer(root: Path) -> None:
    """Open the database of `root` and close it again; its tables are left alone.

    Raises
    ------
    ConfigError, ResourceError, ExternalError
        As `setup`.
    """
    connect(root)
    with database_errors():
        connections[DEFAULT].ensure_connection()
    close()


def _database_error(error: Exception) -> SphereDCError:
    name = connections.settings[DEFAULT]["NAME"]
    if connections[DEFAULT].vendor == "sqlite":
        return ResourceError(f"catalogue {name}: {error}")
    return ExternalError(f"database {name}: {str(error).strip()}")


def _check_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise ResourceError(f"result root {root} cannot be written: {error.strerror}") from error


def connect(root: Path) -> None:
    """Point Django to the database of `root`, without opening it."""
    database = database_settings(root.absolute())
    known = connections.settings[DEFAULT]
    if all(known.get(name) == value for name, value in database.items()):
        return
    connections[DEFAULT].close()
    connections.settings = connections.configure_settings({DEFAULT: database})
    del connections[DEFAULT]


def _migrate() -> None:
    """Apply migrations that the database lacks."""
    executor = MigrationExecutor(connections[DEFAULT])
    known = {key for key in executor.loader.disk_migrations if key[0] == LABEL}
    applied = {key for key in executor.loader.applied_migrations if key[0] == LABEL}
    if applied - known:
        newer = ", ".join(sorted(name for _, name in applied - known))
        raise ConfigError(f"the catalogue was written by a newer version (migration {newer})")
    if known - applied:
        call_command("migrate", verbosity=0, interactive=False)
        logger.info("catalogue: applied %s", ", ".join(sorted(n for _, n in known - applied)))
