from __future__ import annotations

import math

import pytest
from astropy.io import fits
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument import headers


def test_packed_coordinates_of_the_golden_header():
    assert headers.unpack_hms_deg(124523.298602) == pytest.approx(191.347077, abs=1e-6)
    assert headers.unpack_dms_deg(-84656.87053) == pytest.approx(-8.782464, abs=1e-6)
    assert headers.unpack_hms_deg(124420.236) == pytest.approx(191.084317, abs=1e-6)


@pytest.mark.parametrize(
    ("packed", "angle"),
    [
        (0.0, 0.0),
        (-0.5, -0.5 / 3600),
        (-3000.0, -0.5),
        (-5959.9, -(59 / 60 + 59.9 / 3600)),
        (5960.0, 1.0),
        (-900000.0, -90.0),
    ],
)
def test_the_sign_holds_for_the_whole_declination(packed, angle):
    assert headers.unpack_dms_deg(packed) == pytest.approx(angle, abs=1e-12)


@pytest.mark.parametrize("packed", [126000.0, 1261.0, math.nan, math.inf])
def test_what_is_not_sexagesimal_is_refused(packed):
    with pytest.raises(DataError, match="packed angle"):
        headers.unpack_dms_deg(packed)


@given(st.floats(-90, 90))
def test_packing_a_declination_is_undone_by_unpacking(angle):
    # pack writes microarcseconds
    assert headers.unpack_dms_deg(headers.pack_dms(angle)) == pytest.approx(angle, abs=1e-9)


@given(st.floats(-720, 720))
def test_packing_a_right_ascension_is_undone_by_unpacking(angle):
    back = headers.unpack_hms_deg(headers.pack_hms(angle))
    assert 0 <= back < 360
    assert math.remainder(back - angle, 360) == pytest.approx(0, abs=1e-8)


def test_dates_agree_with_the_mjd_of_the_golden_header():
    assert headers.mjd_from_iso("2020-03-08T07:20:53.7328") == pytest.approx(
        58916.30617746, abs=5e-9
    )


@given(st.floats(50000, 70000))
def test_dates_agree_with_astropy(mjd):
    # Headers count days of 86400 s, as TAI does; astropy stretches UTC days with a leap second.
    text = Time(mjd, format="mjd", scale="tai", precision=6).isot
    assert headers.mjd_from_iso(text) == pytest.approx(mjd, abs=2e-11)
    assert headers.mjd_from_iso(headers.iso_from_mjd(mjd, 6)) == pytest.approx(mjd, abs=2e-11)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2020-03-08T07_20_53.7328", "2020-03-08T07:20:53.7328"),
        ("2020-03-08 07:20:53Z", "2020-03-08T07:20:53"),
    ],
)
def test_other_spellings_of_a_date(text, same):
    assert headers.mjd_from_iso(text) == headers.mjd_from_iso(same)


@pytest.mark.parametrize(
    "text", ["", "2020-03-08", "2020-13-08T00:00:00", "2020-02-30T00:00:00", "2020-03-08T25:00:00"]
)
def test_what_is_no_date_is_refused(text):
    with pytest.raises(DataError, match=r"2020|expected"):
        headers.mjd_from_iso(text)


def test_midnight_is_written_as_the_next_day():
    assert headers.iso_from_mjd(58916.999999999, 3) == "2020-03-09T00:00:00.000"


def test_the_first_keyword_that_has_a_value_is_read():
    assert headers.read_value({"ESO DET SEQ1 DIT": 64.0, "ESO DET DIT1": 2}, "dit_s") == 64.0
    assert headers.read_value({"ESO DET SEQ1 DIT": None, "ESO DET DIT1": 2}, "dit_s") == 2.0
    assert headers.read_value({"ESO OBS TARG NAME": " ", "OBJECT": " A "}, "target") == "A"


def test_an_astropy_header_works():
    header = fits.Header()
    header["HIERARCH ESO DET SEQ1 DIT"] = 64.0
    assert headers.read_value(header, "dit_s") == 64.0
    assert headers.read_value(header, "ndit", default=1) == 1


def test_a_missing_value_names_all_its_keywords():
    with pytest.raises(DataError, match="lacks dit_s: none of ESO DET SEQ1 DIT, ESO DET DIT1"):
        headers.read_value({}, "dit_s")


@pytest.mark.parametrize(
    ("name", "value"),
    [("dit_s", "long"), ("ndit", 2.5), ("shutter_open", 1), ("dit_s", True)],
)
def test_a_value_of_another_kind_is_refused(name, value):
    key = headers.KEYWORDS[name].names[0]
    with pytest.raises(DataError, match=f"{key} = "):
        headers.read_value({key: value}, name)
