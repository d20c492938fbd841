"""What is computed on the CPU and elsewhere, and has to agree: kernels, methods, sequences."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import synthetic_ifs
import synthetic_sequence

from spheredc_hpc.config.recipe import ImagingSettings
from spheredc_hpc.kernels import (
    accumulate,
    aperture,
    arrays,
    coefficients,
    combine,
    fourier,
    lowrank,
    modes,
    nmf,
    profile,
    rotate,
    sample,
    warp,
)
from spheredc_hpc.level2.engine import Method
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES


def _random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def _smooth(*shape, seed=0):
    """Images sampled well enough to be turned."""
    image = _random(*shape, seed=seed)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[-1]), np.fft.fftfreq(shape[-2])))
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-60 * k**2)).real.astype(np.float32)


def _problem(stack=(), n=14, equal=False):
    """Gram matrices of full rank, every other row as target, some rows left out."""
    rows = _random(*stack, n, 60, seed=3)
    rng = np.random.default_rng(4)
    allowed = np.ones((*stack, n // 2, n), bool) if equal else rng.random((*stack, n // 2, n)) > 0.3
    targets = np.arange(0, n, 2)
    if not equal:
        allowed[..., np.arange(targets.size), targets] = False
    return rows @ np.swapaxes(rows, -1, -2), targets, allowed


ROWS = _random(9, 500).astype(np.float32)
FRAMES = _smooth(7, 31, 31)
VALID = np.random.default_rng(1).random(FRAMES.shape) > 0.2
WEIGHTS = np.linspace(1, 2, 7)
ANGLES = [0.0, 12.5, -38.0, 90.0, 133.3, 250.0, -80.0]
SCALES = [1.0, 1.0, 1.2, 1.1, 0.9, 1.05, 1.3]
_SOLVERS = {
    "klip": partial(coefficients.truncated_coefficients, counts=(1, 4, 30)),
    "truncated": partial(coefficients.thresholded_coefficients, tolerance=1e-3),
    "ridge": partial(coefficients.ridge_coefficients, strength=1e-3),
    "positive": coefficients.positive_coefficients,
}
_PROBLEMS = {
    "one": _problem(),
    "shared": _problem(equal=True),
    "stack": _problem((5,)),
    "shared-stack": _problem((5,), equal=True),
}
_HELD = np.flatnonzero(np.random.default_rng(2).random(31 * 31) > 0.3)


def _sampled(values):
    place = np.full(31 * 31, -1)
    place[_HELD] = np.arange(_HELD.size)
    rng = np.random.default_rng(5)
    return sample.sample_held(values, place, *rng.uniform(-5, 36, (2, 7, 20)))


def _parts(rows):
    one, two = np.array([3, 0, 4]), np.array([1, 2])
    low, high = np.arange(100, 400), np.arange(90)
    parts = [(one, low, rows[:3, :300]), (two, low, rows[3:5, :300]), (one, high, rows[:3, :90])]
    return arrays.joined(parts, (6, 500), rows)


# Kernels that work in the array library of their arguments, with arguments. Their values are of
# order one.
KERNELS = {
    "gram": (modes.gram_matrix, [ROWS]),
    "zone-gram": (modes.zone_gram, [ROWS]),
    "apply-operator": (modes.apply_operator, [_random(4, 9), ROWS]),
    "rotate-fft": (partial(rotate.rotate_fft, angles_deg=ANGLES), [FRAMES]),
    "rotate-interpolated": (
        partial(rotate.rotate_frames, angles_deg=ANGLES, method="interpolated"),
        [FRAMES],
    ),
    "warp": (partial(warp.warp_frames, angles_deg=ANGLES, scales=SCALES), [FRAMES]),
    "shift": (partial(fourier.shift_fft, shift_x_px=0.3, shift_y_px=-1.7), [FRAMES]),
    "aperture-sums": (partial(aperture.aperture_sums, radius_px=2.3), [FRAMES[0]]),
    "add-frames": (accumulate.add_frames, [np.zeros((31, 31)), FRAMES, WEIGHTS, VALID]),
    "sample": (_sampled, [_random(7, _HELD.size).astype(np.float32)]),
    "join": (_parts, [ROWS]),
    "profile": (lambda f, v: profile.subtract_profile(f, 1.3, "median", v), [FRAMES, VALID[0]]),
    "factorise": (
        lambda rows: nmf.subtract_nonnegative(rows, None, 3, max_iterations=10),
        [np.abs(ROWS)],
    ),
    "low-rank": (lambda rows: lowrank.sparse_part(rows, None, 3), [ROWS]),
    **{
        f"combine-{name}": (
            lambda f, v, w, name=name: combine.combine_frames(f, name, valid=v, weights=w),
            [FRAMES, VALID, WEIGHTS[:, None, None]],
        )
        for name in ("mean", "median", "weighted", "trimmed")
    },
    **{
        f"solve-{name}-{case}": (solver, list(problem))
        for name, solver in _SOLVERS.items()
        for case, problem in _PROBLEMS.items()
    },
}
# Float32 rounding in values of order one, through transforms and sums of some hundred terms.
KERNEL_TOLERANCE = 3e-5


def method(algorithm, combination="mean", rotation="fft", **settings):
    """Describe a reduction."""
    entry = ALGORITHMS[algorithm]
    return Method(entry, entry.settings(**settings), combination, rotation)


METHODS = {
    "pca": method("pca", n_modes=4, also_modes=(2,)),
    "pca-median": method("pca", "median", n_modes=4),
    "pca-interpolated": method("pca", "weighted", "interpolated", n_modes=3),
    "klip": method(
        "klip", "trimmed", n_modes=4, also_modes=(1, 7), zones={"annulus_fwhm": 2.0, "sectors": 3}
    ),
    "klip-weighted": method("klip", "weighted", n_modes=3),
    "loci": method("loci"),
    "loci-ridge": method("loci", "median", solution="ridge"),
    "loci-positive": method("loci", solution="positive"),
    "tloci": method("tloci"),
}
SPECTRAL = {
    "asdi": method("klip", n_modes=3, zones={"annulus_fwhm": 2.0}),
    "sdi": method("pca", "median", n_modes=1),
    "asdi-two-step": method("klip", n_modes=2, zones={"annulus_fwhm": 2.0}),
}


@cache
def angular_cube():
    """Master cube of one channel."""
    return synthetic_sequence.sequence(
        seed=2, n_wave=1, n_time=14, side=75, companions=((300.0, 40.0, (1e-3,)),), fwhm=(4.0,)
    )


@cache
def spectral_cube():
    """Master cube of four channels."""
    waves = synthetic_ifs.wavelengths(3)
    return synthetic_ifs.sequence(seed=3, wavelength_um=waves, n_time=5, side=85, noise=1e-6)


def angular_rows():
    """Rows for angular differential imaging."""
    imaging = ImagingSettings(inner_mas=100, outer_mas=400)
    (rows,) = STRATEGIES["adi"].run(prepare(angular_cube(), imaging))
    return rows


def spectral_rows(strategy):
    """Rows of all channels together."""
    imaging = ImagingSettings(inner_mas=100, outer_mas=290)
    (rows,) = STRATEGIES[strategy].run(prepare(spectral_cube(), imaging))
    return rows


def worst(one, other):
    """Largest difference of images, in units of the scatter of the first; their gaps agree."""
    assert one.shape == other.shape
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    return float(np.nanmax(np.abs(one - other)) / np.nanstd(one))


# Images are means of frames in float32 (6e-8), of residuals a hundredth of the frames: rounding
# is some 1e-5 of the scatter of an image, the positions of filters in float64 do not count.
IMAGE_TOLERANCE = 1e-4
# A throughput is a ratio of sums over an aperture of such values, at S/N 5.
THROUGHPUT_TOLERANCE = 1e-4
