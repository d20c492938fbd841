"""From CENTER exposures, or without them, to the star centre of every integration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.instrument.waffle import spot_angles_deg, spot_radius_px
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.level1.io import Floats, Image
from spheredc_hpc.level1.parts.centre_check import checked_centre
from spheredc_hpc.level1.parts.centres import (
    CentreMeasurement,
    CentreSolution,
    DriftSettings,
    solve_waffle,
)
from spheredc_hpc.level1.parts.cosmetics import FieldCleaner
from spheredc_hpc.level1.parts.fallback import Look, solve_halo, solve_star, solve_table
from spheredc_hpc.level1.parts.halo import HaloSettings
from spheredc_hpc.level1.parts.setup import (
    ARM,
    Bench,
    Exposure,
    Setup,
    mean_mjd,
)
from spheredc_hpc.level1.parts.spots import Pattern, SpotCentre, SpotSettings
from spheredc_hpc.model.frame import FrameRef

logger = logging.getLogger(__name__)

# Room around the spots for the search, the box of the fit and the running median [px].
MARGIN_PX = 40.0
# Share of pixels without value above which a plane gives no centre.
MOST_NAN = 0.01
# Dead pixels that no flat tells of pull at the spots: how much larger the shared error is then.
WITHOUT_FLAT = 3.0
# Share of the saturation level from which counts of a visible star are taken for clipped; the
# background that was subtracted and the flat may have lowered them.
SATURATED_SHARE = 0.8
ORIENTATIONS = ("x", "+")


class CentringSettings(DriftSettings):
    """How the star is found."""

    spots: SpotSettings = Field(SpotSettings(), description="Satellite spots.")
    halo: HaloSettings = Field(HaloSettings(), description="Fall-back on the halo.")
    subtract_science: bool = Field(
        False, description="Subtract the median of the nearest science file from CENTER frames."
    )


def solve_centres(bench: Bench, settings: CentringSettings) -> CentreSolution:
    """Find the star: from satellite spots, else the star itself, the halo, or the table.

    Returns
    -------
    CentreSolution
        Flagged if it is not from satellite spots although a mask hides the star.
    """
    setup = bench.setup
    why = "no CENTER exposure"
    if bench.frames("CENTER"):
        measured = measure_center_frames(bench, settings)
        expected_px = settings.spots.shared_error_px
        if "flat" not in bench.inputs.calibrations:
            expected_px *= WITHOUT_FLAT
        solution = solve_waffle(measured, 2, expected_px, settings)
        if solution is not None:
            return _followed(solution) if _continuous(bench) else solution
        why = f"no usable satellite spots in {len(bench.frames('CENTER'))} CENTER files"
        logger.warning("%s", why)
    science = bench.frames("OBJECT")
    if not setup.occulted:
        # The star itself is seen in every plane, so that its motion is followed.
        near_px = settings.halo.search_px + MARGIN_PX
        looks = _science_images(bench, settings, science, near_px, planes=True)
        star = solve_star(looks, 2, setup.fwhm_px, settings.halo.search_px, settings)
        if star is not None:
            return star
    files = _science_images(bench, settings, _spread(science, settings.halo.files))
    found = solve_halo(files, 2, settings.halo, why)
    if found is not None:
        return found
    return solve_table(setup.guesses, setup.mjd, setup.constants, ARM, why)


def _continuous(bench: Bench) -> bool:
    return "WAFFLE_CONTINUOUS" in bench.inputs.association.flags


def _followed(solution: CentreSolution) -> CentreSolution:
    """Take the flag of a single epoch off: every science frame has spots of its own."""
    flags = tuple(flag for flag in solution.flags if flag[0] != "CENTER_SINGLE")
    return replace(solution, flags=flags)


def measure_center_frames(bench: Bench, settings: CentringSettings) -> list[CentreMeasurement]:
    """Measure the spots in every plane and channel of all CENTER files that can be read."""
    measured: list[CentreMeasurement] = []
    for ref in bench.frames("CENTER"):
        try:
            exposure = bench.read(ref)
            written = read_value(exposure.header, "waffle_orientation", ORIENTATIONS[0])
            patterns = {key: _patterns(exposure, bench.setup, key) for key in _tried(written)}
        except DataError as error:
            logger.warning("CENTER file left out: %s", error)
            continue
        found: list[CentreMeasurement] = []
        for orientation, both in patterns.items():
            again = _measure_file(bench, exposure, both, settings)
            if not found or any(item.usable for item in again):
                found = again
            if any(item.usable for item in again):
                if orientation != written.strip().lower():
                    logger.warning(
                        "%s: spots stand as %s, the header says %s",
                        ref.archive_id,
                        orientation,
                        written,
                    )
                break
        measured += found
    return measured


def _tried(written: str) -> tuple[str, ...]:
    """Orientations of the spots to try: that of the header first, as it may be wrong."""
    known = written.strip().lower()
    return tuple(dict.fromkeys([known] * (known in ORIENTATIONS) + list(ORIENTATIONS)))


def _measure_file(
    bench: Bench, exposure: Exposure, patterns: Sequence[Pattern], settings: CentringSettings
) -> list[CentreMeasurement]:
    """Measure all planes and channels of one CENTER file with spots of one orientation."""
    radius = max(pattern.radius_px for pattern in patterns)
    half = radius + settings.spots.search_px + MARGIN_PX
    fields = bench.cleaners("CENTER", exposure.times.dit_s, half)
    halos = _nearest_science(bench, exposure, half, settings)
    measured: list[CentreMeasurement] = []
    for channel, cleaner in enumerate(fields):
        local = replace(
            patterns[channel], guess_xy=cleaner.region.local(patterns[channel].guess_xy)
        )
        measure = partial(
            _measure_plane,
            cleaner=cleaner,
            pattern=local,
            halo=halos[channel],
            settings=settings.spots,
        )
        spots = map_ordered(measure, exposure.field(channel))
        measured += [
            CentreMeasurement(
                archive_id=exposure.ref.archive_id,
                plane=plane,
                channel=channel,
                mjd=float(exposure.times.mid_mjd[plane]),
                dither_px=exposure.dither,
                spot=spot,
                check=check,
            )
            for plane, (spot, check) in enumerate(spots)
        ]
    return measured


def _measure_plane(
    raw: Image,
    cleaner: FieldCleaner,
    pattern: Pattern,
    halo: Image | None,
    settings: SpotSettings,
) -> tuple[SpotCentre | None, dict[str, Any]]:
    clean = cleaner.clean(raw)
    if clean.nan_fraction > MOST_NAN:
        why = f"{100 * clean.nan_fraction:.1f} % of the pixels have no value"
        return None, {"kept": "none", "why": why}
    image = clean.image if halo is None else clean.image - halo
    spot, check = checked_centre(image, clean.good > 0, pattern, settings)
    corner = cleaner.region.columns.start, cleaner.region.rows.start
    for key in ("first_xy_px", "second_xy_px", "three_xy_px"):
        if key in check:
            check[key] = [value + start for value, start in zip(check[key], corner, strict=True)]
    return spot if spot is None else spot.moved(*corner), check


def _patterns(exposure: Exposure, setup: Setup, orientation: str) -> list[Pattern]:
    """Spots expected in both channels, on the whole field."""
    constants, mjd = setup.constants, setup.mjd
    angles = spot_angles_deg(orientation, ARM, constants, mjd)
    patterns = []
    for channel, band in enumerate(setup.bands):
        x, y = setup.guesses[channel]
        radius = spot_radius_px(band.wavelength_um, constants, arm=ARM, band=band.name, mjd=mjd)
        patterns.append(
            Pattern(
                guess_xy=(x + exposure.dither[0], y + exposure.dither[1]),
                radius_px=float(radius),
                angles_deg=angles,
                anamorphism=setup.anamorphism,
                fwhm_px=setup.fwhm_px[channel],
            )
        )
    return patterns


def _nearest_science(
    bench: Bench, exposure: Exposure, half_px: float, settings: CentringSettings
) -> Sequence[Image | None]:
    """Median of the nearest science file in both channels, scaled to a CENTER file's counts."""
    science = bench.frames("OBJECT")
    if not settings.subtract_science or not science:
        return None, None
    middle = mean_mjd(exposure.times)
    nearest = min(science, key=lambda ref: abs((ref.mjd_start or 0.0) - middle))
    files = _science_images(bench, settings, (nearest,), half_px)
    if not files:
        return None, None
    return [image * np.float32(exposure.times.dit_s) for image, _, _ in files[0].images]


