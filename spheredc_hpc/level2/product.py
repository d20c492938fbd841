"""The images, curves and figures that a reduction delivers, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.level2 import sequence, stack
from spheredc_hpc.level2.false_alarms import (
    LEAST_THRESHOLD,
    SearchArea,
    false_alarm_of_maximum,
    roughness,
)
from spheredc_hpc.level2.limits import Limits, labels_of
from spheredc_hpc.level2.scene import Scene
from spheredc_hpc.level2.snr import SnrMaps, snr_maps
from spheredc_hpc.level2.sources import Source
from spheredc_hpc.level2.table import source_rows
from spheredc_hpc.level2.transmission import Transmission
from spheredc_hpc.store.cube import Level1Cube
from spheredc_hpc.store.images import Level2Images

Frames = NDArray[np.float32]

_KEPT_ATTRS = ("observation", "target", "arm", "filter", "bands", "coronagraph", "date_obs")
_QUALITY_MAS = (300.0, 500.0, 1000.0, 2000.0)


@dataclass(frozen=True)
class Outcome:
    """All that a product is made of.

    Attributes
    ----------
    full, empty : Scene
        Reductions of the cube as it is and without its sources.
    sources : sequence of Source
        By falling S/N.
    limits : Limits
        For the assumed spectrum.
    other : Limits or None
        For a methane companion, where channels are subtracted from each other.
    keep : array of bool, shape (n_time,)
        Frames of the cube that were used.
    """

    full: Scene
    empty: Scene
    sources: Sequence[Source]
    limits: Limits
    other: Limits | None
    keep: NDArray[np.bool_]


def level2_images(
    cube: Level1Cube, recipe: Recipe, coronagraph: Transmission, outcome: Outcome
) -> Level2Images:
    """Put the product together.

    Parameters
    ----------
    cube : Level1Cube
        What was reduced.
    recipe : Recipe
        How.
    coronagraph : Transmission
        Of the cube.
    outcome : Outcome
        What was found.

    Returns
    -------
    Level2Images
    """
    full, limits = outcome.full, outcome.limits
    separation = limits.curves[0].radius_px * full.pixel_scale_mas
    transmission = coronagraph.at(separation)
    maps = _snr_of_channels(outcome, full.images, outcome.empty.images)
    rows = source_rows(coronagraph, full, outcome.sources)
    channels = full.channels
    return Level2Images(
        image=full.stack,
        image_corrected=stack.corrected_image(
            list(full.images[full.alive]), list(compress(limits.curves, full.alive))
        ),
        image_snr=_snr_of_stack(outcome).gaussian.astype(np.float32),
        image_contrast=limits.stack_contrast,
        image_throughput=limits.stack_throughput,
        cube=full.images,
        snr=np.stack([m.t for m in maps]).astype(np.float32),
        snr_gaussian=np.stack([m.gaussian for m in maps]).astype(np.float32),
        contrast=limits.contrast,
        throughput=np.stack([curve.throughput for curve in limits.curves]),
        transmission=np.broadcast_to(transmission, (len(channels), separation.size)).copy(),
        separation_mas=separation,
        mask=np.all(np.isfinite(full.images[full.alive]), axis=0),
        sources=rows.table,
        source_contrast=rows.contrast,
        source_contrast_err=rows.contrast_err,
        wavelength_um=cube.wavelength_um.copy(),
        pixel_scale_mas=np.full(len(channels), full.pixel_scale_mas),
        fwhm_px=full.widths_px,
        star_flux=np.array([channel.star.flux for channel in channels]),
        attrs=_attrs(cube, recipe, limits) | {"image_star_flux": _mean_flux(full)},
        **(_residuals(full, cube.mjd[outcome.keep]) if recipe.imaging.keep_residuals else {}),
        **_by_modes(outcome),
        **_t_type(outcome.other),
    )


def _snr_of_channels(outcome: Outcome, images: Frames, empty: Frames) -> list[SnrMaps]:
    """S/N of images of the channels, against rings without the sources and their lobes."""
    full = outcome.full
    return [
        snr_maps(image, width, labels_of(full, outcome.sources, width), empty=clean)
        for image, clean, width in zip(images, empty, full.widths_px.tolist(), strict=True)
    ]


def _snr_of_stack(outcome: Outcome) -> SnrMaps:
    full = outcome.full
    labels = labels_of(full, outcome.sources, full.fwhm_px)
    return snr_maps(full.stack, full.fwhm_px, labels, empty=outcome.empty.stack)


def _t_type(limits: Limits | None) -> dict[str, Any]:
    """Curves for a methane companion, if they were measured."""
    if limits is None:
        return {}
    return {
        "throughput_t_type": np.stack([curve.throughput for curve in limits.curves]),
        "contrast_t_type": limits.contrast,
        "image_contrast_t_type": limits.stack_contrast,
    }


def _by_modes(outcome: Outcome) -> dict[str, Any]:
    """Images and S/N for every mode count of the pass, if there are several."""
    counts = outcome.full.reductions[0].counts
    if len(counts) < 2:
        return {}
    cubes = _cubes(outcome.full, counts)
    same = outcome.empty.reductions is outcome.full.reductions
    clean = cubes if same else _cubes(outcome.empty, counts)
    maps = [
        [one.gaussian for one in _snr_of_channels(outcome, cube, without)]
        for cube, without in zip(cubes, clean, strict=True)
    ]
    return {
        "modes": np.array(counts, np.int64),
        "cube_by_modes": cubes,
        "snr_by_modes": np.array(maps, np.float32),
    }


def _cubes(scene: Scene, counts: Sequence[int]) -> Frames:
    """Images of all channels for several mode counts, (n_count, n_channel, side, side)."""
    others = [
        np.concatenate([as_numpy(reduction.images(number)) for reduction in scene.reductions])
        for number in range(1, len(counts))
    ]
    return np.stack([scene.images, *others])


def _mean_flux(full: Scene) -> float | None:
    """Flux of the star to which `image_corrected` refers [adu/s]."""
    known = np.array([channel.star.calibrated for channel in full.channels])
    return float(full.stack_flux[full.alive].mean()) if known[full.alive].all() else None


def _residuals(full: Scene, mjd: NDArray[np.float64]) -> dict[str, Any]:
    """Derotated residual frames, shape (n_channel, n_time, side, side), and their dates."""
    found = []
    for reduction in full.reductions:
        frames, targets = as_numpy(reduction.derotated()), reduction.rows.table.targets
        for own in reduction.imaging.by_channel(targets):
            time = reduction.rows.table.time[own]
            found.append(frames[np.searchsorted(targets, own[np.argsort(time)])])
    return {"residuals": np.stack(found), "residual_mjd": mjd}


def _attrs(cube: Level1Cube, recipe: Recipe, limits: Limits) -> dict[str, Any]:
    return {name: cube.attrs[name] for name in _KEPT_ATTRS if name in cube.attrs} | {
        "algorithm": recipe.algorithm,
        "strategy": recipe.strategy,
        "combination": recipe.imaging.combination,
        "channels": recipe.imaging.channels,
        "companion_spectrum": limits.spectrum.name,
        "companion_contrast": [round(float(value), 6) for value in limits.spectrum.contrast],
        "throughput_method": ", ".join(limits.how),
    }


def quality_of(
    prepared: sequence.Sequence, images: Level2Images, outcome: Outcome, detection_snr: float
) -> dict[str, Any]:
    """Figures for the receipt."""
    picked: dict[str, float | None] = {}
    for separation in _QUALITY_MAS:
        if images.separation_mas[0] <= separation <= images.separation_mas[-1]:
            at = int(np.argmin(np.abs(images.separation_mas - separation)))
            name = f"{separation:.0f}mas"
            arriving = float(outcome.limits.stack_throughput[at])
            picked[f"throughput_{name}"] = round(arriving, 4) if np.isfinite(arriving) else None
            value = float(images.image_contrast[1, at])
            picked[f"contrast_student_{name}"] = value if np.isfinite(value) else None
    return {
        "frames_used": int(prepared.selection.keep.sum()),
        "frames_rejected": int((~prepared.selection.keep).sum()),
        "field_rotation_deg": round(sequence.field_rotation_deg(prepared.channels[0].rotation), 4),
        "fwhm_px": [round(float(f), 4) for f in images.fwhm_px],
        "sources": len(outcome.sources),
        "false_alarm_of_stack": _false_alarm(outcome, detection_snr),
        "companion_spectrum": outcome.limits.spectrum.name,
        "throughput_method": ", ".join(outcome.limits.how),
        **picked,
    }


def _false_alarm(outcome: Outcome, detection_snr: float) -> float | None:
    """Probability that noise alone exceeds the threshold somewhere on the stack."""
    empty = outcome.empty
    radii = outcome.limits.curves[0].radius_px
    labels = labels_of(empty, outcome.sources, empty.fwhm_px)
    gaussian = snr_maps(empty.stack, empty.fwhm_px, labels).gaussian
    if detection_snr < LEAST_THRESHOLD:
        return None
    try:
        rough = roughness(gaussian, empty.fwhm_px)
    except DataError:
        return None
    area = SearchArea(float(radii[0]), float(radii[-1]), empty.fwhm_px, rough)
    return float(f"{false_alarm_of_maximum(detection_snr, area):.3g}")
