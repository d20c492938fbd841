"""From FLUX exposures to the point-spread function of an observation."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.level1.io import Flag, Floats, Header, Image
from spheredc_hpc.level1.parts.backgrounds import BackgroundModel, background_models
from spheredc_hpc.level1.parts.centres import CentreSolution
from spheredc_hpc.level1.parts.cosmetics import FieldCleaner
from spheredc_hpc.level1.parts.photometry import (
    LOST_CORE_PX,
    PhotometrySettings,
    StarFrame,
    aperture_sum,
    cut_star,
    file_fluxes,
    find_star,
    flux_quality,
    judged_frames,
)
from spheredc_hpc.level1.parts.setup import ARM, Bench, Exposure, Setup
from spheredc_hpc.level1.parts.strehl import Diffraction, strehl_ratio
from spheredc_hpc.level1.parts.timing import FrameTimes

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
    files : list of (header, FrameTimes)
        FLUX files that could be read.
    """

    psf: Image
    mjd: Floats
    flags: tuple[Flag, ...] = ()
    quality: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[Header, FrameTimes]] = field(default_factory=list)


@dataclass(frozen=True)
class _Channel:
    """What turns one channel of a FLUX file into a point-spread function."""

    cleaner: FieldCleaner
    background: BackgroundModel | None
    mask_xy: tuple[float, float]
    scale: float
    channel: int
    ideal: Diffraction


def reduce_flux(
    bench: Bench, centres: CentreSolution, settings: PhotometrySettings
) -> FluxSolution:
    """Recentre the star of every FLUX integration and bring it to the scale of the science.

    The star is divided by the integration time, the ratio of the neutral densities, and the
    transmission of the coronagraph at its distance from the mask: a companion of contrast
    `c` appears in the science as `c` times the result times the transmission where it stands.
    """
    taken = _Taken(first_dropped=settings.drop_first)
    for ref in bench.frames("FLUX"):
        try:
            exposure = bench.read(ref)
        except DataError as error:
            taken.left_out.append(str(error))
            continue
        channels, notes = _channels(bench, exposure, centres, settings)
        taken.flags += notes
        taken.files.append((exposure.header, exposure.times))
        first = 1 if settings.drop_first and len(exposure.planes) > 1 else 0
        for item in channels:
            measure = partial(
                _measure, item=item, exposure=exposure, setup=bench.setup, settings=settings
            )
            found = map_ordered(measure, exposure.field(item.channel)[first:])
            taken.frames[item.channel].extend(found)
        taken.mjd += exposure.times.mid_mjd[first:].tolist()
        taken.names += [(ref.archive_id, plane) for plane in range(first, len(exposure.planes))]
    return _combine(bench, taken, settings)


@dataclass
class _Taken:
    """Integrations of all FLUX files: stars by channel, or why there is none."""

    first_dropped: bool
    frames: tuple[list[StarFrame | str], list[StarFrame | str]] = field(
        default_factory=lambda: ([], [])
    )
    names: list[tuple[str, int]] = field(default_factory=list)
    mjd: list[float] = field(default_factory=list)
    files: list[tuple[Header, FrameTimes]] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def values(self, name: str) -> Floats:
        """One figure of every star, shape (2, n); NaN if there is none, or one without core."""
        return np.array([[_value(frame, name) for frame in row] for row in self.frames])


def _channels(
    bench: Bench, exposure: Exposure, centres: CentreSolution, settings: PhotometrySettings
) -> tuple[list[_Channel], tuple[Flag, ...]]:
    setup = bench.setup
    ring_px = settings.strehl.ring_mas / min(setup.scale_mas)
    half = settings.search_px + max(settings.size_px / 2, ring_px) + MARGIN_PX
    dit_s, nd = exposure.times.dit_s, exposure.ref.nd
    cleaners = bench.cleaners("FLUX", dit_s, half, nd)
    backgrounds = background_models(bench, "FLUX", dit_s, nd)
    here, notes = setup.nd_of(read_value(exposure.header, "nd", "OPEN"))
    science, more = setup.nd_of(setup.nd)
    channels = []
    for channel, cleaner in enumerate(cleaners):
        mask, _ = centres.models[channel].at(exposure.times.mid_mjd[:1], exposure.dither)
        local = cleaner.region.local((float(mask[0, 0]), float(mask[0, 1])))
        scale = science[channel] / here[channel] / exposure.times.dit_s
        ideal = Diffraction.of(
            setup.bands[channel],
            setup.resolution_px[channel],
            setup.scale_mas[channel],
            setup.constants,
            settings.strehl,
        )
        channels.append(_Channel(cleaner, backgrounds[channel], local, scale, channel, ideal))
    return channels, (*notes, *more)


