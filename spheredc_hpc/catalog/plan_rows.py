"""The tables of a plan: observations, their frames, calibrations in use and missing."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from spheredc_hpc.association.explain import describe_missing
from spheredc_hpc.catalog.batches import in_batches
from spheredc_hpc.catalog.models import (
    CalibrationUse,
    MissingCalibration,
    Observation,
    ObservationFrame,
    PlanEntry,
    RawFrame,
)
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.catalog.planned import Plan, Planned


def store(plan: Plan) -> None:
    """Replace what the catalogue holds of a plan; observations of no plan are dropped."""
    with transaction.atomic():
        PlanEntry.objects.filter(plan=plan.name).delete()
        for batch in in_batches(plan.observations):
            _store_batch(plan.name, batch)
        Observation.objects.filter(plan_entries__isnull=True).delete()


def _store_batch(plan: str, batch: list[Planned]) -> None:
    columns = [f.name for f in Observation._meta.concrete_fields if not f.primary_key]
    observations = [Observation.of(planned.association.observation) for planned in batch]
    Observation.objects.bulk_create(
        observations, update_conflicts=True, unique_fields=["id"], update_fields=columns
    )
    ObservationFrame.objects.filter(observation__in=observations).delete()
    ObservationFrame.objects.bulk_create(_frames(batch, observations))
    entries = [
        PlanEntry(
            plan=plan,
            observation=observation,
            status=planned.status,
            reasons=list(planned.association.rejected_because),
            flags=list(planned.association.flags),
            notes=list(planned.association.notes),
            level1_mode=planned.level1_mode,
            association=planned.association_path(plan),
        )
        for planned, observation in zip(batch, observations, strict=True)
    ]
    PlanEntry.objects.bulk_create(entries)
    pairs = list(zip(batch, entries, strict=True))
    CalibrationUse.objects.bulk_create(
        row for planned, entry in pairs for row in _uses(planned, entry)
    )
    MissingCalibration.objects.bulk_create(
        row for planned, entry in pairs for row in _missing(planned, entry)
    )


def _frames(batch: list[Planned], observations: list[Observation]) -> list[ObservationFrame]:
    wanted = {clean(path) for planned in batch for role in planned.paths.values() for path in role}
    frames: dict[str, int] = {}
    for paths in in_batches(sorted(wanted)):
        frames |= dict(RawFrame.objects.filter(path__in=paths).values_list("path", "pk"))
    return [
        ObservationFrame(observation=observation, raw_frame_id=frames[clean(path)], role=role)
        for planned, observation in zip(batch, observations, strict=True)
        for role, paths in planned.paths.items()
        for path in paths
    ]


def _uses(planned: Planned, entry: PlanEntry) -> Iterator[CalibrationUse]:
    for use in planned.association.calibrations:
        yield CalibrationUse(
            entry=entry,
            role=use.role,
            kind=use.kind,
            product=use.product,
            source_class=use.source_class,
            tier=use.tier,
            age_h=use.age_h,
            rank=use.rank,
            relaxed=list(use.relaxed),
            flags=list(use.flags),
            why=use.why,
        )


def _missing(planned: Planned, entry: PlanEntry) -> Iterator[MissingCalibration]:
    for missing in planned.association.missing:
        yield MissingCalibration(
            entry=entry,
            role=missing.role,
            kind=missing.kind,
            keys=clean(missing.keys),
            text=clean(describe_missing(missing)),
            consequence=missing.consequence,
            flag=missing.flag,
        )