def _spread(science: Sequence[FrameRef], count: int) -> list[FrameRef]:
    """Pick `count` files, evenly over the sequence."""
    places = np.linspace(0, len(science) - 1, min(count, len(science))).round().astype(int)
    return [science[place] for place in dict.fromkeys(places.tolist())]


def _science_images(
    bench: Bench,
    settings: CentringSettings,
    science: Sequence[FrameRef],
    half_px: float | None = None,
    *,
    planes: bool = False,
) -> list[Look]:
    """Images [adu/s] of science files, of each plane or their median, to centre without spots."""
    half = half_px or settings.halo.outer_px + 1.5 * settings.halo.search_px + MARGIN_PX
    looks: list[Look] = []
    for ref in science:
        try:
            exposure = bench.read(ref)
        except DataError as error:
            logger.warning("science file not used for centring: %s", error)
            continue
        fields = bench.cleaners("OBJECT", exposure.times.dit_s, half)
        clean = [map_ordered(c.clean, exposure.field(k)) for k, c in enumerate(fields)]
        good = [
            plane
            for plane in range(len(clean[0]))
            if all(channel[plane].nan_fraction < MOST_NAN for channel in clean)
        ]
        places = []
        for channel, cleaner in enumerate(fields):
            x, y = bench.setup.guesses[channel]
            guess = cleaner.region.local((x + exposure.dither[0], y + exposure.dither[1]))
            region = cleaner.region
            corner: Floats = np.array([region.columns.start, region.rows.start], dtype=np.float64)
            places.append((guess, corner))
        limit = SATURATED_SHARE * (bench.setup.device.saturation_adu or np.inf)
        dit = exposure.times.dit_s
        wanted = [[plane] for plane in good] if planes else [good] * bool(good)
        for group in wanted:
            images = [
                (_median([channel[k].image for k in group]) / np.float32(dit), *place)
                for channel, place in zip(clean, places, strict=True)
            ]
            middle = float(exposure.times.mid_mjd[group[0]]) if planes else mean_mjd(exposure.times)
            number = group[0] if planes else -1
            looks.append(Look(ref.archive_id, number, middle, exposure.dither, images, limit / dit))
    return looks


def _median(images: Sequence[Image]) -> Image:
    return images[0] if len(images) == 1 else np.asarray(np.median(np.stack(images), axis=0))
