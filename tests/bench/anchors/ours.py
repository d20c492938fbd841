"""Cases by this package: one function each, on the same arrays as the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anchors.inputs import Input
from anchors.job import Arrays, Job, Maker
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.kernels.parallel import map_ordered, worker_threads
from spheredc_hpc.kernels.psf import centred_psf, fit_psf
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.kernels.snr import aperture_map, t_statistic
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.sequence import Channel, Star
from spheredc_hpc.registry import ALGORITHMS

# Radius from which on the others cut the field into annuli [px].
INNER_PX = 4.0


def _channel(data: Input, inner_px: float = 0.0, outer_px: float | None = None) -> Channel:
    """Frames of one wavelength with every pixel in the zone, as the other packages take them."""
    side = data.frames.shape[-1]
    core = centred_psf(data.psf, fit_psf(data.psf, data.fwhm_px), min(15, data.psf.shape[0]))
    middle = core.shape[0] // 2
    core /= aperture_sum(core, middle, middle, data.fwhm_px / 2)
    star = Star(Stamp.of(core), data.fwhm_px, data.star_flux, 0.0)
    angles = data.angles_deg
    everywhere = np.ones((side, side), bool)
    return Channel(
        data.frames,
        everywhere,
        everywhere,
        Rotation(angles, angles, angles),
        star,
        data.scale_mas,
        inner_px,
        float(side) if outer_px is None else outer_px,
        np.ones(angles.size),
        0.0,
    )


def _method(algorithm: str, combination: str, rotation: str, settings: dict[str, Any]) -> Method:
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
        return _reduced(_channel(data), method, threads)

    return make


def _rings(algorithm: str, width_px: Callable[[Input], float], **settings: Any) -> Maker:
    """Reduce annuli as VIP cuts them: so many of one width as fit, from `INNER_PX` on."""

    def make(data: Input, threads: int) -> Job:
        width = width_px(data)
        number = int((data.frames.shape[-1] / 2 - INNER_PX) / width)
        zones = {**settings.get("zones", {}), "annulus_fwhm": width / data.fwhm_px}
        rule = {"exclusion_fwhm": 0.5, "exclusion_measure": "tangent"}
        given = {**settings, "zones": zones, "references": rule, "centre": "none"}
        channel = _channel(data, INNER_PX, INNER_PX + number * width)
        return _reduced(channel, _method(algorithm, "median", "interpolated", given), threads)

    return make


def _loci(**settings: Any) -> Maker:
    """Fit in the zones that are subtracted, all references that may serve."""
    zones = {"sectors": 4, "optimisation_area": None}
    return _rings("loci", lambda data: round(data.fwhm_px), zones=zones, **settings)


def _klip(data: Input, threads: int) -> Job:
    """Annuli and sectors of pyKLIP: references whose companion is half a width away."""
    settings = {
        "n_modes": 20,
        "also_modes": (5,),
        "zones": {"annuli": 9, "sectors": 4},
        "references": {"exclusion_fwhm": 0.5},
        "centre": "spatial",
    }
    channel = _channel(data, INNER_PX, data.frames.shape[-1] // 2)
    return _reduced(channel, _method("pca", "mean", "interpolated", settings), threads)


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
    "annular_pca5": _rings("pca", lambda data: data.fwhm_px, n_modes=5),
    "klip_9x4": _klip,
    "loci_truncated": _loci(solution="truncated", tolerance=1e-2),
    "loci_ridge": _loci(solution="ridge"),
    "cadi_fft": _whole("cadi", "fft"),
    "rotation": _rotation,
    "snr_map": _snr_map,
}
