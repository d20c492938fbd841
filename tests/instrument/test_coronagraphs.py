from __future__ import annotations

import numpy as np
import pytest

from spheredc_hpc.instrument.coronagraphs import mask_radius_mas, off_axis_transmission

APODISED = "N_ALC_YJH_S"


@pytest.mark.parametrize("arm", ["IRDIS", "IFS"])
def test_transmission_never_falls_outwards_and_stays_in_range(arm):
    transmission = off_axis_transmission(APODISED, arm, np.linspace(0, 400, 4001))
    assert np.all(np.diff(transmission) >= 0)
    assert 0 < transmission[0] < 0.01
    assert transmission[-1] <= 1


def test_beyond_the_curve_its_last_value_holds():
    np.testing.assert_array_equal(
        off_axis_transmission(APODISED, "IRDIS", [200, 5000]), [0.996, 0.996]
    )


def test_shape_is_kept():
    assert off_axis_transmission(APODISED, "IFS", np.ones((2, 3))).shape == (2, 3)
    assert off_axis_transmission("N_NS_CLEAR", "IFS", 3.0).shape == ()


def test_without_mask_everything_passes():
    np.testing.assert_array_equal(off_axis_transmission("N_NS_CLEAR", "IRDIS", [0, 100]), [1, 1])
    assert mask_radius_mas("N_NS_CLEAR") == 0


def test_coronagraphs_without_curve_say_so():
    assert off_axis_transmission("N_ALC_Ks", "IRDIS", [100]) is None
    assert mask_radius_mas("N_ALC_Ks") is None


@pytest.mark.parametrize(("arm", "name"), [("IRDIS", "IRDIS_H23"), ("IFS", "IFS_YJ")])
def test_interpolation_follows_the_measured_curve(real_data, arm, name):
    path = real_data / "sphere-transmission" / f"N_ALC_JYH_S-{name}-transmission.txt"
    separation, measured = np.loadtxt(path).T
    inside = separation <= 200
    ours = off_axis_transmission(APODISED, arm, separation[inside])
    # Fifteen samples of a curve that rises by 0.9 within 80 mas.
    assert np.max(np.abs(ours - measured[inside])) < 0.015
