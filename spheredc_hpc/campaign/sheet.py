"""The sheet of a plan as Snakemake sees it: targets, inputs, settings, costs.

Only the standard library is imported, since the Snakefile reads this before any job starts.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.model.memory import MemoryLaw

SEPARATOR = ";"
REDUCIBLE = ("planned",)

# Measured on the built-in night (48 frames of 2 x 800 x 800 px), then about half as much again.
# Level 2 is predicted by the plan, see `spheredc_hpc.level2.memory`.
BASE_MB = 600.0
"""Interpreter, libraries and what does not grow with the number of frames [MB]."""
CALIBRATION_PLANE_MB = 35.0
LEVEL1_FRAME_MB = 30.0
LEAST_MINUTES = 5.0
MARGIN = 1.1
"""Asked for beyond the predicted memory of Level 2."""


@dataclass(frozen=True)
class Load:
    """How much work a recipe is.

    Attributes
    ----------
    work : float
        Relative to the default recipe: area of the field and azimuths of the throughput.
    memory : mapping
        Observing mode to the peak memory as a function of frames and threads.
    """

    work: float
    memory: Mapping[str, MemoryLaw]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Load:
        """Read what the plan noted."""
        memory = {mode: MemoryLaw(**law) for mode, law in values["memory"].items()}
        return cls(float(values["work"]), memory)


@dataclass(frozen=True)
class ObservationRow:
    """One row of ``observations.tsv``."""

    observation: str
    level1_mode: str
    status: str
    reasons: tuple[str, ...]
    association: str
    calibrations: tuple[str, ...]
    n_frames: int
    target: str = ""
    filter: str = ""
    night: str = ""

    @property
    def reducible(self) -> bool:
        """Whether Level 1 is attempted."""
        return self.status in REDUCIBLE


@dataclass(frozen=True)
class CalibrationRow:
    """One row of ``calibrations.tsv``; `upstream` holds product directories."""

    kind: str
    key: str
    product: str
    job: str
    upstream: tuple[str, ...]
    n_planes: int


def _parts(cell: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (cell or "").split(SEPARATOR) if part.strip())


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))
    except OSError as error:
        raise ConfigError(f"sheet {path}: {error.strerror}; run `spheredc plan` first") from error


@dataclass(frozen=True)
class Sheet:
    """Everything that the rules ask for.

    Attributes
    ----------
    plan : str
        Name of the plan.
    config_file : str
        Frozen configuration, relative to the root.
    observations : mapping
        Observation id to row.
    calibrations : mapping
        (kind, key) to row.
    settings : mapping
        ``calibration``, ``level1``, ``level2`` to name to what a product of that kind
        depends on besides its inputs: settings digest, product version, constants.
    loads : mapping
        Label of a recipe to its load.
    """

    plan: str
    config_file: str
    observations: Mapping[str, ObservationRow]
    calibrations: Mapping[tuple[str, str], CalibrationRow]
    settings: Mapping[str, Mapping[str, str]]
    loads: Mapping[str, Load]

    @classmethod
    def read(cls, root: Path, plan: str) -> Sheet:
        """Read the sheet of a plan.

        Parameters
        ----------
        root : Path
            Result root.
        plan : str
            Name of the plan, a folder below ``plan``.

        Raises
        ------
        ConfigError
            If the plan was not made or its tables lack a column.
        """
        folder = root / "plan" / plan
        try:
            workflow = json.loads((folder / "workflow.json").read_text(encoding="utf-8"))
            observations = [_observation(row) for row in _rows(folder / "observations.tsv")]
            calibrations = [_calibration(row) for row in _rows(folder / "calibrations.tsv")]
            return cls(
                plan=plan,
                config_file=workflow["config_file"],
                observations={row.observation: row for row in observations},
                calibrations={(row.kind, row.key): row for row in calibrations},
                settings=workflow["settings"],
                loads={name: Load.read(load) for name, load in workflow["loads"].items()},
            )
        except OSError as error:
            raise ConfigError(
                f"plan {plan!r} of {root}: {error.strerror}: {error.filename}; "
                "run `spheredc plan` first"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"plan {plan!r} of {root} is damaged: {error}") from error

    @classmethod
    def find(cls, root: Path, plan: str | None) -> Sheet:
        """Read the plan of that name, or the only one; without any, give an empty sheet.

        Raises
        ------
        ConfigError
            If no name is given and there are several plans.
        """
        if plan is not None:
            return cls.read(root, plan)
        plans = sorted(path.parent.name for path in root.glob("plan/*/workflow.json"))
        if len(plans) > 1:
            raise ConfigError(f"{root} has several plans ({', '.join(plans)}): name one as plan=")
        if plans:
            return cls.read(root, plans[0])
        return cls("", "", {}, {}, {"calibration": {}, "level1": {}, "level2": {}}, {})

    @property
    def recipes(self) -> tuple[str, ...]:
        """Labels of the Level 2 recipes."""
        return tuple(self.settings["level2"])

    def targets(self) -> list[str]:
        """Receipts that the plan is done with.

        Every product is named, not only the last of each chain: Snakemake does not miss an
        intermediate one as long as what was made of it is there.
        """
        reducible = [row for row in self.observations.values() if row.reducible]
        wanted = list(dict.fromkeys(product for row in reducible for product in row.calibrations))
        for row in reducible:
            place = f"observations/{row.observation}"
            wanted.append(f"{place}/level1")
            wanted += [f"{place}/level2/{recipe}" for recipe in self.recipes]
        return [f"{product}/receipt.json" for product in wanted]

    def calibration_job(self, kind: str, key: str) -> str:
        """Job file of a calibration."""
        return self.calibrations[kind, key].job

    def calibration_upstream(self, kind: str, key: str) -> list[str]:
        """Receipts that a calibration needs."""
        return [f"{product}/receipt.json" for product in self.calibrations[kind, key].upstream]

    def association(self, observation: str) -> str:
        """Association file of an observation."""
        return self.observations[observation].association

    def observation_calibrations(self, observation: str) -> list[str]:
        """Receipts of the calibrations that an observation needs."""
        row = self.observations[observation]
        return [f"{product}/receipt.json" for product in row.calibrations]

    def level1_settings(self, observation: str) -> str:
        """Give what Level 1 of an observation depends on besides its inputs."""
        return self.settings["level1"].get(self.observations[observation].level1_mode, "")

    def calibration_mb(self, kind: str, key: str) -> int:
        """Predict the memory of a calibration [MB]."""
        return int(BASE_MB + CALIBRATION_PLANE_MB * self.calibrations[kind, key].n_planes)

    def level1_mb(self, observation: str) -> int:
        """Predict the memory of Level 1 [MB]."""
        return int(BASE_MB + LEVEL1_FRAME_MB * self.observations[observation].n_frames)

    def level2_mb(self, observation: str, recipe: str, threads: int) -> int:
        """Predict the memory of one Level 2 recipe on a number of threads [MB]."""
        row = self.observations[observation]
        law = self.loads[recipe].memory[row.level1_mode]
        return int(MARGIN * law.mb(row.n_frames, threads))

    def calibration_minutes(self, kind: str, key: str) -> float:
        """Predict the time of a calibration [min]."""
        return LEAST_MINUTES + 0.05 * self.calibrations[kind, key].n_planes

    def level1_minutes(self, observation: str) -> float:
        """Predict the time of Level 1 [min]."""
        return LEAST_MINUTES + 0.1 * self.observations[observation].n_frames

    def level2_minutes(self, observation: str, recipe: str) -> float:
        """Predict the time of one Level 2 recipe [min]."""
        frames = self.observations[observation].n_frames
        return LEAST_MINUTES + 0.1 * frames * self.loads[recipe].work


def _observation(row: Mapping[str, str]) -> ObservationRow:
    return ObservationRow(
        observation=row["observation"],
        level1_mode=row["level1_mode"],
        status=row["status"],
        reasons=_parts(row["reasons"]),
        association=row["association"],
        calibrations=_parts(row["calibrations"]),
        n_frames=int(row["n_frames"] or 0),
        target=row.get("target", ""),
        filter=row.get("filter", ""),
        night=row.get("night", ""),
    )


def _calibration(row: Mapping[str, str]) -> CalibrationRow:
    return CalibrationRow(
        kind=row["kind"],
        key=row["key"],
        product=row["product"],
        job=row["job"],
        upstream=_parts(row["upstream"]),
        n_planes=int(row["n_planes"] or 0),
    )
