"""A plan in memory, between association and the files and tables it is written to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spheredc_hpc.association.explain import describe_missing
from spheredc_hpc.model.association import Association, CalibrationJob


@dataclass(frozen=True)
class Planned:
    """One observation of a plan; `paths` maps a role to its raw files."""

    association: Association
    level1_mode: str
    status: str
    paths: dict[str, tuple[str, ...]]

    @property
    def id(self) -> str:
        """Identity of the observation."""
        return self.association.observation.id

    def association_path(self, plan: str) -> str:
        """Path of its association below the root."""
        return f"plan/{plan}/associations/{self.id}.json"

    def products(self) -> tuple[str, ...]:
        """Directories of the calibrations to make for it, each once; none if it is rejected."""
        if self.association.rejected_because:
            return ()
        return tuple(dict.fromkeys(use.product for use in self.association.calibrations))

    def missing_texts(self) -> tuple[str, ...]:
        """Name what it lacks."""
        return tuple(map(describe_missing, self.association.missing))


@dataclass(frozen=True)
class Plan:
    """Observations in order of their identity, calibration jobs in order of their product."""

    name: str
    observations: tuple[Planned, ...]
    jobs: tuple[CalibrationJob, ...]

    def of_status(self, status: str) -> Iterator[Planned]:
        """Observations of one status."""
        return (planned for planned in self.observations if planned.status == status)


def job_path(plan: str, job: CalibrationJob) -> str:
    """Path of the input file of a calibration below the root."""
    return f"plan/{plan}/calibrations/{job.kind}-{job.key}.json"
