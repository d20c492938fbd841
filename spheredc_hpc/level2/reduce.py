"""Level 2 of one master cube by one recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level2 import contrast, sequence, stack, table
from spheredc_hpc.level2.engine import Method
from spheredc_hpc.level2.scene import Scene, scene_without
from spheredc_hpc.level2.snr import SnrMaps, snr_maps, source_labels
from spheredc_hpc.level2.sources import LABEL_FWHM, Source, find_sources
from spheredc_hpc.level2.throughput import Injection, measure_throughput
from spheredc_hpc.level2.transmission import Transmission
from spheredc_hpc.model.product import Status
from spheredc_hpc.registry import ALGORITHMS
from spheredc_hpc.store.cube import Level1Cube
from spheredc_hpc.store.images import Level2Images

Floats = NDArray[np.float64]


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
    cube: Level1Cube, recipe: Recipe, threads: int = 1, constants: Constants | None = None
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
        Instrument constants, for the coronagraph; the default table if absent.

    Returns
    -------
    Level2Result
        Rejected, with a reason, where the data do not allow the method.

    Raises
    ------
    DataError
        If no frame or no pixel can be used.
    """
    entry = ALGORITHMS[recipe.algorithm]
    method = Method(entry, recipe.settings, recipe.imaging.combination)
    with worker_threads(threads):
        prepared = sequence.prepare(cube, recipe.imaging)
        turn = sequence.field_rotation_deg(prepared.channels[0].rotation)
        reason = _obstacle(prepared, recipe, turn)
        if reason:
            return Level2Result(None, Status.REJECTED, (reason, *prepared.selection.reasons))
        full = scene_without(prepared.channels, method)
        if not any(np.nanmax(np.abs(image), initial=0.0) > 0 for image in full.images):
            return Level2Result(None, Status.REJECTED, (f"{recipe.algorithm} leaves nothing",))
        sources, empty = find_sources(full, prepared.channels, method, recipe.imaging.detection_snr)
        case = _Case(cube, recipe, prepared, Transmission.of(cube, constants))
        return _finished(case, full, sources, empty)


