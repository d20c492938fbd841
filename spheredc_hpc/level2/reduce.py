"""Level 2 of one master cube by one recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level2 import sequence
from spheredc_hpc.level2.caveats import caveats_of, search_caveats, shortage_of
from spheredc_hpc.level2.device import CPU, Device
from spheredc_hpc.level2.diversity import Diversity, diversity_of
from spheredc_hpc.level2.engine import Method
from spheredc_hpc.level2.limits import Limits, Rings, measure_limits
from spheredc_hpc.level2.obstacles import obstacle
from spheredc_hpc.level2.product import Outcome, level2_images, quality_of
from spheredc_hpc.level2.references import References
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.scene import Scene, SceneMaker
from spheredc_hpc.level2.search import find_sources
from spheredc_hpc.level2.spectrum import T_TYPE, companion_spectrum
from spheredc_hpc.level2.throughput import Injection
from spheredc_hpc.level2.transmission import Transmission
from spheredc_hpc.model.product import Status
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES
from spheredc_hpc.store.cube import Level1Cube
from spheredc_hpc.store.images import Level2Images

Floats = NDArray[np.float64]

# An image below this part of the frames is what single precision leaves of equal ones.
_ROUND_OFF = 1e-6


@dataclass(frozen=True)
class Level2Result:
    """Outcome of a reduction.

    Attributes
    ----------
    images : Level2Images or None
        The product; None if it was rejected.
    status : Status
        What it is worth.
    reasons : tuple of str
        Why it is flagged or rejected, and which frames were left out.
    flags : tuple of str
        From `spheredc_hpc.model.quality.FLAGS`.
    quality : dict
        Figures for the receipt.
    """

    images: Level2Images | None
    status: Status
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    quality: dict[str, Any] = field(default_factory=dict)


def reduce(
    cube: Level1Cube,
    recipe: Recipe,
    threads: int = 1,
    constants: Constants | None = None,
    references: References | None = None,
    device: Device = CPU,
) -> Level2Result:
    """Make companion images, S/N maps, detection limits and a list of sources.

    Parameters
    ----------
    cube : Level1Cube
        Master cube; not changed.
    recipe : Recipe
        Algorithm, strategy and settings.
    threads : int
        Threads to use. The result does not depend on it.
    constants : Constants, optional
        Instrument constants, for coronagraph and spectra; the default table if absent.
    references : References, optional
        Frames of other stars, for the strategies that use them.
    device : Device
        Where the frames are reduced. Results differ by the rounding of float32.

    Returns
    -------
    Level2Result
        Rejected, with a reason, where the data do not allow the method.

    Raises
    ------
    DataError
        If no frame or no pixel can be used, or the references do not fit the cube.
    ResourceError
        If the frames do not fit on the device.
    """
    with worker_threads(threads), device.memory():
        return _reduced(cube, recipe, constants, references, device)


def _reduced(
    cube: Level1Cube,
    recipe: Recipe,
    constants: Constants | None,
    references: References | None,
    device: Device,
) -> Level2Result:
    strategy = STRATEGIES[recipe.strategy]
    diversity = diversity_of(strategy.run)
    used = references if diversity.library else None
    prepared = sequence.prepare(cube, recipe.imaging, used)
    reasons = (*prepared.selection.reasons, *_left_out(prepared))
    reason = obstacle(prepared, recipe, diversity)
    if reason:
        return Level2Result(None, Status.REJECTED, (reason, *reasons))
    rows = device.moved(strategy.run(prepared))
    method = _method(recipe, prepared, constants, diversity)
    maker = SceneMaker(rows, method, _gain(recipe, rows, constants))
    full = maker.scene()
    alive = _something_left(full)
    if not alive.any():
        reason = f"{recipe.algorithm} leaves nothing but round-off"
        return Level2Result(None, Status.REJECTED, (reason, *reasons))
    if not alive.all():
        maker = replace(maker, alive=alive)
        full = maker.finished(full)
    found = find_sources(full, maker, recipe.imaging.detection_snr)
    sources, empty = found.sources, found.empty
    full = replace(full, weights=empty.weights)
    case = _Case(cube, recipe, constants, diversity)
    rings = Rings.of(empty, sources, _separations(recipe, full))
    limits, other = case.limits(empty, rings)
    outcome = Outcome(full, empty, sources, limits, other, prepared.selection.keep)
    images = level2_images(cube, recipe, case.coronagraph, outcome)
    short = shortage_of(empty.reductions)
    caveats = (*caveats_of(empty.reductions, limits, short), *search_caveats(found.left))
    flags = tuple(sorted({*_flags(case, prepared), *(caveat.flag for caveat in caveats)}))
    status = Status.FLAGGED if flags else Status.OK
    quality = quality_of(prepared, images, outcome, recipe.imaging.detection_snr)
    quality["short_of_references"] = round(short.share, 4)
    reasons = (*(caveat.reason for caveat in caveats), *reasons)
    return Level2Result(images, status, reasons, flags, quality)


def _something_left(scene: Scene) -> NDArray[np.bool_]:
    """Channels whose images hold more than the round-off of frames in single precision."""
    found = []
    for reduction, part in zip(scene.reductions, scene.parts(), strict=True):
        rows = reduction.rows
        n = rows.frames.shape[0]
        some = np.stack([as_numpy(rows.frames[i, ...])[rows.zone] for i in (0, n // 2, n - 1)])
        least = _ROUND_OFF * float(np.abs(some).max() * rows.factor[rows.table.targets].max())
        found += [np.nanmax(np.abs(image), initial=0.0) > least for image in scene.images[part]]
    return np.array(found)


def _method(
    recipe: Recipe, prepared: sequence.Sequence, constants: Constants | None, diversity: Diversity
) -> Method:
    spectrum = None
    if diversity.wavelength:
        name = recipe.imaging.companion_spectrum
        spectrum = companion_spectrum(name, prepared.channels, constants).contrast
    return Method(
        ALGORITHMS[recipe.algorithm],
        recipe.settings,
        recipe.imaging.combination,
        recipe.imaging.rotation,
        first=recipe.first_step,
        spectrum=None if spectrum is None else tuple(spectrum.tolist()),
    )


def _left_out(prepared: sequence.Sequence) -> tuple[str, ...]:
    """Name the references that are not used."""
    left = () if prepared.library is None else prepared.library.left_out
    if not left:
        return ()
    named = ", ".join(left[:10]) + (" ..." if len(left) > 10 else "")
    return (f"{len(left)} references with too few valid pixels or one value in all: {named}",)


def _gain(recipe: Recipe, rows: Iterable[Rows], constants: Constants | None) -> Floats | None:
    """Flux of a companion in each channel, if channels are to be weighted for it."""
    channels = [channel for one in rows for channel in one.channels]
    if recipe.imaging.channels == "mean" or len(channels) == 1:
        return None
    spectrum = companion_spectrum(recipe.imaging.companion_spectrum, channels, constants)
    return np.array([one.star.unit_flux for one in channels]) * spectrum.contrast


def _separations(recipe: Recipe, scene: Scene) -> Floats:
    """Radii of the curves: one pixel apart, from the inner to the outer radius [mas]."""
    scale, imaging = scene.pixel_scale_mas, recipe.imaging
    first = np.ceil(max(imaging.inner_mas / scale, 1.0))
    last = min(np.floor(imaging.outer_mas / scale), scene.side // 2)
    if last < first:
        raise DataError("zone without a single whole radius")
    return np.asarray(np.arange(first, last + 1) * scale)


@dataclass(frozen=True)
class _Case:
    """What a reduction started from."""

    cube: Level1Cube
    recipe: Recipe
    constants: Constants | None
    diversity: Diversity

    @property
    def coronagraph(self) -> Transmission:
        """Coronagraph of the cube."""
        return Transmission.of(self.cube, self.constants)

    def limits(self, empty: Scene, rings: Rings) -> tuple[Limits, Limits | None]:
        """Limits for the assumed spectrum and, where it matters, for a methane companion."""
        imaging = self.recipe.imaging
        passed = self.coronagraph.at(rings.separation_mas)
        injection = Injection(imaging.throughput, imaging.throughput_branches)

        def measured(name: str) -> Limits:
            spectrum = companion_spectrum(name, empty.channels, self.constants)
            return measure_limits(empty, rings, spectrum, passed, injection)

        main = measured(imaging.companion_spectrum)
        if not self.diversity.wavelength:
            return main, None
        return main, main if main.spectrum.name == T_TYPE else measured(T_TYPE)


def _flags(case: _Case, prepared: sequence.Sequence) -> tuple[str, ...]:
    flags = {str(flag) for flag in case.cube.attrs.get("flags", ())}
    channel = prepared.channels[0]
    arc = np.deg2rad(sequence.field_rotation_deg(channel.rotation)) * channel.inner_px
    if not case.coronagraph.known:
        flags.add("CORO_UNCAL")
    if not all(one.star.calibrated for one in prepared.channels):
        flags.add("FLUX_MISSING")
    if prepared.selection.forced:
        flags.add("FRAMES_REJECTED")
    if prepared.selection.problem:
        flags.add("SELECTION_OFF")
    if case.diversity == Diversity(rotation=True) and arc < channel.star.fwhm_px:
        flags.add("ROTATION_SMALL")
    return tuple(sorted(flags))
