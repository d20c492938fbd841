"""Cubes made elsewhere become Level 1 products, and what cannot be one says why."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from foreign_files import FWHM_PX, companion_offset, gaussian, write_sequence

from spheredc_hpc.config import Config
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.kernels.symmetry import centre_of_symmetry
from spheredc_hpc.steps.foreign import recentred
from spheredc_hpc.steps.import_cube import ForeignFiles, import_cube, import_settings
from spheredc_hpc.steps.level2 import Means, level2_receipt, reduce_level2
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.cube import read_cube

SCALE = {"pixel_scale_mas": 10.0, "wavelength_um": (1.6,)}


def take_in(tmp_path, paths, **values):
    settings = import_settings({**SCALE, **values})
    files = ForeignFiles(**paths)
    observation, receipt = import_cube(tmp_path / "root", files, settings, Config())
    return tmp_path / "root" / "observations" / observation / "level1", receipt


def centroid(image, x, y, radius=5):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    near = np.hypot(columns - x, rows - y) <= radius
    flux = image[near].sum()
    return (columns[near] * image[near]).sum() / flux, (rows[near] * image[near]).sum() / flux


def test_an_imported_cube_is_a_sound_flagged_product(tmp_path):
    product, receipt = take_in(tmp_path, write_sequence(tmp_path / "in"))
    assert receipts.verify(product) == []
    assert receipt.status == "flagged"
    assert set(receipt.flags) == {"ANGLE_ASSUMED", "SCALE_ASSUMED", "CORO_UNCAL"}
    assert {ref.role for ref in receipt.inputs} == {"cube", "angles", "psf"}


def test_frames_whose_star_is_in_place_are_not_touched(tmp_path):
    paths = write_sequence(tmp_path / "in", size=40)
    product, _ = take_in(tmp_path, paths)
    given = fits.getdata(paths["cube"])
    np.testing.assert_array_equal(read_cube(product / "cube.zarr").science[0], given)


def test_the_same_import_twice_is_one_product(tmp_path):
    paths = write_sequence(tmp_path / "in")
    first, before = take_in(tmp_path, paths)
    second, after = take_in(tmp_path, paths)
    assert (first, before) == (second, after)


@pytest.mark.parametrize("size", [60, 61])
@pytest.mark.parametrize("pa_deg", [33.0, 117.0, 205.0, 298.0])
@pytest.mark.parametrize("centre", ["pixel", "shifted"])
def test_a_companion_stays_within_a_fiftieth_of_a_pixel(tmp_path, size, pa_deg, centre):
    # A Gaussian of 3.6 px is band-limited, so interpolation and rotation move nothing.
    star = (size // 2, size // 2) if centre == "pixel" else (size // 2 - 0.37, size // 2 + 0.41)
    angles = np.array([-41.0, 8.5, 67.0, 151.0])
    separation = 14.3
    frames = [
        1000 * gaussian(size, star[0] + dx, star[1] + dy)
        for dx, dy in (companion_offset(separation, pa_deg, angle) for angle in angles)
    ]
    paths = write_sequence(tmp_path / "in", size=size, n_time=4)
    fits.writeto(paths["cube"], np.array(frames, dtype=np.float32), overwrite=True)
    fits.writeto(paths["angles"], angles, overwrite=True)
    product, _ = take_in(tmp_path, paths, centre="pixel" if centre == "pixel" else star)
    cube = read_cube(product / "cube.zarr")
    turned = rotate_fft(np.nan_to_num(cube.science[0]), cube.derotation_deg)
    theta = np.deg2rad(pa_deg)
    x = size // 2 - separation * np.sin(theta)
    y = size // 2 + separation * np.cos(theta)
    for image in turned:
        assert np.hypot(*np.subtract(centroid(image, x, y), (x, y))) < 0.02


@pytest.mark.parametrize("size", [60, 61])
def test_a_star_off_the_middle_pixel_is_found_by_symmetry(size):
    x, y = size // 2 - 1.3, size // 2 + 0.8
    image = gaussian(size, x, y, 9.0)
    np.testing.assert_allclose(centre_of_symmetry(image), (x, y), atol=0.01)


def test_fitting_the_centre_brings_the_star_to_the_middle_pixel(tmp_path):
    paths = write_sequence(tmp_path / "in", size=41, star=(18.6, 21.7), companion=(9.0, 40.0, 0.0))
    product, _ = take_in(tmp_path, paths, centre="fit")
    cube = read_cube(product / "cube.zarr")
    # 12 frames with noise 1 on a halo of 400: the fit is good to a few hundredths of a pixel.
    np.testing.assert_allclose(cube.centre_px[0, 0], (18.6, 21.7), atol=0.05)
    assert (cube.centre_err_px < 0.05).all()
    np.testing.assert_allclose(
        centre_of_symmetry(np.nan_to_num(cube.science[0]).mean(axis=0)), (20, 20), atol=0.06
    )


def test_angle_sense_and_offset_make_the_derotation(tmp_path):
    paths = write_sequence(tmp_path / "in")
    product, _ = take_in(tmp_path, paths, angle_sense="cw", angle_offset_deg=3.5)
    given = fits.getdata(paths["angles"]).astype(float)
    np.testing.assert_allclose(read_cube(product / "cube.zarr").derotation_deg, 3.5 - given)


def test_missing_pixels_have_no_weight_and_empty_frames_are_counted(tmp_path):
    paths = write_sequence(tmp_path / "in")
    frames = fits.getdata(paths["cube"]).copy()
    frames[2, 5, 7] = np.nan
    frames[4] = np.inf
    fits.writeto(paths["cube"], frames, overwrite=True)
    product, receipt = take_in(tmp_path, paths)
    cube = read_cube(product / "cube.zarr")
    assert cube.weight[0, 2, 5, 7] == 0
    assert np.isnan(cube.science[0, 4]).all()
    assert receipt.quality["frames_without_data"] == 1
    assert "FRAMES_REJECTED" in receipt.flags


def test_weight_is_the_inverse_variance_of_the_noise(tmp_path):
    # Noise of unit variance away from the star; the median over 12 frames scatters by 15 %.
    product, _ = take_in(tmp_path, write_sequence(tmp_path / "in", companion=(9.0, 40.0, 0.0)))
    weight = read_cube(product / "cube.zarr").weight[0, 0]
    assert np.median(weight) == pytest.approx(1.0, rel=0.3)


def test_star_flux_scales_the_psf(tmp_path):
    product, _ = take_in(tmp_path, write_sequence(tmp_path / "in"), star_flux=(5000.0,))
    psf = read_cube(product / "cube.zarr").psf[0, 0]
    assert aperture_sum(psf, 10.0, 10.0, FWHM_PX / 2) == pytest.approx(5000.0, rel=1e-3)


def test_two_channels_in_either_order_of_axes(tmp_path):
    paths = write_sequence(tmp_path / "in")
    frames = fits.getdata(paths["cube"])
    both = np.stack([frames, 2 * frames])
    psf = fits.getdata(paths["psf"])
    fits.writeto(paths["psf"], np.stack([psf, psf]), overwrite=True)
    two = {"wavelength_um": (1.59, 1.67)}
    fits.writeto(paths["cube"], both, overwrite=True)
    first, _ = take_in(tmp_path, paths, **two)
    fits.writeto(paths["cube"], both.swapaxes(0, 1), overwrite=True)
    second, _ = take_in(tmp_path, paths, axes="twyx", **two)
    one, other = (read_cube(p / "cube.zarr").science for p in (first, second))
    np.testing.assert_array_equal(one, other)


def test_flags_of_level_2_come_with_their_reasons(tmp_path):
    # 15 deg: 5 px at the edge of the frames, 2.5 px at the inner radius of 95 mas.
    product, _ = take_in(tmp_path, write_sequence(tmp_path / "in", turn_deg=15.0))
    source = product / "receipt.json"
    target = level2_receipt(source, "cadi-adi", Config())
    receipt = reduce_level2(source, target, "cadi-adi", Config(), Means())
    assert "ROTATION_SMALL" in receipt.flags
    assert "field rotation below one FWHM at the inner radius" in receipt.reasons


def test_a_hole_does_not_ring_in_what_is_interpolated():
    smooth = (1000 * gaussian(61, 29.6, 30.4, 20.0)).astype(np.float32)[None, None]
    holed = smooth.copy()
    holed[0, 0, 33, 24:26] = np.nan
    place = np.array([[29.6, 30.4]])
    whole, _ = recentred(smooth, np.isfinite(smooth), place)
    found, weight = recentred(holed, np.isfinite(holed), place)
    kept = weight[0, 0] > 0
    assert not kept[33, 25]
    assert kept[15:46, 15:46].sum() > 31 * 31 - 40
    # Filled from neighbours on a slope of 5 % a pixel; zero in the holes would leave 10 %.
    error = np.abs(found - whole)[0, 0][kept & np.isfinite(whole[0, 0])]
    assert error.max() < 0.01 * whole[0, 0, 33, 25]


def spoil(paths, what):
    if what == "angles":
        fits.writeto(paths["angles"], np.zeros(5), overwrite=True)
    elif what == "oblong":
        fits.writeto(paths["cube"], np.zeros((12, 41, 43), np.float32), overwrite=True)
    elif what == "flat":
        fits.writeto(paths["cube"], np.zeros((41, 41), np.float32), overwrite=True)
    elif what == "nan":
        fits.writeto(paths["cube"], np.full((12, 41, 41), np.nan, np.float32), overwrite=True)
    elif what == "nan angle":
        fits.writeto(paths["angles"], np.full(12, np.nan), overwrite=True)
    elif what == "truncated":
        data = paths["cube"].read_bytes()
        paths["cube"].write_bytes(data[: len(data) // 2])
    elif what == "text":
        paths["cube"].write_text("no FITS at all")
    elif what == "psf channels":
        fits.writeto(paths["psf"], np.ones((3, 21, 21), np.float32), overwrite=True)
    elif what == "psf nan":
        fits.writeto(paths["psf"], np.full((21, 21), np.nan, np.float32), overwrite=True)
    elif what == "absent":
        paths["psf"].unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("angles", "has 5 angles, .* has 12 frames"),
        ("oblong", "frames of 41 x 43 pixels, expected square"),
        ("flat", r"shape \(41, 41\), expected 3 or 4 dimensions"),
        ("nan", "every pixel of every frame is NaN"),
        ("nan angle", "value 1 is no number"),
        ("truncated", "cannot be read as FITS"),
        ("text", "cannot be read as FITS"),
        ("psf channels", "expected one PSF for each of 1 channels"),
        ("psf nan", "441 pixels are no numbers"),
        ("absent", "No such file"),
    ],
)
def test_files_that_do_not_fit_say_so(tmp_path, what, message):
    paths = write_sequence(tmp_path / "in")
    spoil(paths, what)
    with pytest.raises(DataError, match=message):
        take_in(tmp_path, paths)
    assert not list((tmp_path / "root").glob("observations/*/level1/receipt.json"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pixel_scale_mas": None}, "give --pixel-scale"),
        ({"pixel_scale_mas": -1.0}, "pixel_scale_mas"),
        ({"axes": "xyzt"}, "axes"),
        ({"centre": "left"}, "centre"),
        ({"name": "Beta Pic"}, "'beta-pic' for instance"),
        ({"star_flux": (1.0, 2.0)}, "2 star fluxes for 1 channels"),
    ],
)
def test_settings_that_are_wrong_say_so(tmp_path, values, message):
    paths = write_sequence(tmp_path / "in")
    with pytest.raises(ConfigError, match=message):
        take_in(tmp_path, paths, **values)


def test_angles_may_be_text(tmp_path):
    paths = write_sequence(tmp_path / "in")
    given = fits.getdata(paths["angles"]).astype(float)
    text = tmp_path / "angles.txt"
    text.write_text("# deg\n" + "\n".join(f"{a:.6f}" for a in given))
    product, _ = take_in(tmp_path, {**paths, "angles": text})
    np.testing.assert_allclose(read_cube(product / "cube.zarr").derotation_deg, given, atol=1e-5)
