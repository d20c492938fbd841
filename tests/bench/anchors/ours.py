"""Cases by this package: one function each, on the same arrays as the others."""

from __future__ import annotations

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


def _channel(data: Input) -> Channel:
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
        0.0,
        float(side),
        np.ones(angles.size),
        0.0,
    )


def _adi(algorithm: str, **settings: Any) -> Maker:
    """Reduce a sequence of one channel, median of the derotated frames."""

    def make(data: Input, threads: int) -> Job:
        channel = _channel(data)
        entry = ALGORITHMS[algorithm]
        method = Method(entry, entry.settings(**settings), "median")

        def run() -> Arrays:
            with worker_threads(threads):
                return {"image": Reduction(channel, method).image()}

        def residuals() -> np.ndarray:
            with worker_threads(threads):
                return np.asarray(Reduction(channel, method).residuals())

        return Job(run, residuals)

    return make


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
    "pca20_fft": _adi("pca", n_modes=20, centre="none"),
    "cadi_fft": _adi("cadi"),
    "rotation": _rotation,
    "snr_map": _snr_map,
}
