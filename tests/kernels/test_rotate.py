"""Rotation by Fourier shears."""

import tracemalloc
from functools import partial

import array_api_strict
import numpy as np
import pytest
from scipy import ndimage

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import device, rotate, warp
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.kernels.rotate import rotate_fft, rotate_frames, rotate_quarter
from spheredc_hpc.kernels.warp import warp_frames


def gaussian(side, dx, dy, fwhm=4.0):
    y, x = np.mgrid[:side, :side] - side // 2
    return np.exp(-4 * np.log(2) * ((x - dx) ** 2 + (y - dy) ** 2) / fwhm**2)


def turned(dx, dy, angle_deg):
    a = np.deg2rad(angle_deg)
    return np.cos(a) * dx - np.sin(a) * dy, np.sin(a) * dx + np.cos(a) * dy


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("angle", [7.3, 31.0, -40.0, 61.7, 123.4, 200.0, -300.0])
def test_gaussian_turns_to_where_it_belongs(side, dtype, angle):
    # 2 to 7e-7 is the figure for this Gaussian: its spectrum at the Nyquist frequency.
    start = turned(22.0, 0.0, 77.0)
    image = gaussian(side, *start).astype(dtype)
    result = rotate_fft(image, angle)
    assert result.dtype == dtype
    error = np.abs(result - gaussian(side, *turned(*start, angle))).max()
    assert error < (9e-7 if dtype == np.float64 else 1.2e-6)


def test_float64_error_lies_in_the_measured_range():
    worst = max(
        np.abs(
            rotate_fft(gaussian(65, 22.0, 0.0), angle) - gaussian(65, *turned(22.0, 0.0, angle))
        ).max()
        for angle in (10.0, 20.0, 30.0, 70.0, 110.0)
    )
    assert worst < 7e-7


@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize("quarters", [1, 2, 3, -1, 4])
def test_quarter_turns_are_exact_about_the_centre_pixel(side, quarters):
    image = np.zeros((side, side))
    image[side // 2 + 3, side // 2 + 5] = 1.0
    dx, dy = turned(5, 3, 90 * quarters)
    expected = np.zeros_like(image)
    expected[side // 2 + round(dy), side // 2 + round(dx)] = 1.0
    np.testing.assert_array_equal(rotate_quarter(image, quarters), expected)
    np.testing.assert_array_equal(rotate_fft(image, 90.0 * quarters), expected)


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 211.2, 333.0])
def test_companion_lands_within_a_fiftieth_of_a_pixel(side, angle_deg):
    # Position angles of one companion on the frame; rotated to north, flux-weighted centre.
    derotation = 37.0
    direction = np.deg2rad(angle_deg - derotation)
    frame = gaussian(side, -20 * np.sin(direction), 20 * np.cos(direction), 4.2)
    image = rotate_fft(frame.astype(np.float32), derotation).astype(float)
    y, x = np.mgrid[:side, :side] - side // 2
    x0, y0 = -20 * np.sin(np.deg2rad(angle_deg)), 20 * np.cos(np.deg2rad(angle_deg))
    near = np.hypot(x - x0, y - y0) < 8
    found = [(q * image)[near].sum() / image[near].sum() for q in (x, y)]
    np.testing.assert_allclose(found, [x0, y0], atol=0.02)


def test_flux_is_conserved():
    image = gaussian(65, 5.0, -7.0)
    assert rotate_fft(image, 33.0).sum() == pytest.approx(image.sum(), rel=1e-7)


def test_there_and_back_is_the_same_image():
    image = gaussian(64, 9.0, 4.0, 5.0)
    np.testing.assert_allclose(rotate_fft(rotate_fft(image, 28.0), -28.0), image, atol=1e-8)


def test_stack_takes_one_angle_a_frame():
    image = gaussian(33, 6.0, 0.0)
    stack = rotate_fft(np.stack([image, image]), [10.0, 50.0])
    np.testing.assert_array_equal(stack[1], rotate_fft(image, 50.0))


