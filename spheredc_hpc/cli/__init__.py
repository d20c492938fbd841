"""The command `spheredc`: one module per verb, found by name, imported when it is asked for."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

import typer

from spheredc_hpc.errors import ResourceError, SphereDCError
from spheredc_hpc.log import configure_logging

logger = logging.getLogger(__name__)

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)


def verb_names() -> list[str]:
    """Give the names of all verbs, from the modules of this package."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in modules if not name.startswith("_"))


def verb_module(name: str) -> ModuleType:
    """Import the module of one verb."""
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def build(verbs: Iterable[str]) -> typer.Typer:
    """Make the application of some verbs.

    Parameters
    ----------
    verbs : iterable of str
        Names; the module of each has a function of the same name and an ``EXAMPLE``.
    """
    app = typer.Typer(
        name="spheredc",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    for name in verbs:
        module = verb_module(name)
        function = getattr(module, name.replace("-", "_"))
        app.command(name, epilog=f"Example: {module.EXAMPLE}")(function)
    return app


def _version(asked: bool) -> None:
    if asked:
        from spheredc_hpc.model.provenance import software_version

        typer.echo(f"spheredc {software_version()}")
        raise typer.Exit


def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log details too."),
    log_json: bool = typer.Option(False, "--log-json", help="One JSON object per log record."),
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """Reprocess the VLT/SPHERE archive, from raw frames to detections.

    Exit codes: 0 done (rejections and flags are results), 1 unexpected failure, 2 wrong
    settings, 3 wrong data, 4 not enough memory, disk or time, 5 external fault.
    """
    configure_logging("DEBUG" if verbose else "INFO", as_json=log_json)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; a known error is one line, no traceback."""
    known = verb_names()
    asked = next((word for word in arguments if not word.startswith("-")), "")
    app = build([asked] if asked in known else known)
    try:
        app(args=list(arguments), prog_name="spheredc")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except SphereDCError as error:
        return _fail(str(error), error.exit_code)
    except MemoryError:
        return _fail("not enough memory", ResourceError.exit_code)
    except OSError as error:
        if error.errno in NO_SPACE:
            return _fail(str(error), ResourceError.exit_code)
        return _bug(error)
    except Exception as error:  # noqa: BLE001 the last line of defence: traceback to the log
        return _bug(error)
    return 0


def _fail(message: str, code: int) -> int:
    typer.echo(f"spheredc: {message}", err=True)
    return code


def _bug(error: Exception) -> int:
    logger.error("unexpected %s", type(error).__name__, exc_info=error)
    return _fail(f"unexpected {type(error).__name__}: {error}", SphereDCError.exit_code)


def main() -> None:
    """Entry point of the command."""
    for library in ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "VECLIB"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    sys.exit(run(sys.argv[1:]))
