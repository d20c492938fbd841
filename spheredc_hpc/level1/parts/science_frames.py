"""From OBJECT exposures to the stack of recentred frames with weights and figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.badpixels import HitFilter
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.resample import recentring_grid, resample, resample_weight
from spheredc_hpc.level1.io import Flag, Floats, Header, Image
from spheredc_hpc.level1.parts.backgrounds import (
    BackgroundFit,
    BackgroundModel,
    background_models,
)
from spheredc_hpc.level1.parts.centres import CentreSolution
from spheredc_hpc.level1.parts.cosmetics import FieldCleaner, hit_filter
from spheredc_hpc.level1.parts.selection import (
    METRICS,
    Annuli,
    FrameFigures,
    SelectionSettings,
    correlations,
    elongation,
    frame_figures,
    loop_closed,
    select,
)
from spheredc_hpc.level1.parts.setup import Bench, Exposure
from spheredc_hpc.level1.parts.timing import FrameTimes
from spheredc_hpc.model.frame import FrameRef

logger = logging.getLogger(__name__)

# Room around the crop for dither, drift and the reach of the interpolation [px].
MARGIN_PX = 16.0
# A file is read while the one before it is worked on if it needs no more than this.
AHEAD_BYTES = 512 * 1024**2


@dataclass
class Stack:
    """Frames as they are made; row `i` of everything belongs to plane `i` of the sequence.

    Attributes
    ----------
    science, weight : array, shape (2, n, size, size)
        Recentred frames [adu/s] and their inverse variance.
    centre, centre_error : array, shape (2, n, 2)
        Star on the field [px].
    quality : array, shape (n, len(METRICS))
    kept : array of bool, shape (n,)
    dither : array, shape (n, 2)
    names : list of str
    files : list of (header, FrameTimes)
    reasons : list of str
        Why planes and files were left out.
    backgrounds : dict
        Fit of the background of each channel, by name of the frame.
    """

    science: Image
    weight: Image
    centre: Floats
    centre_error: Floats
    quality: Floats
    kept: np.ndarray[Any, np.dtype[np.bool_]]
    dither: Floats
    names: list[str] = field(default_factory=list)
    files: list[tuple[Header, FrameTimes]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    halos: list[list[Image]] = field(default_factory=list)
    backgrounds: dict[str, list[BackgroundFit | None]] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int, size: int) -> Stack:
        """Reserve room for `n` planes of two channels."""
        return cls(
            science=np.empty((2, n, size, size), dtype=np.float32),
            weight=np.empty((2, n, size, size), dtype=np.float32),
            centre=np.full((2, n, 2), np.nan),
            centre_error=np.full((2, n, 2), np.nan),
            quality=np.full((n, len(METRICS)), np.nan),
            kept=np.zeros(n, dtype=bool),
            dither=np.zeros((n, 2)),
        )


@dataclass(frozen=True)
class _Channel:
    """What serves all planes of one channel of one file."""

    cleaner: FieldCleaner
    background: BackgroundModel | None
    hits: HitFilter | None
    annuli: Annuli
    raw: Image
    centre: Floats


@dataclass(frozen=True)
class _PlaneResult:
    figures: FrameFigures
    nan_fraction: float
    hits: int
    saturated: int
    background: BackgroundFit | None


def reduce_science(
    bench: Bench, centres: CentreSolution, size: int, selection: SelectionSettings
) -> Stack:
    """Clean, recentre and judge every plane of the science files.

    Parameters
    ----------
    bench : Bench
    centres : CentreSolution
    size : int
        Side of the frames [px].
    selection : SelectionSettings

    Returns
    -------
    Stack
        Frames that were left out have ``kept`` False; their pixels are undefined.
    """
    refs = bench.frames("OBJECT")
    stack = Stack.empty(sum(max(ref.n_planes, 1) for ref in refs), size)
    waiting: Exposure | DataError | None = None
    for ref, following in zip(refs, [*refs[1:], None], strict=True):
        exposure = _read(bench, ref) if waiting is None else waiting
        waiting = None
        reads = [partial(_read, bench, following)] if following and _small(bench, following) else []
        if isinstance(exposure, DataError):
            stack.reasons.append(f"{ref.archive_id}: {exposure}")
            logger.warning("science file left out: %s", exposure)
            continue
        _grow(stack, len(stack.names) + len(exposure.planes))
        waiting = _add_file(bench, stack, exposure, centres, selection, reads)
        del exposure
    _judge(stack, selection)
    return stack


def _small(bench: Bench, ref: FrameRef) -> bool:
    """Whether a file may lie in memory beside the one that is worked on."""
    rows, columns = bench.setup.device.shape
    return ref.n_planes * rows * columns * 4 <= AHEAD_BYTES


def _read(bench: Bench, ref: FrameRef) -> Exposure | DataError:
    try:
        return bench.read(ref)
    except DataError as error:
        return error


def _grow(stack: Stack, needed: int) -> None:
    """Make room where a file holds more planes than the plan said."""
    missing = needed - len(stack.kept)
    if missing <= 0:
        return
    for name in ("science", "weight", "centre", "centre_error"):
        old = getattr(stack, name)
        extra = np.full((old.shape[0], missing, *old.shape[2:]), np.nan, dtype=old.dtype)
        setattr(stack, name, np.concatenate([old, extra], axis=1))
    for name in ("quality", "kept", "dither"):
        old = getattr(stack, name)
        extra = np.zeros((missing, *old.shape[1:]), dtype=old.dtype)
        setattr(stack, name, np.concatenate([old, extra]))


def _add_file(
    bench: Bench,
    stack: Stack,
    exposure: Exposure,
    centres: CentreSolution,
    selection: SelectionSettings,
    reads: Sequence[Callable[[], Exposure | DataError]],
) -> Exposure | DataError | None:
    """Work on the planes of one file; what `reads` gives, which runs beside them."""
    first, n = len(stack.names), len(exposure.planes)
    rows = slice(first, first + n)
    stack.names += [exposure.name(plane) for plane in range(n)]
    stack.files.append((exposure.header, exposure.times))
    stack.flags += exposure.times.flags
    stack.dither[rows] = exposure.dither
    for channel, model in enumerate(centres.models):
        position = model.at(exposure.times.mid_mjd, exposure.dither)
        stack.centre[channel, rows], stack.centre_error[channel, rows] = position
    closed = loop_closed(exposure.header)
    if not closed and selection.reject_open_loop:
        stack.reasons += [f"{name}: adaptive optics not closed" for name in stack.names[rows]]
        stack.halos += [[] for _ in range(n)]
        return None
    channels = _channels(bench, exposure, stack, rows, selection)
    limit = bench.settings.largest_nan_fraction

    def process(plane: int, channel: int) -> _PlaneResult | float:
        place = stack.science[channel, first + plane], stack.weight[channel, first + plane]
        return _process(channels[channel], plane, exposure.times.dit_s, place, bench, limit)

    work: list[Callable[[], Any]] = [*reads]
    work += [partial(process, plane, channel) for plane in range(n) for channel in (0, 1)]
    results = map_ordered(lambda task: task(), work)
    waiting = results.pop(0) if reads else None
    for plane in range(n):
        pair = results[2 * plane : 2 * plane + 2]
        _record(stack, first + plane, pair, closed)
    return waiting


def _channels(
    bench: Bench, exposure: Exposure, stack: Stack, rows: slice, selection: SelectionSettings
) -> list[_Channel]:
    setup, size = bench.setup, stack.science.shape[-1]
    dit_s, settings = exposure.times.dit_s, bench.settings
    cleaners = bench.cleaners("OBJECT", dit_s, size / 2 + MARGIN_PX)
    backgrounds = background_models(bench, "OBJECT", dit_s)
    return [
        _Channel(
            cleaner=cleaner,
            background=backgrounds[channel],
            hits=hit_filter(setup.fwhm_px[channel], settings),
            annuli=Annuli.of(
                size, setup.scale_mas[channel], selection, setup.resolution_px[channel]
            ),
            raw=exposure.field(channel),
            centre=stack.centre[channel, rows],
        )
        for channel, cleaner in enumerate(cleaners)
    ]


def _process(
    channel: _Channel,
    plane: int,
    dit_s: float,
    place: tuple[Image, Image],
    bench: Bench,
    largest_nan_fraction: float,
) -> _PlaneResult | float:
    """Clean and recentre one plane into its place; the share of NaN if that is too large."""
    cleaner, raw = channel.cleaner, channel.raw[plane]
    star = (float(channel.centre[plane, 0]), float(channel.centre[plane, 1]))
    extra, fit = None, None
    if channel.background is not None:
        outside = bench.settings.scale_outside_px
        extra, fit = channel.background.correction(raw, star, outside, cleaner.region)
    clean = cleaner.clean(raw, channel.hits, extra, reuse=True)
    if clean.nan_fraction > largest_nan_fraction:
        return clean.nan_fraction
    variance = cleaner.variance(clean.image, bench.settings.noise_box_px, reuse=True)
    science, weight = place
    size = science.shape[0]
    grid = recentring_grid(
        cleaner.region.local(star), bench.setup.anamorphism, size, cleaner.region.shape
    )
    resample(clean.image, grid, 1 / dit_s, science)
    resample_weight(variance, clean.good, grid, dit_s**2, weight)
    figures = frame_figures(science, channel.annuli)
    return _PlaneResult(figures, clean.nan_fraction, clean.hits, clean.saturated, fit)


def _record(stack: Stack, row: int, pair: list[_PlaneResult | float], closed: bool) -> None:
    results = [item for item in pair if isinstance(item, _PlaneResult)]
    if len(results) < len(pair):
        worst = max(item for item in pair if isinstance(item, float))
        stack.reasons.append(f"{stack.names[row]}: {100 * worst:.1f} % of its pixels have no value")
        stack.halos.append([])
        return
    stack.kept[row] = True
    stack.halos.append([result.figures.halo for result in results])
    stack.backgrounds[stack.names[row]] = [result.background for result in results]
    figures = [result.figures for result in results]
    stack.quality[row] = [
        sum(figure.flux for figure in figures),
        sum(figure.flux_ring for figure in figures),
        float(np.mean([figure.asymmetry for figure in figures])),
        np.nan,
        float(np.mean([figure.background for figure in figures])),
        max(result.nan_fraction for result in results),
        sum(result.hits for result in results),
        sum(result.saturated for result in results),
        float(closed),
        float(np.mean([figure.intensity_10 for figure in figures])),
        *elongation([figure.stretch for figure in figures]),
    ]


def _judge(stack: Stack, selection: SelectionSettings) -> None:
    """Correlate the halos of the frames kept so far and leave out odd ones."""
    n = len(stack.names)
    stack.kept[n:] = False
    rows = np.nonzero(stack.kept)[0]
    if len(rows) == 0:
        return
    halos = [np.stack([stack.halos[row][channel] for row in rows]) for channel in (0, 1)]
    column = METRICS.index("correlation")
    stack.quality[rows, column] = np.mean([correlations(halo) for halo in halos], axis=0)
    names = [stack.names[row] for row in rows]
    kept, reasons, flags = select(stack.quality[rows], names, selection)
    stack.kept[rows[~kept]] = False
    stack.reasons += reasons
    stack.flags += flags


def compact(images: Image, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Image:
    """Move the frames that are kept to the front, in place, and give a view of them."""
    for channel in images:
        for target, source in enumerate(np.nonzero(kept)[0]):
            if target != source:
                channel[target] = channel[source]
    return images[:, : int(kept.sum())]