def _measure(
    raw: Image, item: _Channel, exposure: Exposure, setup: Setup, settings: PhotometrySettings
) -> StarFrame | str:
    """Measure the star of one channel, or say why it cannot be."""
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
        return f"{100 * clean.nan_fraction:.1f} % of the pixels have no value"
    counts = raw[cleaner.region.rows, cleaner.region.columns]
    usable = (clean.good > 0) & (counts < (setup.device.linear_limit_adu or np.inf))
    try:
        fit = find_star(clean.image, item.mask_xy, settings.search_px, fwhm, usable)
        cut = cut_star(clean.image, (fit.x, fit.y), setup.anamorphism, settings.size_px)
    except KernelInputError as error:
        return str(error)
    passed = _transmission(exposure, setup, item, (fit.x, fit.y))
    if passed < LEAST_TRANSMISSION:
        return f"only {passed:.2f} of its star passes the coronagraph"
    psf = cut * np.float32(item.scale / passed)
    y, x = np.indices(counts.shape)
    core = (np.hypot(x - fit.x, y - fit.y) <= fwhm) & ~cleaner.bad
    ceiling = SATURATED_SHARE * (setup.device.saturation_adu or np.inf)
    lost = int(np.sum(counts[core] >= ceiling)) > LOST_CORE_PX
    strehl = float("nan"), float("nan")
    if not lost:
        middle = settings.size_px // 2
        strehl = strehl_ratio(
            clean.image,
            clean.good > 0,
            (fit.x, fit.y),
            setup.anamorphism,
            float(cut[middle, middle]),
            item.ideal,
        )
    return StarFrame(
        psf=psf,
        xy=np.array([fit.x + cleaner.region.columns.start, fit.y + cleaner.region.rows.start]),
        flux=aperture_sum(psf, settings.aperture_fwhm * fwhm),
        fwhm_px=fit.fwhm,
        peak_adu=float(np.max(counts[core], initial=0.0)),
        background=None if thermal is None else thermal.plain(),
        lost=lost,
        strehl=strehl[0],
        strehl_err=strehl[1],
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


def _value(frame: StarFrame | str, name: str) -> float:
    if isinstance(frame, str) or frame.lost:
        return float("nan")
    return float(getattr(frame, name))


def _judged(taken: _Taken, settings: PhotometrySettings) -> list[str]:
    """Why each integration is left out, or nothing."""
    flux, width = taken.values("flux"), taken.values("fwhm_px")
    why = [""] * len(taken.names)
    for name in dict.fromkeys(name for name, _ in taken.names):
        # File by file: exposures before and after may differ as wholes.
        here = [i for i, (other, _) in enumerate(taken.names) if other == name]
        for i, text in zip(
            here, judged_frames(flux[:, here], width[:, here], settings), strict=True
        ):
            why[i] = text
    for row in taken.frames:
        for i, frame in enumerate(row):
            if isinstance(frame, str):
                why[i] = frame
            elif frame.lost:
                why[i] = f"core lost in saturation at {frame.peak_adu:.0f} adu"
    return why


def _table(taken: _Taken, why: list[str]) -> list[dict[str, Any]]:
    """Every integration: what was measured in both channels and why it is left out."""
    columns = {
        name: taken.values(name) for name in ("flux", "fwhm_px", "peak_adu", "strehl", "strehl_err")
    }
    return [
        {
            "archive_id": name,
            "plane": plane,
            "left_out": why[i] or None,
            **{
                key: [float(v) if np.isfinite(v) else None for v in values[:, i]]
                for key, values in columns.items()
            },
        }
        for i, (name, plane) in enumerate(taken.names)
    ]


def _combine(bench: Bench, taken: _Taken, settings: PhotometrySettings) -> FluxSolution:
    flags = taken.flags
    why = _judged(taken, settings)
    accepted = np.array([not text for text in why], dtype=bool)
    quality: dict[str, Any] = {
        "first_dropped": taken.first_dropped,
        "left_out": taken.left_out,
        "integrations": _table(taken, why),
    }
    if not accepted.any():
        count = len(bench.frames("FLUX"))
        reason = "no FLUX exposure" if not count else f"no usable star in {count} FLUX files"
        lost = [f for row in taken.frames for f in row if not isinstance(f, str) and f.lost]
        if lost:
            peak = max(frame.peak_adu for frame in lost)
            reason += f", the core is lost in saturation at {peak:.0f} adu"
            flags = [*flags, ("FLUX_SAT", reason)]
        elif any(why):
            reason += f" ({next(text for text in why if text)})"
        empty = np.full((2, 1, settings.size_px, settings.size_px), np.nan, dtype=np.float32)
        flags = [*flags, ("FLUX_MISSING", f"{reason}: contrast is not calibrated")]
        return FluxSolution(empty, np.empty(0), tuple(flags), {**quality, "frames": 0}, taken.files)
    kept = [
        [
            frame
            for frame, good in zip(row, accepted, strict=True)
            if good and not isinstance(frame, str)
        ]
        for row in taken.frames
    ]
    limit = bench.setup.device.linear_limit_adu or np.inf
    peak = max(frame.peak_adu for row in kept for frame in row)
    if peak > limit:
        reason = f"FLUX peaks at {peak:.0f} adu, above the linear limit of {limit:.0f} adu"
        flags = [*flags, ("FLUX_SAT", reason)]
    psf = np.stack([np.stack([frame.psf for frame in row]) for row in kept])
    figures = flux_quality(kept, accepted)
    of = [name for (name, _), good in zip(taken.names, accepted, strict=True) if good]
    figures["files"], figures["change"] = file_fluxes(kept, of)
    if figures["change"] > settings.largest_change:
        reason = (
            f"flux differs by {100 * figures['change']:.0f} % between FLUX files, at most "
            f"{100 * settings.largest_change:g} % is steady"
        )
        flags = [*flags, ("FLUX_UNSTABLE", reason)]
    if any(frame.background for row in kept for frame in row):
        figures["background"] = [[frame.background for frame in row] for row in kept]
    mjd = np.array(taken.mjd)[accepted]
    return FluxSolution(psf, mjd, tuple(flags), {**quality, **figures}, taken.files)
