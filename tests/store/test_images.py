"""Level 2 images come back from disk as they were written."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from astropy.io import fits
from synthetic_products import level2_images

from spheredc_hpc.errors import DataError
from spheredc_hpc.model.product import Receipt, Status
from spheredc_hpc.store.fits import to_hdus
from spheredc_hpc.store.images import read_images, to_dataset, write_images

RECEIPT = Receipt(
    *("level2", "observations/o/level2/r", Status.OK, (), (), (), (), {}, "d", "1", 1, "1", "d"),
    "d",
)


def complete():
    """Images with everything that is made on request or for some strategies only."""
    images = level2_images(n=65)
    by_modes = np.stack([images.cube, images.cube * 2])
    return replace(
        images,
        image_throughput=images.throughput.mean(axis=0),
        throughput_t_type=images.throughput * 0.5,
        contrast_t_type=images.contrast * 2,
        image_contrast_t_type=images.image_contrast * 2,
        residuals=np.stack([images.cube] * 3, axis=1),
        modes=np.array([5, 20]),
        cube_by_modes=by_modes,
        snr_by_modes=by_modes,
    )


@pytest.mark.parametrize("make", [lambda: level2_images(n=65), complete])
def test_images_come_back_as_they_were(tmp_path, make):
    images = make()
    write_images(images, tmp_path / "level2.zarr")
    found = read_images(tmp_path / "level2.zarr")
    for field in fields(images):
        before, after = getattr(images, field.name), getattr(found, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(after, before, err_msg=field.name)
            assert after.dtype == before.dtype, field.name
        else:
            assert after == before, field.name


def test_contrast_is_given_in_magnitudes_too():
    images = level2_images(n=65)
    contrast = images.contrast.copy()
    contrast[0, 0, :3] = (1e-4, np.nan, 1e-6)
    dataset = to_dataset(replace(images, contrast=contrast))
    found = dataset["contrast_mag"]
    np.testing.assert_allclose(found[0, 0, :3], [10.0, np.nan, 15.0], rtol=1e-12)
    assert found.attrs["units"] == "mag"
    assert "contrast_t_type_mag" not in dataset


def test_fits_holds_every_curve_and_says_where_north_is():
    hdus = to_hdus(to_dataset(complete()), RECEIPT)
    curves = hdus["CURVES"].data
    ratio = curves["contrast_t_type_student_1"]
    np.testing.assert_allclose(
        curves["contrast_t_type_mag_student_1"], -2.5 * np.log10(ratio), rtol=1e-12
    )
    assert {c.name: c.unit for c in hdus["CURVES"].columns}["image_contrast_mag_student"] == "mag"
    header = hdus["CUBE_BY_MODES"].header
    assert (header["CTYPE1"], header["CUNIT2"], header["AXIS4"]) == ("DRA", "mas", "mode_count")
    np.testing.assert_array_equal(hdus["MODES"].data, [5, 20])
    assert isinstance(hdus["MODES"], fits.ImageHDU)


def test_fits_says_how_the_images_were_made():
    attrs = {"algorithm": "klip", "strategy": "asdi", "companion_spectrum": "t-type"}
    header = to_hdus(to_dataset(replace(complete(), attrs=attrs)), RECEIPT)["PRIMARY"].header
    found = {name: header[name] for name in ("ALGO", "STRATEGY", "COMPSPEC")}
    assert found == {"ALGO": "klip", "STRATEGY": "asdi", "COMPSPEC": "t-type"}
    assert "COMBINE" not in header
    assert "STARFLUX" not in header
    with_flux = replace(complete(), attrs={**attrs, "image_star_flux": 1234.5})
    assert to_hdus(to_dataset(with_flux), RECEIPT)["PRIMARY"].header["STARFLUX"] == 1234.5


def test_a_store_without_a_variable_is_damaged(tmp_path):
    dataset = to_dataset(level2_images(n=65)).drop_vars("throughput")
    dataset.to_zarr(tmp_path / "level2.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(DataError, match="throughput"):
        read_images(tmp_path / "level2.zarr")
    with pytest.raises(DataError, match="no Level 2 images"):
        read_images(tmp_path / "nothing.zarr")
