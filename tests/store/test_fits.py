"""Exported FITS files say the unit of everything that has one."""

from __future__ import annotations

import astropy.units as u
import numpy as np

from spheredc_hpc.model.product import Receipt, Status
from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube, to_dataset
from spheredc_hpc.store.fits import to_hdus

RECEIPT = Receipt(
    *("level1", "observations/o/level1", Status.OK, (), (), (), (), {}, "d", "1", 1, "1", "d", "d")
)
FRAMES = ("mjd", "dit_s", "parang_deg", "derotation_deg", "derotation_start_deg")


def test_images_and_columns_carry_units_that_other_programs_read():
    channel, frame, image = np.ones(2), np.ones(3), np.ones((2, 3, 5, 5), np.float32)
    cube = Level1Cube(
        *(image, image, image[:, :1], np.ones((2, 3, 2)), np.ones((2, 3, 2))),
        *(np.ones((3, len(AO_QUANTITIES))), np.ones((3, 1)), ("flux",)),
        *(channel, channel, channel),
        *(frame, frame, frame, frame, frame, frame, frame),
    )
    hdus = to_hdus(to_dataset(cube), RECEIPT)
    rate = u.adu / u.s
    assert u.Unit(hdus["SCIENCE"].header["BUNIT"], format="fits") == rate
    assert u.Unit(hdus["WEIGHT"].header["BUNIT"], format="fits") == rate**-2
    columns = {**_units(hdus["FRAMES"]), **_units(hdus["CHANNELS"])}
    assert [columns[name] for name in FRAMES] == [u.d, u.s, u.deg, u.deg, u.deg]
    assert columns["pixel_scale_mas"] == u.mas / u.pix


def _units(table):
    return {c.name: u.Unit(c.unit, format="fits") for c in table.columns if c.unit}
