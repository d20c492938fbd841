"""Facts of one observation, from its association and its products."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spheredc_hpc.association.completeness import completeness
from spheredc_hpc.association.explain import describe_missing, title_of_role
from spheredc_hpc.campaign.report.facts import (
    ContrastCurve,
    Lack,
    Level1,
    Level2,
    ObservationFacts,
    Product,
    Source,
    Use,
    number,
    worst,
)
from spheredc_hpc.campaign.report.products import read_product
from spheredc_hpc.errors import DataError
from spheredc_hpc.model.association import Association
from spheredc_hpc.steps.figures.level1 import Level1View, channel_names
from spheredc_hpc.store.cube import AO_QUANTITIES
from spheredc_hpc.store.images import (
    SOURCE_COLUMNS,
    STATISTICS,
    Level2Images,
    read_images,
)

Floats = npt.NDArray[np.float64]
CONDITIONS = ("seeing_arcsec", "tau0_ms", "strehl", "wind_speed_mps")


@dataclass(frozen=True)
class Views:
    """What the figures of an observation are drawn from; None where there is no product."""

    level1: Level1View | None
    level2: dict[str, Level2Images]


def read_observation(
    root: Path, association: Association, recipes: tuple[str, ...]
) -> tuple[ObservationFacts, Views]:
    """Collect the facts of one observation and what its figures show.

    Parameters
    ----------
    root : Path
        Result root.
    association : Association
        As planned.
    recipes : tuple of str
        Labels of the planned recipes; those found on disk if empty.
    """
    observation, key = association.observation, association.observation.key
    base = f"observations/{observation.id}"
    planned = not association.rejected_because
    level1, view = _level1(root, f"{base}/level1")
    if not planned and level1.product.status == "absent":
        product = replace(level1.product, status="rejected", reasons=association.rejected_because)
        level1 = Level1(product)
    if not recipes:
        recipes = tuple(sorted(p.name for p in (root / base / "level2").glob("*") if p.is_dir()))
    reduced = [_level2(root, f"{base}/level2/{recipe}", recipe) for recipe in recipes]
    if not planned:
        reduced = [pair for pair in reduced if pair[0].product.status != "absent"]
    products = [level1.product, *(facts.product for facts, _ in reduced)]
    reasons = _unique([*association.rejected_because, *(r for p in products for r in p.reasons)])
    objects = association.frames.get("OBJECT", ())
    judged = completeness(association)
    facts = ObservationFacts(
        id=observation.id,
        target=observation.target,
        night=key.night,
        arm=key.arm,
        mode=key.mode,
        filter=key.filter,
        coronagraph=key.coronagraph,
        derotator_mode=key.derotator_mode,
        block=key.block,
        programme=observation.programme,
        ra_deg=number(observation.ra_deg),
        dec_deg=number(observation.dec_deg),
        mjd_mid=number(observation.mjd_mid),
        status=worst([p.status for p in products]) if planned else "rejected",
        reasons=reasons,
        flags=_unique([*association.flags, *(f for p in products for f in p.flags)]),
        notes=association.notes,
        frames={role: len(frames) for role, frames in sorted(association.frames.items())},
        raw_path=objects[0].path if objects else "",
        level1=level1,
        level2=tuple(level2 for level2, _ in reduced),
        calibrations=_uses(root, association),
        missing=_lacks(association),
        completeness=judged.status,
        lacks=tuple(f"{gap.state}: {gap.needed}" for gap in judged.gaps),
    )
    images = {level2.recipe: found for level2, found in reduced if found is not None}
    return facts, Views(view, images)


def _unique(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _uses(root: Path, association: Association) -> tuple[Use, ...]:
    found = []
    for use in association.calibrations:
        title = title_of_role(use.role)
        found.append(
            Use(
                role=use.role,
                kind=use.kind,
                product=use.product,
                source_class=use.source_class,
                tier=use.tier,
                age_h=number(use.age_h),
                relaxed=use.relaxed,
                flags=use.flags,
                frames=use.frames,
                rejected=tuple((r.archive_ids, r.reason) for r in use.rejected),
                why=use.why.removeprefix(f"{title}: "),
                status=read_product(root, use.product, use.kind).status,
                title=title,
            )
        )
    return tuple(found)


def _lacks(association: Association) -> tuple[Lack, ...]:
    return tuple(
        Lack(
            role=missing.role,
            kind=missing.kind,
            keys=missing.keys,
            consequence=missing.consequence,
            flag=missing.flag,
            text=describe_missing(missing),
            title=title_of_role(missing.role),
        )
        for missing in association.missing
    )


def _level1(root: Path, product_id: str) -> tuple[Level1, Level1View | None]:
    product = read_product(root, product_id, "level1")
    path = root / product_id / "cube.zarr"
    if not (product.made and path.is_dir()):
        return Level1(product), None
    try:
        view = Level1View.read(path)
    except DataError as error:
        return Level1(_damaged(product, error)), None
    v = view.values
    ao = {name: v["ao"][:, i] for i, name in enumerate(AO_QUANTITIES)}
    facts = Level1(
        product=product,
        channels=tuple(channel_names(view.attrs, v["wavelength_um"])),
        shape=(v["wavelength_um"].size, view.n_frames, *view.frame.shape[1:]),
        rotation_deg=_rotation(v["derotation_start_deg"], v["derotation_end_deg"]),
        exposure_s=number(np.nansum(v["dit_s"])),
        dits_s=tuple(sorted({round(float(d), 3) for d in v["dit_s"] if np.isfinite(d)})),
        airmass=_median(v["airmass"]),
        seeing_arcsec=_median(ao["seeing_arcsec"]),
        tau0_ms=_median(ao["tau0_ms"]),
        strehl=_median(ao["strehl"]),
        wind_speed_mps=_median(ao["wind_speed_mps"]),
        centre_err_px=_median(v["centre_err_px"]),
        centre_method=str(view.attrs.get("centre_method", "")),
        frames_left_out=tuple(map(str, view.attrs.get("frames_left_out", ()))),
        ranges={name: _ends(ao[name]) for name in CONDITIONS},
        star_peak=_star_peak(view),
    )
    return facts, view


def _level2(root: Path, product_id: str, recipe: str) -> tuple[Level2, Level2Images | None]:
    product = read_product(root, product_id, "level2")
    path = root / product_id / "level2.zarr"
    if not (product.made and path.is_dir()):
        return Level2(recipe, product), None
    try:
        images = read_images(path)
    except DataError as error:
        return Level2(recipe, _damaged(product, error)), None
    names = channel_names(images.attrs, images.wavelength_um)
    curves = [
        ContrastCurve(name, statistic, _numbers(images.contrast[i, channel]))
        for channel, name in enumerate(names)
        for i, statistic in enumerate(STATISTICS)
    ]
    curves += [
        ContrastCurve("stack", statistic, _numbers(images.image_contrast[i]))
        for i, statistic in enumerate(STATISTICS)
    ]
    facts = Level2(
        recipe=recipe,
        product=product,
        channels=tuple(names),
        sources=_sources(images),
        separation_mas=_numbers(images.separation_mas),
        curves=tuple(curves),
        throughput=tuple(_numbers(row) for row in images.throughput),
    )
    return facts, images


def _damaged(product: Product, error: DataError) -> Product:
    return Product(product.id, product.kind, "damaged", (str(error),), log=product.log)


def _sources(images: Level2Images) -> tuple[Source, ...]:
    def column(row: Floats, name: str) -> float | None:
        return number(row[SOURCE_COLUMNS.index(name)])

    return tuple(
        Source(
            number=index + 1,
            separation_mas=column(row, "separation_mas"),
            separation_err_mas=column(row, "separation_err_mas"),
            position_angle_deg=column(row, "position_angle_deg"),
            position_angle_err_deg=column(row, "position_angle_err_deg"),
            snr=column(row, "snr"),
            contrast=_numbers(images.source_contrast[index]),
            contrast_err=_numbers(images.source_contrast_err[index]),
        )
        for index, row in enumerate(images.sources)
    )


def _numbers(values: npt.NDArray[Any]) -> tuple[float | None, ...]:
    return tuple(number(value) for value in values)


def _median(values: npt.NDArray[Any]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else None


def _ends(values: npt.NDArray[Any]) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def _star_peak(view: Level1View) -> float | None:
    """Peak of the star without mask, mean of the channels [adu/s]; None without a FLUX exposure."""
    if not view.psf.size or not np.isfinite(view.psf).any(axis=(1, 2)).all():
        return None
    return float(np.mean(np.nanmax(view.psf, axis=(1, 2))))


def _rotation(start_deg: Floats, end_deg: Floats) -> float | None:
    """Field rotation from the start of the first to the end of the last frame [deg]."""
    angles = np.column_stack([start_deg, end_deg]).ravel()
    angles = angles[np.isfinite(angles)]
    if angles.size == 0:
        return None
    return float(np.ptp(np.unwrap(angles, period=360.0)))
