"""Cases by this package: one function each, on the same arrays as the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anchors.inputs import Input
from anchors.job import Arrays, Job, Maker
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.combine import Combination
from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.kernels.parallel import map_ordered, worker_threads
from spheredc_hpc.kernels.psf import centred_psf, fit_psf
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.kernels.snr import aperture_map, t_statistic
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.sequence import Channel, Sequence, Star
from spheredc_hpc.level2.zones import Selection
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES

# Radius from which on the others cut the field into annuli [px].
INNER_PX = 4.0


def _channels(
    data: Input, inner_px: float = 0.0, outer_px: float | None = None
) -> tuple[Channel, ...]:
    """Frames of each wavelength with every pixel in the zone, as the other packages take them."""
    side = data.frames.shape[-1]
    core = centred_psf(data.psf, fit_psf(data.psf, data.fwhm_px), min(15, data.psf.shape[0]))
    middle = core.shape[0] // 2
    core /= aperture_sum(core, middle, middle, data.fwhm_px / 2)
    star = Star(Stamp.of(core), data.fwhm_px, data.star_flux, 0.0)
    angles = data.angles_deg
    everywhere = np.ones((side, side), bool)
    cube = data.frames.reshape(-1, angles.size, side, side)
    colours = data.wavelengths_um if data.wavelengths_um.size else [float("nan")]
    return tuple(
        Channel(
            frames,
            everywhere,
            everywhere,
            Rotation(angles, angles, angles),
            star,
            data.scale_mas,
            inner_px,
            float(side) if outer_px is None else outer_px,
            np.ones(angles.size),
            0.0,
            float(colour),
        )
        for frames, colour in zip(cube, colours, strict=True)
    )


def _method(
    algorithm: str, combination: Combination, rotation: str, settings: dict[str, Any]
) -> Method:
    entry = ALGORITHMS[algorithm]
    return Method(entry, entry.settings(**settings), combination, rotation)


def _reduced(channel: Channel, method: Method, threads: int) -> Job:
    """Images of every mode count, largest last and called ``image``."""

    def run() -> Arrays:
        with worker_threads(threads):
            found = Reduction(channel, method).by_count()
        *fewer, (_, most) = sorted(found.items())
        return {**{f"image_k{count}": image[0] for count, image in fewer}, "image": most[0]}

    def residuals() -> np.ndarray:
        with worker_threads(threads):
            return np.asarray(Reduction(channel, method).residuals())

    return Job(run, residuals)


def _whole(algorithm: str, rotation: str, **settings: Any) -> Maker:
    """Reduce all pixels as one zone, median of the derotated frames."""

    def make(data: Input, threads: int) -> Job:
        method = _method(algorithm, "median", rotation, settings)
        return _reduced(_channels(data)[0], method, threads)

    return make


def _rings(algorithm: str, width_px: Callable[[Input], float], **settings: Any) -> Maker:
    """Reduce annuli as VIP cuts them: so many of one width as fit, from `INNER_PX` on."""

    def make(data: Input, threads: int) -> Job:
        width = width_px(data)
        number = int((data.frames.shape[-1] / 2 - INNER_PX) / width)
        zones = {**settings.get("zones", {}), "annulus_fwhm": width / data.fwhm_px}
        rule = {"exclusion_fwhm": 0.5, "exclusion_measure": "tangent"}
        given = {**settings, "zones": zones, "references": rule, "centre": "none"}
        (channel,) = _channels(data, INNER_PX, INNER_PX + number * width)
        return _reduced(channel, _method(algorithm, "median", "interpolated", given), threads)

    return make


def _loci(**settings: Any) -> Maker:
    """Fit in the zones that are subtracted, all references that may serve."""
    zones = {"sectors": 4, "optimisation_area": None}
    return _rings("loci", lambda data: round(data.fwhm_px), zones=zones, **settings)


def _llsg(data: Input, threads: int) -> Job:
    """Annuli of two widths in quarters, the threshold's unit and the passes as published."""
    width = np.ceil(2 * data.fwhm_px)
    settings = {
        "n_modes": 5,
        "threshold": 1.0,
        "unit": "root",
        "iterations": 11,
        "zones": {"annulus_fwhm": width / data.fwhm_px, "sectors": 4},
    }
    number = data.frames.shape[-1] // 2 // width
    method = _method("llsg", "median", "interpolated", settings)
    return _reduced(_channels(data, 0.0, number * width)[0], method, threads)


