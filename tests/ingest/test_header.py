"""Headers whose values are parsed on demand, against those that are parsed whole."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from nasty_cards import NASTY

from spheredc_hpc.errors import DataError
from spheredc_hpc.ingest.cards import parse_cards
from spheredc_hpc.ingest.header import Header


def cards(*texts):
    return "".join(text.ljust(80) for text in texts).encode()


def by_parsing_all(data):
    return parse_cards(data.decode("ascii", errors="replace"))


def same(one, other):
    return type(one) is type(other) and (one == other or one != one)


@pytest.fixture
def real_data_of(real_data):
    """Cards of one of the real headers, as they stand in the file."""

    def read(name):
        path = real_data / "sphere-ifs-raw-headers" / f"SPHER.{name}.hdr.json"
        header = fits.Header()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for key, value, comment in json.loads(path.read_text()):
                long = " " in key or len(key) > 8
                header.append(fits.Card(f"HIERARCH {key}" if long else key, value, comment))
            return header.tostring(endcard=False, padding=False).encode()

    return read


def test_real_headers_are_read_value_by_value(real_data_of, real_name):
    data = real_data_of(real_name)
    whole, header = by_parsing_all(data), Header(data)
    assert len(whole) > 900
    for key, value in whole.items():
        assert same(header[key], value), key
    assert header.get("ESO NOT THERE") is None
    # Nothing of this took a look at all cards.
    assert "values_by_key" not in vars(header)
    assert dict(header) == whole
    assert len(header) == len(whole)


def test_odd_cards_are_read_as_in_a_whole_header():
    for text in NASTY:
        data = cards("ESO     = 1", text, "CONTINUE  'more&'", text, "LAST    = 2")
        whole, header = by_parsing_all(data), Header(data)
        for key in (*whole, "NOT", "ESO NOVALUE", "UNDEF"):
            assert same(header.get(key), whole.get(key)), (text, key)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_headers_are_read_as_whole_ones(real_data_of, seed):
    dice = np.random.default_rng(seed)
    data = real_data_of("2020-03-08T07-20-53.733")
    for _ in range(20):
        start = 80 * dice.integers(len(data) // 80 - 60)
        hurt = bytearray(data[start : start + 4800])
        for _ in range(int(dice.integers(1, 40))):
            hurt[dice.integers(len(hurt))] = dice.choice(list(b" '/=AZaz09.\x00\xff\n-_E+"))
        whole = by_parsing_all(bytes(hurt))
        for key in (*whole, "", "ESO NOT THERE"):
            assert same(Header(bytes(hurt)).get(key), whole.get(key)), key


@given(st.lists(st.binary(min_size=80, max_size=80), min_size=1, max_size=6))
def test_no_bytes_do_harm(rows):
    data = b"".join(rows)
    header = Header(data)
    assert len(header.digest) == 64
    assert Header.unpacked(header.packed()).data == data
    for key, value in by_parsing_all(data).items():
        assert same(header[key], value)


def test_the_digest_takes_values_alone():
    text = ("SIMPLE  =                    T", "NAXIS   = 2 / axes", "HIERARCH ESO A B = 'x ' / c")
    digest = Header(cards(*text)).digest
    equal = ("NAXIS   =  2", "SIMPLE  = T", "COMMENT no", "CHECKSUM= 'abc'")
    assert Header(cards(*equal, "HIERARCH ESO A B   =   'x'/other")).digest == digest
    for other in ("HIERARCH ESO A B = 'y'", "HIERARCH ESO A B = ' x'", "HIERARCH ESO A C = 'x'"):
        assert Header(cards(*text[:2], other)).digest != digest


def test_packed_headers_are_small_and_damage_is_named(real_data_of):
    data = real_data_of("2020-03-08T07-20-53.733")
    packed = Header(data).packed()
    assert len(packed) < len(data) / 4
    assert Header.unpacked(packed)["ESO DPR TYPE"] == "OBJECT"
    with pytest.raises(DataError, match="packed header of 100 bytes is damaged"):
        Header.unpacked(packed[:100])
    with pytest.raises(DataError, match="is damaged"):
        Header.unpacked(b"")


def test_cards_have_to_be_whole():
    with pytest.raises(ValueError, match="81 bytes are no whole cards of 80"):
        Header(b" " * 81)
