"""Cases by the VIP package (Gomez Gonzalez et al. 2017, AJ 154, 7)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from vip_hci.metrics import contrast_curve, snrmap
from vip_hci.preproc import cube_derotate
from vip_hci.psfsub import llsg, median_sub, nmf, pca, pca_annular, xloci

from anchors.inputs import Input
from anchors.job import Arrays, Job, Maker

cv2.setNumThreads(1)

FFT = {"imlib": "vip-fft"}
OPENCV = {"imlib": "opencv", "interpolation": "lanczos4"}
INNER_PX = 4


def _image(frame: Any) -> Arrays:
    return {"image": np.asarray(frame)}


def _pca(n_modes: int, rotation: dict[str, str]) -> Maker:
    def make(data: Input, threads: int) -> Job:
        given = {"ncomp": n_modes, "nproc": threads, "verbose": False, **rotation}
        cube, angles = data.frames, data.angles_deg

        def residuals() -> np.ndarray:
            return np.asarray(pca(cube, angles, full_output=True, **given)[3])

        return Job(lambda: _image(pca(cube, angles, **given)), residuals)

    return make


def _cadi(rotation: dict[str, str]) -> Maker:
    def make(data: Input, threads: int) -> Job:
        given = {"nproc": threads, "verbose": False, **rotation}
        cube, angles = data.frames, data.angles_deg

        def residuals() -> np.ndarray:
            return np.asarray(median_sub(cube, angles, full_output=True, **given)[0])

        return Job(lambda: _image(median_sub(cube, angles, **given)), residuals)

    return make


def _annular(data: Input, threads: int) -> Job:
    given = {
        "ncomp": 5,
        "fwhm": data.fwhm_px,
        "asize": data.fwhm_px,
        "radius_int": INNER_PX,
        "delta_rot": 0.5,
        "n_segments": 1,
        "svd_mode": "lapack",
        "nproc": threads,
        "verbose": False,
        **OPENCV,
    }
    cube, angles = data.frames, data.angles_deg

    def residuals() -> np.ndarray:
        return np.asarray(pca_annular(cube, angles, full_output=True, **given)[0])

    return Job(lambda: _image(pca_annular(cube, angles, **given)), residuals)


def _loci(data: Input, threads: int) -> Job:
    given = {
        "fwhm": data.fwhm_px,
        "asize": round(data.fwhm_px),
        "radius_int": INNER_PX,
        "n_segments": 4,
        "delta_rot": 0.5,
        "dist_threshold": 100,
        "optim_scale_fact": 1,
        "solver": "lstsq",
        "nproc": threads,
        "verbose": False,
        **OPENCV,
    }
    cube, angles = data.frames, data.angles_deg

    def residuals() -> np.ndarray:
        return np.asarray(xloci(cube, angles, full_output=True, **given)[0])

    return Job(lambda: _image(xloci(cube, angles, **given)), residuals)


def _nmf(data: Input, threads: int) -> Job:
    # All pixels, as here; the default leaves out those that are negative in any frame.
    given = {"ncomp": 5, "max_iter": 100, "random_state": 0, "verbose": False, **OPENCV}
    given["handle_neg"] = "subtr_min"
    return Job(lambda: _image(nmf(data.frames, data.angles_deg, **given)))


def _llsg(data: Input, threads: int) -> Job:
    given = {
        "fwhm": data.fwhm_px,
        "rank": 5,
        "thresh": 1,
        "max_iter": 10,
        "random_seed": 1,
        "nproc": threads,
        "verbose": False,
        **OPENCV,
    }
    return Job(lambda: _image(llsg(data.frames, data.angles_deg, **given)))


def _asdi(mode: str) -> Maker:
    def make(data: Input, threads: int) -> Job:
        scale = data.wavelengths_um[-1] / data.wavelengths_um
        given = {
            "scale_list": scale,
            "adimsdi": mode,
            "ncomp": 5 if mode == "single" else (1, 5),
            "crop_ifs": True,
            "imlib2": "opencv",
            "nproc": threads,
            "verbose": False,
            **OPENCV,
        }
        return Job(lambda: _image(pca(data.frames, data.angles_deg, **given)))

    return make


def _rotation(options: dict[str, str]) -> Maker:
    def make(data: Input, threads: int) -> Job:
        def run() -> Arrays:
            turned = cube_derotate(data.frames, data.angles_deg, nproc=threads, **options)
            return {"cube": np.asarray(turned)}

        return Job(run)

    return make


def _snr_map(data: Input, threads: int) -> Job:
    image = data.frames[0].astype(float)
    given = {"fwhm": data.fwhm_px, "nproc": threads, "verbose": False, "plot": False}
    return Job(lambda: {"map": np.asarray(snrmap(image, **given))})


def _contrast(data: Input, threads: int) -> Job:
    given = {
        "fwhm": data.fwhm_px,
        "pxscale": data.scale_mas / 1000,
        "starphot": data.star_flux,
        "algo": pca_annular,
        "sigma": 5,
        "nbranch": 3,
        "plot": False,
        "verbose": False,
        "ncomp": 5,
        "asize": round(data.fwhm_px),
        "radius_int": INNER_PX,
        "delta_rot": 0.5,
        "nproc": threads,
        **OPENCV,
    }

    def run() -> Arrays:
        table = contrast_curve(data.frames, data.angles_deg, data.psf, **given)
        return {
            "radius_px": table["distance"].to_numpy(),
            "gaussian": table["sensitivity_gaussian"].to_numpy(),
            "student": table["sensitivity_student"].to_numpy(),
        }

    return Job(run)


CASES: dict[str, Maker] = {
    "pca20_fft": _pca(20, FFT),
    "pca20_interp": _pca(20, OPENCV),
    "cadi_fft": _cadi(FFT),
    "cadi_interp": _cadi(OPENCV),
    "annular_pca5": _annular,
    "loci": _loci,
    "nmf": _nmf,
    "llsg": _llsg,
    "asdi_pca_joint": _asdi("single"),
    "asdi_pca_two_step": _asdi("double"),
    "rotation": _rotation(FFT),
    "snr_map": _snr_map,
    "contrast": _contrast,
}