def _klip(data: Input, threads: int) -> Job:
    """Annuli and sectors of pyKLIP: references whose companion is half a width away."""
    settings = {
        "n_modes": 20,
        "also_modes": (5,),
        "zones": {"annuli": 9, "sectors": 4},
        "references": {"exclusion_fwhm": 0.5},
        "centre": "spatial",
    }
    (channel,) = _channels(data, INNER_PX, data.frames.shape[-1] // 2)
    return _reduced(channel, _method("klip", "mean", "interpolated", settings), threads)


def _spectral(data: Input, threads: int, strategy: str, method: Method, inner_px: float) -> Job:
    """Align the speckles of all channels, reduce, average the channels."""
    channels = _channels(data, inner_px, data.frames.shape[-1] // 2)
    keep = Selection(np.ones(data.angles_deg.size, bool), ())
    prepared = Sequence(channels, keep)

    def run() -> Arrays:
        with worker_threads(threads):
            (rows,) = STRATEGIES[strategy].run(prepared)
            found = sorted(Reduction(rows, method).by_count().items())
        images = {f"image_k{count}": image.mean(axis=0) for count, image in found}
        return {**images, "image": images[f"image_k{found[-1][0]}"]}

    return Job(run)


def _asdi_klip(data: Input, threads: int) -> Job:
    settings = {
        "n_modes": 50,
        "also_modes": (5, 20),
        "zones": {"annuli": 5, "sectors": 4},
        "references": {"exclusion_fwhm": 1.0 / data.fwhm_px, "max_references": 150},
        "centre": "spatial",
    }
    method = _method("klip", "mean", "interpolated", settings)
    return _spectral(data, threads, "asdi", method, INNER_PX)


def _asdi_pca(data: Input, threads: int) -> Job:
    settings = {"n_modes": 5, "centre": "none"}
    method = _method("pca", "median", "interpolated", settings)
    return _spectral(data, threads, "asdi", method, 0.0)


def _asdi_two_step(data: Input, threads: int) -> Job:
    entry = ALGORITHMS["pca"]
    first, then = (entry.settings(n_modes=count, centre="none") for count in (1, 5))
    method = Method(entry, then, "median", "interpolated", first)
    return _spectral(data, threads, "asdi-two-step", method, 0.0)


def _rotation(data: Input, threads: int) -> Job:
    def turn(index: int) -> np.ndarray:
        return np.asarray(rotate_fft(data.frames[index], float(data.angles_deg[index])))

    def run() -> Arrays:
        with worker_threads(threads):
            return {"cube": np.stack(map_ordered(turn, range(data.angles_deg.size)))}

    return Job(run)


def _snr_map(data: Input, threads: int) -> Job:
    image = data.frames[0]

    def run() -> Arrays:
        with worker_threads(threads):
            return {"map": t_statistic(aperture_map(image, data.fwhm_px))[0]}

    return Job(run)


CASES: dict[str, Maker] = {
    "pca20_fft": _whole("pca", "fft", n_modes=20, centre="none"),
    "pca20_interp": _whole("pca", "interpolated", n_modes=20, centre="none"),
    "pca20_mean_interp": _whole("pca", "interpolated", n_modes=20, centre="temporal"),
    "annular_pca5": _rings("pca", lambda data: data.fwhm_px, n_modes=5),
    "klip_9x4": _klip,
    "loci_truncated": _loci(solution="truncated", tolerance=1e-2),
    "loci_ridge": _loci(solution="ridge"),
    "asdi_klip": _asdi_klip,
    "snr_map": _snr_map,
    "rotation": _rotation,
    "cadi_fft": _whole("cadi", "fft"),
    "cadi_interp": _whole("cadi", "interpolated"),
    "nmf": _whole("nmf", "interpolated", n_modes=5, max_iterations=100),
    "llsg": _llsg,
    "asdi_pca_joint": _asdi_pca,
    "asdi_pca_two_step": _asdi_two_step,
}