def _obstacle(prepared: sequence.Sequence, recipe: Recipe, turn_deg: float) -> str:
    """Why the data do not allow the method, or nothing."""
    count = int(prepared.selection.keep.sum())
    if recipe.strategy == "none" or recipe.algorithm == "noadi":
        return ""
    if count < 2:
        return f"{count} usable frame: angular differential imaging needs at least 2"
    channel = prepared.channels[0]
    # The frames may end before the zone does.
    arc = np.deg2rad(turn_deg) * min(channel.outer_px, channel.zone.shape[0] // 2)
    if arc < channel.star.fwhm_px:
        return (
            f"field rotation {turn_deg:.2f} deg: {arc:.2f} px at the outer radius, less than "
            f"one FWHM of {channel.star.fwhm_px:.2f} px"
        )
    modes = getattr(recipe.settings, "n_modes", 0)
    if modes >= count - 1:
        return f"{modes} modes of {count} frames leave nothing"
    return ""


def _separations(imaging: ImagingSettings, prepared: sequence.Sequence) -> Floats:
    """Radii of the curves: one pixel apart, from the inner to the outer radius [mas]."""
    scale = float(np.mean([channel.pixel_scale_mas for channel in prepared.channels]))
    half = prepared.channels[0].zone.shape[0] // 2
    first = np.ceil(max(imaging.inner_mas / scale, 1.0))
    last = min(np.floor(imaging.outer_mas / scale), half)
    if last < first:
        raise DataError("zone without a single whole radius")
    return np.asarray(np.arange(first, last + 1) * scale)


def _curves(
    imaging: ImagingSettings, empty: Scene, sources: Sequence[Source], separation_mas: Floats
) -> list[stack.Curves]:
    """Noise and throughput of every channel, sources absent."""
    curves = []
    for reduction, image in zip(empty.reductions, empty.images, strict=True):
        channel = reduction.channel
        radius = separation_mas / channel.pixel_scale_mas
        labels = _labels(image.shape[0], sources, channel.star.fwhm_px)
        noise, elements = contrast.noise_curve(image, channel.star.fwhm_px, radius, labels)
        injection = Injection(imaging.throughput, imaging.throughput_branches)
        measured = measure_throughput(reduction, image[None], injection)
        curves.append(
            stack.Curves(radius, noise, elements, measured.at(radius)[0], channel.star.unit_flux)
        )
    return curves


def _labels(side: int, sources: Sequence[Source], fwhm_px: float) -> NDArray[np.int32]:
    return source_labels(side, [source.place for source in sources], LABEL_FWHM * fwhm_px)


@dataclass(frozen=True)
class _Case:
    """What a reduction started from."""

    cube: Level1Cube
    recipe: Recipe
    prepared: sequence.Sequence
    coronagraph: Transmission


def _finished(case: _Case, full: Scene, sources: Sequence[Source], empty: Scene) -> Level2Result:
    """Measure limits and statistics and put the product together."""
    cube, recipe, prepared = case.cube, case.recipe, case.prepared
    channels = prepared.channels
    separation = _separations(recipe.imaging, prepared)
    curves = _curves(recipe.imaging, empty, sources, separation)
    transmission = case.coronagraph.at(separation)
    flux = np.array([channel.star.flux for channel in channels])
    each = [
        contrast.contrast_curves(c.noise, c.elements, f, c.throughput, transmission)
        for c, f in zip(curves, flux, strict=True)
    ]
    together = _stack_contrast(empty, sources, curves, separation, transmission, flux)
    maps = _snr_of_channels(full, sources, empty)
    rows = table.source_rows(case.coronagraph, channels, sources, full.side)
    flags = _flags(cube, prepared, case.coronagraph.known, flux)
    mask = np.all(np.isfinite(np.stack(full.images)), axis=0)
    images = Level2Images(
        image=full.stack,
        image_corrected=stack.corrected_image(full.images, curves),
        image_snr=_snr_of_stack(full, sources, empty).gaussian.astype(np.float32),
        image_contrast=together,
        cube=np.stack(full.images),
        snr=np.stack([m.t for m in maps]).astype(np.float32),
        snr_gaussian=np.stack([m.gaussian for m in maps]).astype(np.float32),
        contrast=np.stack(each, axis=1),
        throughput=np.stack([c.throughput for c in curves]),
        transmission=np.broadcast_to(transmission, (len(channels), separation.size)).copy(),
        separation_mas=separation,
        mask=mask,
        sources=rows.table,
        source_contrast=rows.contrast,
        source_contrast_err=rows.contrast_err,
        wavelength_um=cube.wavelength_um.copy(),
        pixel_scale_mas=cube.pixel_scale_mas.copy(),
        fwhm_px=np.array([channel.star.fwhm_px for channel in channels]),
        star_flux=flux,
        residuals=_residuals(recipe, full),
        attrs=_attrs(cube, recipe),
    )
    status = Status.FLAGGED if flags else Status.OK
    quality = _quality(prepared, images, sources)
    return Level2Result(images, status, prepared.selection.reasons, flags, quality)


def _snr_of_channels(full: Scene, sources: Sequence[Source], empty: Scene) -> list[SnrMaps]:
    """S/N of each channel, against rings without the sources and their lobes."""
    widths = [reduction.channel.star.fwhm_px for reduction in full.reductions]
    return [
        snr_maps(image, width, _labels(full.side, sources, width), empty=clean)
        for image, clean, width in zip(full.images, empty.images, widths, strict=True)
    ]


def _snr_of_stack(full: Scene, sources: Sequence[Source], empty: Scene) -> SnrMaps:
    labels = _labels(full.side, sources, full.fwhm_px)
    return snr_maps(full.stack, full.fwhm_px, labels, empty=empty.stack)


def _stack_contrast(
    empty: Scene,
    sources: Sequence[Source],
    curves: Sequence[stack.Curves],
    separation_mas: Floats,
    transmission: Floats,
    flux: Floats,
) -> Floats:
    """Contrast of the stacked image for a companion with the colour of the star."""
    scale = float(np.mean([r.channel.pixel_scale_mas for r in empty.reductions]))
    labels = _labels(empty.stack.shape[0], sources, empty.fwhm_px)
    noise, elements = contrast.noise_curve(
        empty.stack, empty.fwhm_px, separation_mas / scale, labels
    )
    throughput = stack.stacked_throughput(curves)
    return contrast.contrast_curves(noise, elements, float(np.mean(flux)), throughput, transmission)


def _residuals(recipe: Recipe, full: Scene) -> NDArray[np.float32] | None:
    if not recipe.imaging.keep_residuals:
        return None
    return np.stack([reduction.derotated() for reduction in full.reductions])


def _attrs(cube: Level1Cube, recipe: Recipe) -> dict[str, Any]:
    kept = ("observation", "target", "arm", "filter", "bands", "coronagraph", "date_obs")
    return {name: cube.attrs[name] for name in kept if name in cube.attrs} | {
        "algorithm": recipe.algorithm,
        "strategy": recipe.strategy,
        "combination": recipe.imaging.combination,
        "companion_spectrum": "star",
    }


def _flags(
    cube: Level1Cube, prepared: sequence.Sequence, has_curve: bool, flux: Floats
) -> tuple[str, ...]:
    flags = {str(flag) for flag in cube.attrs.get("flags", ())}
    channel = prepared.channels[0]
    arc = np.deg2rad(sequence.field_rotation_deg(channel.rotation)) * channel.inner_px
    if not has_curve:
        flags.add("CORO_UNCAL")
    if not np.isfinite(flux).all():
        flags.add("FLUX_MISSING")
    if not prepared.selection.keep.all():
        flags.add("FRAMES_REJECTED")
    if arc < channel.star.fwhm_px:
        flags.add("ROTATION_SMALL")
    return tuple(sorted(flags))


def _quality(
    prepared: sequence.Sequence, images: Level2Images, sources: Sequence[Source]
) -> dict[str, Any]:
    picked: dict[str, float | None] = {}
    for separation in (300.0, 500.0, 1000.0, 2000.0):
        if images.separation_mas[0] <= separation <= images.separation_mas[-1]:
            at = int(np.argmin(np.abs(images.separation_mas - separation)))
            name = f"{separation:.0f}mas"
            picked[f"throughput_{name}"] = round(float(images.throughput[:, at].mean()), 4)
            value = float(images.image_contrast[1, at])
            picked[f"contrast_student_{name}"] = value if np.isfinite(value) else None
    return {
        "frames_used": int(prepared.selection.keep.sum()),
        "frames_rejected": int((~prepared.selection.keep).sum()),
        "field_rotation_deg": round(sequence.field_rotation_deg(prepared.channels[0].rotation), 4),
        "fwhm_px": [round(float(f), 4) for f in images.fwhm_px],
        "sources": len(sources),
        **picked,
    }
