"""Where the Snakefile and the profiles are: in the project, or with the installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import spheredc_hpc
from spheredc_hpc.errors import ConfigError

PROJECT = Path(spheredc_hpc.__file__).resolve().parents[1]
INSTALLED = Path(sys.prefix) / "share" / "spheredc_hpc"


def workflow_home() -> Path:
    """Give the folder that holds ``Snakefile``, ``workflow`` and ``profiles``.

    Raises
    ------
    ConfigError
        If neither the project nor the environment has it.
    """
    for home in (PROJECT, INSTALLED):
        if (home / "Snakefile").is_file() and (home / "workflow" / "rules").is_dir():
            return home
    raise ConfigError(
        f"the workflow is missing: no Snakefile with workflow/rules in {PROJECT} or {INSTALLED}; "
        "install the project again"
    )


def profile_path(profile: str) -> Path:
    """Give the folder of a profile: one of the project by its name, or any by its path.

    Raises
    ------
    ConfigError
        If there is no such profile.
    """
    home = workflow_home() / "profiles"
    for folder in (home / profile, Path(profile)):
        if (folder / "config.yaml").is_file():
            return folder.resolve()
    known = sorted(path.parent.name for path in home.glob("*/config.yaml"))
    raise ConfigError(f"no profile {profile!r}; known: {', '.join(known)}, or a folder")
