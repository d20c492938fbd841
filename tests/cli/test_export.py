"""Exported FITS files hold the arrays, their units and where north is."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from foreign_files import write_sequence

from spheredc_hpc import cli
from spheredc_hpc.config import Config
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.steps.import_cube import ForeignFiles, import_cube, import_settings
from spheredc_hpc.steps.level2 import Means, level2_receipt, reduce_level2
from spheredc_hpc.store.cube import read_cube
from spheredc_hpc.store.fits import export_product
from spheredc_hpc.store.images import read_images

SCALE_MAS = 10.0


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    return reduced(tmp_path_factory.mktemp("export"), 300.0)


def reduced(folder, peak):
    """Level 1 and Level 2 of a sequence with a companion of some brightness."""
    settings = import_settings({"pixel_scale_mas": SCALE_MAS, "wavelength_um": (1.6,)})
    files = ForeignFiles(**write_sequence(folder / "in", companion=(12.0, 60.0, peak)))
    observation, _ = import_cube(folder / "root", files, settings, Config())
    level1 = folder / "root" / "observations" / observation / "level1"
    target = level2_receipt(level1 / "receipt.json", "no-adi", Config())
    reduce_level2(level1 / "receipt.json", target, "no-adi", Config(), Means())
    return level1, target.parent


def test_level1_images_and_frames_are_those_of_the_product(products, tmp_path):
    export_product(products[0], tmp_path / "level1.fits")
    cube = read_cube(products[0] / "cube.zarr")
    with fits.open(tmp_path / "level1.fits", checksum=True) as hdus:
        np.testing.assert_array_equal(hdus["SCIENCE"].data, cube.science)
        np.testing.assert_array_equal(hdus["FRAMES"].data["derotation_deg"], cube.derotation_deg)
        assert hdus["SCIENCE"].header["BUNIT"] == "adu/s"
        assert hdus[0].header["PRODKIND"] == "level1"


def test_the_brightest_pixel_of_level2_is_where_the_companion_was_put(products, tmp_path):
    export_product(products[1], tmp_path / "level2.fits")
    with fits.open(tmp_path / "level2.fits") as hdus:
        image, header = hdus["IMAGE"].data, hdus["IMAGE"].header
        y, x = np.unravel_index(np.nanargmax(np.where(_far(image), image, np.nan)), image.shape)
        east, north = WCS(header, naxis=2).wcs_pix2world(x, y, 0)
    separation = np.hypot(east, north)
    # To the pixel: half a pixel of 10 mas along each axis.
    assert separation == pytest.approx(12.0 * SCALE_MAS, abs=0.75 * SCALE_MAS)
    assert np.rad2deg(np.arctan2(east, north)) == pytest.approx(60.0, abs=4.0)


def _far(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] - image.shape[0] // 2
    return np.hypot(x, y) > 9


def test_every_image_of_level2_is_an_extension(products, tmp_path):
    export_product(products[1], tmp_path / "level2.fits")
    images = read_images(products[1] / "level2.zarr")
    with fits.open(tmp_path / "level2.fits") as hdus:
        for name in ("image", "image_corrected", "image_snr", "cube", "snr", "snr_gaussian"):
            np.testing.assert_array_equal(hdus[name.upper()].data, getattr(images, name))
        np.testing.assert_array_equal(
            hdus["CURVES"].data["contrast_student_0"], images.contrast[1, 0]
        )


def test_a_product_without_sources_has_an_empty_table_of_them(tmp_path):
    _, level2 = reduced(tmp_path, 0.0)
    export_product(level2, tmp_path / "level2.fits")
    with fits.open(tmp_path / "level2.fits") as hdus:
        assert len(hdus["SOURCES"].data) == 0
        assert {"separation_mas", "snr", "source_contrast_0"} <= set(hdus["SOURCES"].columns.names)


def test_an_existing_file_is_kept_unless_asked(products, tmp_path):
    (tmp_path / "out.fits").write_text("mine")
    with pytest.raises(ConfigError, match="--overwrite"):
        export_product(products[1], tmp_path / "out.fits")
    assert (
        cli.run(["export", str(products[1]), "--output", str(tmp_path / "out.fits"), "--overwrite"])
        == 0
    )


def test_what_is_no_product_cannot_be_exported(tmp_path):
    with pytest.raises(DataError):
        export_product(tmp_path, tmp_path / "out.fits")