def batched_on_a_card():
    """Kernels that work in batches on other array libraries, and what they do."""
    return [
        pytest.param(rotate, rotate_frames, id="fft"),
        pytest.param(warp, partial(rotate_frames, method="interpolated"), id="interpolated"),
        pytest.param(warp, partial(warp_frames, scales=0.8), id="enlarged"),
        pytest.param(warp, partial(warp_frames, scales=1.3, side_out=95), id="reduced"),
    ]


def plain_shears(image, angle_deg):
    """Three shears of up to 45 degrees, one line after the other, in float64."""
    n = image.shape[0]
    angle = np.deg2rad(angle_deg)
    width = 8 * n
    padded = np.zeros((width, width))
    middle = width // 2
    padded[middle - n // 2 :, middle - n // 2 :][:n, :n] = image
    frequency = np.fft.rfftfreq(width)
    for factor, turn in ((-np.tan(angle / 2), False), (np.sin(angle), True), (0, False)):
        factor = factor or -np.tan(angle / 2)
        lines = padded.T if turn else padded
        for i, line in enumerate(lines):
            ramp = np.exp(-2j * np.pi * frequency * factor * (i - middle))
            lines[i] = np.fft.irfft(np.fft.rfft(line) * ramp, n=width)
    return padded[middle - n // 2 :, middle - n // 2 :][:n, :n]


@pytest.mark.parametrize("side", [40, 41])
@pytest.mark.parametrize("angle", [3.0, -17.0, 44.0])
def test_smooth_noise_turns_as_by_plain_shears(side, angle):
    # Noise with the grain of a PSF, 1e-6 of its amplitude at the Nyquist frequency, and no step at
    # the edge: beyond that frequency the amount of padding shows.
    rng = np.random.default_rng(side)
    image = ndimage.gaussian_filter(rng.standard_normal((side, side)), 1.7)
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    image *= window * window[:, None]
    expected = plain_shears(image, angle)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(rotate_fft(image, angle), expected, atol=2e-6 * scale)
    found = rotate_fft(image.astype(np.float32), angle)
    np.testing.assert_allclose(found, expected, atol=4e-6 * scale)


@pytest.mark.parametrize("method", ["fft", "interpolated"])
def test_frames_may_be_turned_in_place(method):
    frames = np.random.default_rng(2).standard_normal((5, 30, 30)).astype(np.float32)
    angles = [0.0, 12.0, 90.0, -130.0, 268.0]
    expected = rotate_frames(frames, angles, method)
    assert rotate_frames(frames, angles, method, out=frames) is frames
    np.testing.assert_array_equal(frames, expected)


@pytest.mark.parametrize("method", ["fft", "interpolated"])
def test_threads_change_no_bit(method):
    frames = np.random.default_rng(3).standard_normal((9, 41, 41)).astype(np.float32)
    angles = np.linspace(-200, 150, 9)
    results = []
    for threads in (1, 2):
        with worker_threads(threads):
            results.append(rotate_frames(frames, angles, method))
    np.testing.assert_array_equal(*results)


def test_fast_rotation_agrees_with_the_accurate_one():
    frames = np.stack([gaussian(81, 17.0, -9.0, 4.0)] * 4).astype(np.float32)
    angles = [11.0, -44.0, 100.0, 179.0]
    # 3.2e-5 of the peak is the error of the filters for this Gaussian.
    np.testing.assert_allclose(
        rotate_frames(frames, angles, "interpolated"), rotate_frames(frames, angles), atol=4e-5
    )


@pytest.mark.parametrize("angle", [77.0, 90.0, -45.5])
def test_strict_array_library_gives_the_same_result(angle):
    image = gaussian(33, 6.0, 2.0)
    strict = rotate_fft(array_api_strict.asarray(image), angle)
    np.testing.assert_allclose(np.asarray(strict), rotate_fft(image, angle), atol=1e-13)


def test_strict_array_library_turns_stacks():
    frames = np.random.default_rng(4).standard_normal((6, 24, 24)).astype(np.float32)
    angles = [0.0, 20.0, 20.5, 110.0, 180.0, -33.0]
    for method in ("fft", "interpolated"):
        strict = rotate_frames(array_api_strict.asarray(frames), angles, method)
        # float32 with values of a few units.
        expected = rotate_frames(frames, angles, method)
        np.testing.assert_allclose(np.asarray(strict), expected, atol=3e-6)


@pytest.mark.parametrize(("angle", "dtype"), [(3.0, np.float64), (44.0, np.float32)])
@pytest.mark.parametrize(("kernel", "turn"), batched_on_a_card())
def test_batches_on_a_card_take_the_memory_that_is_counted(monkeypatch, kernel, turn, angle, dtype):
    frames = array_api_strict.asarray(np.ones((9, 48, 48), dtype))
    angles = np.full(9, angle)
    counted, peaks, found = set(), [], []
    for together in (1, 9):
        monkeypatch.setattr(
            kernel, "pieces_at_once", lambda _, each, usual, n=together: counted.add(each) or n
        )
        tracemalloc.start()
        found.append(np.asarray(turn(frames, angles)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The rest is for what the library of a card takes and this one does not: indices, copies
    # and room for its transforms.
    (each,) = counted
    assert 0.3 * each < (peaks[1] - peaks[0]) / 8 < each
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize(("kernel", "turn"), batched_on_a_card())
def test_batches_on_a_card_are_cut_by_its_memory(monkeypatch, kernel, turn):
    # A card that has room for two frames and a half.
    asked = []

    def card(like, bytes_each, usual):
        monkeypatch.setattr(device, "is_cupy_array", lambda array: True)
        monkeypatch.setattr(device, "free_bytes", lambda: 5 * bytes_each)
        asked.append(device.pieces_at_once(like, bytes_each, usual))
        return asked[-1]

    monkeypatch.setattr(kernel, "pieces_at_once", card)
    frames = np.random.default_rng(5).standard_normal((5, 30, 30))
    found = np.asarray(turn(array_api_strict.asarray(frames), np.full(5, 17.0)))
    assert asked == [2]
    np.testing.assert_allclose(found, turn(frames, np.full(5, 17.0)), atol=1e-7)


@pytest.mark.parametrize(
    ("frames", "angles"),
    [
        (np.zeros((4, 5)), 1.0),
        (np.zeros((4, 4), int), 1.0),
        (np.zeros((2, 4, 4)), [1.0]),
        (np.zeros((1, 4, 4)), [np.nan]),
    ],
)
def test_frames_that_cannot_be_turned_are_refused(frames, angles):
    with pytest.raises(KernelInputError):
        rotate_fft(frames, angles)


@pytest.mark.parametrize("method", ["fft", "interpolated"])
def test_only_stacks_of_two_types_are_turned(method):
    for shape in ((8, 8), (2, 3, 8, 8), (2, 8, 9)):
        with pytest.raises(KernelInputError, match=r"\(n_frames, n, n\) wanted"):
            rotate_frames(np.zeros(shape), 1.0, method)
    for dtype in (np.float16, np.longdouble, np.complex64, int, ">f8"):
        frames = np.zeros((2, 8, 8), dtype)
        with pytest.raises(KernelInputError, match=f"frames are {frames.dtype}, float32 or"):
            rotate_frames(frames, 1.0, method)
    with pytest.raises(KernelInputError, match=r"\(\.\.\., n, n\) wanted"):
        rotate_fft(np.zeros(8), 1.0)


def test_a_wrong_method_or_output_is_refused():
    frames = np.zeros((2, 8, 8), np.float32)
    with pytest.raises(KernelInputError, match="unknown rotation"):
        rotate_frames(frames, [1.0, 2.0], "spline")
    with pytest.raises(KernelInputError, match="does not fit"):
        rotate_frames(frames, [1.0, 2.0], out=np.zeros((2, 8, 8)))


@pytest.mark.parametrize("kind", [float, np.float32, np.int64, np.array])
def test_one_angle_of_any_kind_turns_all_frames(kind):
    frames = np.random.default_rng(8).standard_normal((2, 9, 9))
    np.testing.assert_array_equal(rotate_fft(frames, kind(30)), rotate_frames(frames, [30, 30]))
