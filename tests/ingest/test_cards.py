from __future__ import annotations

import warnings

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from nasty_cards import NASTY

from spheredc_hpc.ingest.cards import parse_cards


def by_astropy(text):
    """Values as astropy reads them, keywords without HIERARCH, first card wins."""
    values = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.Header.fromstring(text)
        for card in header.cards:
            try:
                keyword, value = card.keyword.removeprefix("HIERARCH ").strip(), card.value
            except fits.VerifyError:
                continue
            if keyword in ("", "COMMENT", "HISTORY", "END") or keyword in values:
                continue
            if isinstance(value, str | int | float | bool):
                values[keyword] = value
    return values


def same(ours, theirs):
    return ours == theirs and {k: type(v) for k, v in ours.items()} == {
        k: type(v) for k, v in theirs.items()
    }


@pytest.mark.parametrize("card", NASTY)
def test_a_nasty_card_reads_as_astropy_reads_it(card):
    text = card.ljust(80)
    assert same(parse_cards(text), by_astropy(text))


def test_all_nasty_cards_together_read_as_astropy_reads_them():
    text = "".join(card.ljust(80) for card in NASTY)
    assert same(parse_cards(text), by_astropy(text))


@pytest.mark.parametrize("keyword", ["LONGKEY", "HIERARCH ESO LONG KEY"])
def test_continued_strings_are_joined(keyword):
    header = fits.Header()
    long_text = "it's long & it goes on, " * 30
    header[keyword] = long_text
    header["NEXT"] = 1
    text = header.tostring(endcard=False, padding=False)
    values = parse_cards(text)
    assert "CONTINUE" in text
    assert values[keyword.removeprefix("HIERARCH ")] == long_text.rstrip()
    assert values["NEXT"] == 1


def test_real_headers_read_as_astropy_reads_them(real_data):
    for path in sorted((real_data / "sphere-ifs-raw-headers").glob("*.hdr.txt")):
        text = "".join(line[:80].ljust(80) for line in path.read_text().splitlines())
        assert len(parse_cards(text)) > 890
        assert same(parse_cards(text), by_astropy(text))


VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(-1e30, 1e30, allow_subnormal=False),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90),
)


@given(st.lists(VALUES, max_size=6))
def test_what_astropy_writes_is_read_back(written):
    header = fits.Header()
    for number, value in enumerate(written):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header[f"HIERARCH ESO TEST KEY{number}" if number % 2 else f"KEY{number}"] = value
    text = header.tostring(endcard=False, padding=False)
    assert same(parse_cards(text), by_astropy(text))
