"""Headers are valid FITS and complete."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.errors import DataError
from spheredc_hpc.simulate.cards import card_table, eso_cards, format_card
from spheredc_hpc.simulate.fitsfile import write_image

# The simulator writes IRDIS frames: PIXSCAL is written for the IFS only.
OF_ANOTHER_ARM = {"PIXSCAL"}


@pytest.mark.parametrize(
    ("key", "value", "decimals"),
    [
        ("OBJECT", "TW_Hya", None),
        ("NAXIS3", 8, None),
        ("SIMPLE", True, None),
        ("MJD-OBS", 58192.15521, 8),
        ("ESO DET SEQ1 DIT", 64.0, 7),
        ("ESO DET CHIP1 PXSPACE", 1.8e-5, -3),
        ("ESO INS COMB POLA", "", None),
        ("ESO OBS NAME", "O'Neill", None),
        ("ESO TEL CHOP ST", False, None),
    ],
)
def test_card_reads_back(key, value, decimals):
    card = fits.Card.fromstring(format_card(key, value, decimals))
    card.verify("exception")
    assert card.keyword == key
    assert card.value == value
    assert isinstance(card.value, type(value))


def test_value_that_does_not_fit_is_refused():
    with pytest.raises(DataError, match="does not fit"):
        format_card("ESO OBS NAME", "x" * 70)


def test_table_names_no_keyword_twice():
    keys = [card.key for card in card_table()]
    assert len(keys) == len(set(keys))


def test_every_real_keyword_has_a_card_of_the_same_type(real_data):
    folder = real_data / "sphere-ifs-raw-headers"
    real = json.loads((folder / "SPHER.2020-03-08T07-20-53.733.hdr.json").read_text("utf-8"))
    wanted = {key: type(value) for key, value, _ in real if key.startswith("ESO ")}
    cards = [fits.Card.fromstring(text) for text in eso_cards({}, calibration=False)]
    found = {card.keyword: type(card.value) for card in cards}
    assert {key: kind for key, kind in wanted.items() if found.get(key) is not kind} == {}


def test_calibrations_lack_what_real_ones_lack(real_data):
    folder = real_data / "sphere-ifs-raw-headers"
    real = json.loads((folder / "SPHER.2020-03-08T16-53-05.173.hdr.json").read_text("utf-8"))
    wanted = {key for key, _, _ in real if key.startswith("ESO ")}
    lamps = {key for key in wanted if "LAMP" in key or "LASERPWR" in key}
    cards = {fits.Card.fromstring(t).keyword for t in eso_cards({}, calibration=True)}
    assert wanted - lamps - cards == set()
    assert not any(key.startswith(("ESO TEL", "ESO ADA")) for key in cards)


def test_checksums_are_those_of_another_implementation(tmp_path):
    rng = np.random.default_rng(5)
    for shape in ((1, 3, 5), (2, 17, 31)):
        path = tmp_path / f"{shape[1]}.fits"
        planes = rng.normal(size=shape).astype(np.float32)
        cards = [
            format_card("SIMPLE", True),
            format_card("BITPIX", -32),
            format_card("NAXIS", 3),
            *(format_card(f"NAXIS{i + 1}", shape[2 - i]) for i in range(3)),
            format_card("ESO DET NDIT", shape[0]),
        ]
        write_image(path, cards, planes)
        with fits.open(path, checksum=True) as units:  # a mismatch would warn, and fail here
            assert units[0].verify_checksum() == 1
            assert units[0].verify_datasum() == 1
            np.testing.assert_array_equal(units[0].data, planes)
        assert path.stat().st_size % 2880 == 0


def test_damaged_data_disagree_with_the_checksum(tmp_path):
    path = tmp_path / "damaged.fits"
    cards = [format_card("SIMPLE", True), format_card("BITPIX", -32), format_card("NAXIS", 3)]
    cards += [format_card(f"NAXIS{i}", n) for i, n in ((1, 8), (2, 8), (3, 1))]
    write_image(path, cards, np.ones((1, 8, 8), dtype=np.float32), damage=True)
    with fits.open(path) as units:
        assert units[0].verify_datasum() == 0
