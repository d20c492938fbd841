"""Times of rotation, combination and S/N maps, one thread, and that the fast ways are right.

    pytest -m slow -s tests/bench/test_rotation_speed.py

prints the times: processor times, which other programs disturb less. None is asserted; `make bench`
compares with other packages. Frames are 120 x 400 x 400 of noise in float32, the S/N map 101 x 101
with FWHM 4.8 px.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.kernels.rotate import rotate_frames
from spheredc_hpc.kernels.snr import aperture_map, t_statistic
from spheredc_hpc.kernels.student import gaussian_equivalent
from spheredc_hpc.kernels.warp import warp_frames

FRAMES, SIDE, MAP_SIDE, FWHM = 120, 400, 101, 4.8
ANGLES = np.linspace(-35.0, 62.0, FRAMES)


def best_of(call, repeats=5):
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def spots(places):
    """Frames that are sampled well: one Gaussian of 4 px each."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    found = [np.exp(-4 * np.log(2) * ((x - dx) ** 2 + (y - dy) ** 2) / 16) for dx, dy in places]
    return np.array(found, np.float32)


# Errors for a Gaussian of 4 px, in units of its peak: of the shears 1.3e-6 where they stretch the
# spectrum most, of the filters what `warp_frames` states.
@pytest.mark.parametrize(
    ("turn", "error"),
    [
        (rotate_frames, 2e-6),
        (warp_frames, 6e-6),
        (lambda frames, angles: rotate_frames(frames, angles, "interpolated"), 4e-5),
    ],
    ids=["fft", "accurate", "interpolated"],
)
def test_spots_turn_to_where_they_belong_on_frames_of_full_size(turn, error):
    places = np.random.default_rng(1).uniform(-90, 90, (6, 2))
    angles = ANGLES[::20]
    a = np.deg2rad(angles)
    x, y = places.T
    there = np.stack([np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y], axis=1)
    assert np.abs(turn(spots(places), angles) - spots(there)).max() < error


@pytest.mark.slow
def test_rotation_combination_and_maps_are_timed(record_property):
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((FRAMES, SIDE, SIDE)).astype(np.float32)
    image = rng.standard_normal((MAP_SIDE, MAP_SIDE)).astype(np.float32)
    out = np.empty_like(frames)

    def snr_map():
        t, references = t_statistic(aperture_map(image, FWHM))
        return gaussian_equivalent(t, references - 1)

    with worker_threads(1):
        found = {
            "fft": best_of(lambda: rotate_frames(frames, ANGLES, out=out)) / FRAMES,
            "accurate": best_of(lambda: warp_frames(frames, ANGLES, out=out)) / FRAMES,
            "interpolated": best_of(lambda: rotate_frames(frames, ANGLES, "interpolated", out=out))
            / FRAMES,
            "median": best_of(lambda: combine_frames(out, "median")),
            "trimmed": best_of(lambda: combine_frames(out, "trimmed")),
            "mean": best_of(lambda: combine_frames(out)),
            "snr": best_of(snr_map),
            "numpy median": best_of(lambda: np.median(out, axis=0), 1),
        }
    for name, seconds in found.items():
        record_property(f"{name}_ms", 1e3 * seconds)
        print(f"{name:>14}: {1e3 * seconds:8.3f} ms")  # noqa: T201 - the table asked for
    np.testing.assert_array_equal(combine_frames(out, "median"), np.median(out, axis=0))
