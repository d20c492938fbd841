"""From FLUX exposures to the point-spread function of an observation."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.level1.io import Flag, Floats, Image
from spheredc_hpc.level1.parts.backgrounds import BackgroundModel, background_models
from spheredc_hpc.level1.parts.centres import CentreSolution
from spheredc_hpc.level1.parts.cosmetics import FieldCleaner
from spheredc_hpc.level1.parts.photometry import (
    LOST_CORE_PX,
    PhotometrySettings,
    StarFrame,
    accepted_frames,
    aperture_sum,
    cut_star,
    file_fluxes,
    find_star,
    flux_quality,
)
from spheredc_hpc.level1.parts.setup import ARM, Bench, Exposure, Setup

logger = logging.getLogger(__name__)

MARGIN_PX = 12.0
MOST_NAN = 0.01
# A frame whose star the coronagraph lets through by less is not used.
LEAST_TRANSMISSION = 0.5
# Share of the saturation level from which counts are taken for clipped.
SATURATED_SHARE = 0.9


@dataclass(frozen=True)
class FluxSolution:
    """Point-spread function of an observation.

    Attributes
    ----------
    psf : array, shape (2, n, size, size)
        One per accepted integration [adu/s], at the neutral density of the science; one of
        NaN where there is no FLUX exposure.
    mjd : array, shape (n,)
        Middle of the integrations [d]; empty without a FLUX exposure.
    flags : tuple of (str, str)
    quality : dict
    """

    psf: Image
    mjd: Floats
    flags: tuple[Flag, ...] = ()
    quality: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Channel:
    """What turns one channel of a FLUX file into a point-spread function."""

    cleaner: FieldCleaner
    background: BackgroundModel | None
    mask_xy: tuple[float, float]
    scale: float
    channel: int


def reduce_flux(
    bench: Bench, centres: CentreSolution, settings: PhotometrySettings
) -> FluxSolution:
    """Recentre the star of every FLUX integration and bring it to the scale of the science.

    The star is divided by the integration time, the ratio of the neutral densities, and the
    transmission of the coronagraph at its distance from the mask: a companion of contrast
    `c` appears in the science as `c` times the result times the transmission where it stands.
    """
    flags: list[Flag] = []
    frames: tuple[list[StarFrame | None], list[StarFrame | None]] = ([], [])
    times: list[float] = []
    numbers: list[int] = []
    left_out: list[str] = []
    for number, ref in enumerate(bench.frames("FLUX")):
        try:
            exposure = bench.read(ref)
        except DataError as error:
            left_out.append(str(error))
            continue
        channels, notes = _channels(bench, exposure, centres, settings)
        flags += notes
        first = 1 if settings.drop_first and len(exposure.planes) > 1 else 0
        for item in channels:
            measure = partial(
                _measure, item=item, exposure=exposure, setup=bench.setup, settings=settings
            )
            frames[item.channel].extend(map_ordered(measure, exposure.field(item.channel)[first:]))
        times += exposure.times.mid_mjd[first:].tolist()
        numbers += [number] * (len(exposure.planes) - first)
    return _combine(bench, frames, (np.array(times), numbers), (flags, left_out), settings)


def _channels(
    bench: Bench, exposure: Exposure, centres: CentreSolution, settings: PhotometrySettings
) -> tuple[list[_Channel], tuple[Flag, ...]]:
    setup = bench.setup
    half = settings.search_px + settings.size_px / 2 + MARGIN_PX
    cleaners = bench.cleaners("FLUX", exposure.times.dit_s, half)
    backgrounds = background_models(bench, "FLUX", exposure.times.dit_s)
    here, notes = setup.nd_of(read_value(exposure.header, "nd", "OPEN"))
    science, more = setup.nd_of(setup.nd)
    channels = []
    for channel, cleaner in enumerate(cleaners):
        mask, _ = centres.models[channel].at(exposure.times.mid_mjd[:1], exposure.dither)
        local = cleaner.region.local((float(mask[0, 0]), float(mask[0, 1])))
        scale = science[channel] / here[channel] / exposure.times.dit_s
        channels.append(_Channel(cleaner, backgrounds[channel], local, scale, channel))
    return channels, (*notes, *more)


def _measure(
    raw: Image, item: _Channel, exposure: Exposure, setup: Setup, settings: PhotometrySettings
) -> StarFrame | None:
    cleaner, fwhm = item.cleaner, setup.fwhm_px[item.channel]
    extra, thermal = None, None
    if item.background is not None:
        field_xy = (
            item.mask_xy[0] + cleaner.region.columns.start,
            item.mask_xy[1] + cleaner.region.rows.start,
        )
        outside = item.background.settings.flux_outside_px
        extra, thermal = item.background.correction(raw, field_xy, outside, cleaner.region)
    clean = cleaner.clean(raw, extra=extra)
    if clean.nan_fraction > MOST_NAN:
        return None
    counts = raw[cleaner.region.rows, cleaner.region.columns]
    usable = (clean.good > 0) & (counts < (setup.device.linear_limit_adu or np.inf))
    try:
        fit = find_star(clean.image, item.mask_xy, settings.search_px, fwhm, usable)
        cut = cut_star(clean.image, (fit.x, fit.y), setup.anamorphism, settings.size_px)
    except KernelInputError as error:
        logger.warning("FLUX frame of %s left out: %s", exposure.ref.archive_id, error)
        return None
    passed = _transmission(exposure, setup, item, (fit.x, fit.y))
    if passed < LEAST_TRANSMISSION:
        name = exposure.ref.archive_id
        logger.warning("FLUX frame of %s left out: %.2f of its star passes", name, passed)
        return None
    psf = cut * np.float32(item.scale / passed)
    y, x = np.indices(counts.shape)
    core = (np.hypot(x - fit.x, y - fit.y) <= fwhm) & ~cleaner.bad
    ceiling = SATURATED_SHARE * (setup.device.saturation_adu or np.inf)
    return StarFrame(
        psf=psf,
        xy=np.array([fit.x + cleaner.region.columns.start, fit.y + cleaner.region.rows.start]),
        flux=aperture_sum(psf, settings.aperture_fwhm * fwhm),
        fwhm_px=fit.fwhm,
        peak_adu=float(np.max(counts[core], initial=0.0)),
        background=None if thermal is None else thermal.plain(),
        lost=int(np.sum(counts[core] >= ceiling)) > LOST_CORE_PX,
    )


def _transmission(
    exposure: Exposure, setup: Setup, item: _Channel, xy: tuple[float, float]
) -> float:
    """Transmission of the coronagraph of an exposure at its star; 1 where it has no curve."""
    step = (np.array(xy) - np.array(item.mask_xy)) * np.array(setup.anamorphism)
    distance = float(np.hypot(*step)) * setup.scale_mas[item.channel]
    name = read_value(exposure.header, "coronagraph", setup.coronagraph)
    found = off_axis_transmission(name, ARM, [distance], setup.constants)
    return 1.0 if found is None else float(found[0])


def _flux_of(frame: StarFrame | None) -> float:
    """Flux of a frame [adu/s]; NaN if there is no star, or one without core."""
    return float("nan") if frame is None or frame.lost else frame.flux


def _combine(
    bench: Bench,
    frames: tuple[list[StarFrame | None], list[StarFrame | None]],
    taken: tuple[Floats, list[int]],
    notes: tuple[list[Flag], list[str]],
    settings: PhotometrySettings,
) -> FluxSolution:
    (times, numbers), (flags, left_out) = taken, notes
    flux = np.array([[_flux_of(frame) for frame in row] for row in frames])
    accepted = np.zeros(len(numbers), dtype=bool)
    for number in set(numbers):
        # File by file: exposures before and after may differ as wholes.
        here = np.array([other == number for other in numbers])
        accepted[here] = accepted_frames(flux[:, here], settings)
    lost = [f for row in frames for f in row if f is not None and f.lost]
    quality: dict[str, Any] = {"first_dropped": settings.drop_first, "left_out": left_out}
    if not accepted.any():
        count = len(bench.frames("FLUX"))
        reason = "no FLUX exposure" if not count else f"no usable star in {count} FLUX files"
        if lost:
            peak = max(frame.peak_adu for frame in lost)
            reason += f", the core is lost in saturation at {peak:.0f} adu"
            flags = [*flags, ("FLUX_SAT", reason)]
        empty = np.full((2, 1, settings.size_px, settings.size_px), np.nan, dtype=np.float32)
        flags = [*flags, ("FLUX_MISSING", f"{reason}: contrast is not calibrated")]
        return FluxSolution(empty, np.empty(0), tuple(flags), {**quality, "frames": 0})
    kept = [
        [frame for frame, good in zip(row, accepted, strict=True) if good and frame is not None]
        for row in frames
    ]
    limit = bench.setup.device.linear_limit_adu or np.inf
    peak = max(frame.peak_adu for row in kept for frame in row)
    if peak > limit:
        reason = f"FLUX peaks at {peak:.0f} adu, above the linear limit of {limit:.0f} adu"
        flags = [*flags, ("FLUX_SAT", reason)]
    psf = np.stack([np.stack([frame.psf for frame in row]) for row in kept])
    figures = flux_quality(kept, accepted)
    of = [number for number, good in zip(numbers, accepted, strict=True) if good]
    figures["files"], figures["change"] = file_fluxes(kept, of)
    if figures["change"] > settings.largest_change:
        reason = (
            f"flux differs by {100 * figures['change']:.0f} % between FLUX files, at most "
            f"{100 * settings.largest_change:g} % is steady"
        )
        flags = [*flags, ("FLUX_UNSTABLE", reason)]
    if any(frame.background for row in kept for frame in row):
        figures["background"] = [[frame.background for frame in row] for row in kept]
    return FluxSolution(psf, times[accepted], tuple(flags), {**quality, **figures})
