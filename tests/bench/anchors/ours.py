"""Cases by this package: one function each, on the same arrays as the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anchors.inputs import Input
from anchors.job import Arrays, Job, Maker
from anchors.ours_limits import contrast, contrast_crowded
from anchors.ours_method import INNER_PX, channels, method_of, ring_settings
from spheredc_hpc.kernels.parallel import map_ordered, worker_threads
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.kernels.snr import aperture_map, t_statistic
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.sequence import Channel, Sequence
from spheredc_hpc.level2.zones import Selection
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES


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
        method = method_of(algorithm, "median", rotation, settings)
        return _reduced(channels(data)[0], method, threads)

    return make


def _rings(algorithm: str, width_px: Callable[[Input], float], **settings: Any) -> Maker:
    """Reduce annuli as VIP cuts them, median of the derotated frames."""

    def make(data: Input, threads: int) -> Job:
        given, outer_px = ring_settings(data, width_px(data))
        zones = {**settings.get("zones", {}), **given["zones"]}
        method = method_of(
            algorithm, "median", "interpolated", {**given, **settings, "zones": zones}
        )
        (channel,) = channels(data, INNER_PX, outer_px)
        return _reduced(channel, method, threads)

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
    method = method_of("llsg", "median", "interpolated", settings)
    return _reduced(channels(data, 0.0, number * width)[0], method, threads)


def _klip(data: Input, threads: int) -> Job:
    """Annuli and sectors of pyKLIP: references whose companion is half a width away."""
    settings = {
        "n_modes": 20,
        "also_modes": (5,),
        "zones": {"annulus_fwhm": None, "annuli": 9, "sectors": 4},
        "references": {"exclusion_fwhm": 0.5},
        "centre": "spatial",
    }
    (channel,) = channels(data, INNER_PX, data.frames.shape[-1] // 2)
    return _reduced(channel, method_of("klip", "mean", "interpolated", settings), threads)


def _spectral(data: Input, threads: int, strategy: str, method: Method, inner_px: float) -> Job:
    """Align the speckles of all channels, reduce, average the channels."""
    given = channels(data, inner_px, data.frames.shape[-1] // 2)
    prepared = Sequence(given, Selection(np.ones(data.angles_deg.size, bool), ()))

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
        "zones": {"annulus_fwhm": None, "annuli": 5, "sectors": 4},
        "references": {"exclusion_fwhm": 1.0 / data.fwhm_px, "max_references": 150},
        "centre": "spatial",
    }
    method = method_of("klip", "mean", "interpolated", settings)
    return _spectral(data, threads, "asdi", method, INNER_PX)


def _asdi_pca(data: Input, threads: int) -> Job:
    settings = {"n_modes": 5, "centre": "none"}
    method = method_of("pca", "median", "interpolated", settings)
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
    "loci_ridge": _loci(solution="ridge", strength=1e-3),
    "asdi_klip": _asdi_klip,
    "snr_map": _snr_map,
    "contrast": contrast,
    "contrast_crowded": contrast_crowded,
    "rotation": _rotation,
    "cadi_fft": _whole("cadi", "fft"),
    "cadi_interp": _whole("cadi", "interpolated"),
    "nmf": _whole("nmf", "interpolated", n_modes=5, max_iterations=100),
    "llsg": _llsg,
    "asdi_pca_joint": _asdi_pca,
    "asdi_pca_two_step": _asdi_two_step,
}
