"""IRDIS filters: spelling, wavelengths per channel, neutral densities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants, default_constants
from spheredc_hpc.instrument.headers import read_value

OPEN = "OPEN"
DUAL_BAND = {
    "DB_Y23": ("Y2", "Y3"),
    "DB_J23": ("J2", "J3"),
    "DB_H23": ("H2", "H3"),
    "DB_H32": ("H3", "H2"),
    "DB_NDH23": ("H2", "H3"),
    "DB_H34": ("H3", "H4"),
    "DB_K12": ("K1", "K2"),
}
SINGLE_BAND = (
    *("BB_Y", "BB_J", "BB_H", "BB_Ks"),
    *("NB_HeI", "NB_CntJ", "NB_PaB", "NB_CntH", "NB_FeII"),
    *("NB_CntK1", "NB_H2", "NB_BrG", "NB_CntK2", "NB_CO"),
)
SPECTROSCOPIC = ("S_LR", "S_MR", "W_YJH", "W_YJHKs")
_FLATS_OF_SLITS = {"S_LR": "W_YJHKs", "S_MR": "W_YJH"}
ZIMPOL_BROAD_BANDS = ("V", "N_R", "N_I")
POLARISERS = ("DP_0_", "DP_45_")
_BY_UPPER_CASE = {
    **{name.upper(): name for name in (*DUAL_BAND, *SINGLE_BAND, *SPECTROSCOPIC)},
    "W_YHJKS": "W_YJHKs",
}
_PREFIXES = (("FILT_BBF_", "BB_"), ("FILT_NBF_", "NB_"), ("B_", "BB_"), ("N_", "NB_"))
_ND = re.compile(r"(?:CPI_)?ND_?(\d)(?:\.(\d))?")


@dataclass(frozen=True)
class Band:
    """Pass band of one channel.

    Attributes
    ----------
    name : str
        ``H2``, ``BB_Ks``, ``NB_BrG`` and so on.
    wavelength_um, bandwidth_um : float
        Centre and width [um].
    """

    name: str
    wavelength_um: float
    bandwidth_um: float


def normalise_filter(name: str) -> str:
    """Return the one spelling of a filter or filter combination.

    ``NB_ContH``, ``FILT_NBF_ContH`` and ``N_CntH`` are ``NB_CntH``; ``B_H`` is ``BB_H``.
    A name that is not known comes back without the blanks around it.
    """
    text = name.strip()
    stem, polariser = text.upper(), ""
    for prefix in POLARISERS:
        if stem.startswith(prefix):
            stem, polariser = stem.removeprefix(prefix), prefix
    stem = stem.replace("CONT", "CNT")
    for prefix, wanted in _PREFIXES:
        if stem.startswith(prefix):
            stem = wanted + stem.removeprefix(prefix)
            break
    return polariser + _BY_UPPER_CASE[stem] if stem in _BY_UPPER_CASE else text


def irdis_bands(combination: str, constants: Constants | None = None) -> tuple[Band, Band]:
    """Return the bands of the left and the right field of IRDIS.

    Parameters
    ----------
    combination : str
        ``INS COMB IFLT``, any of its spellings.
    constants : Constants, optional
        Table to take the wavelengths from; the shipped one if absent.

    Raises
    ------
    DataError
        If the combination is unknown or is no imaging filter.
    """
    name = normalise_filter(combination)
    for prefix in POLARISERS:
        name = name.removeprefix(prefix)
    if name in DUAL_BAND:
        left, right = DUAL_BAND[name]
    elif name in SINGLE_BAND:
        left = right = name
    else:
        known = ", ".join((*DUAL_BAND, *SINGLE_BAND))
        raise DataError(f"IRDIS filter {combination!r} has no imaging bands; expected {known}")
    table = constants or default_constants()
    return _band(left, table), _band(right, table)


def nd_transmission(nd: str, band: str, constants: Constants | None = None) -> float:
    """Return the transmission of a neutral density averaged over an IRDIS band.

    Parameters
    ----------
    nd : str
        ``INS4 FILT2 NAME``: ``OPEN``, ``ND_1.0``, ``ND_2.0`` or ``ND_3.5``.
    band : str
        Name of the band, ``H2`` for example.

    Raises
    ------
    DataError
        If the density is unknown.
    ConfigError
        If there is no value for the band.
    """
    name = normalise_nd(nd)
    if name == OPEN:
        return 1.0
    return (constants or default_constants()).value(
        "nd_transmission", nd=name, band=normalise_filter(band)
    )


def nd_transmission_at(nd: str, wavelength_um: float, constants: Constants | None = None) -> float:
    """Return the monochromatic transmission of a neutral density, 0.95 to 1.65 um.

    Linear in the logarithm between the samples of the laboratory curve (which is good to
    about 2 % there).

    Raises
    ------
    DataError
        If the density is unknown or the wavelength is outside of the samples.
    """
    name = normalise_nd(nd)
    if name == OPEN:
        return 1.0
    rows = (constants or default_constants()).rows("nd_transmission_at", nd=name)
    samples = sorted((float(dict(row.selector)["wavelength_nm"]), row.value) for row in rows)
    wavelength, transmission = np.array(samples).T
    nm = wavelength_um * 1000
    if not wavelength[0] <= nm <= wavelength[-1]:
        raise DataError(
            f"wavelength {nm:.1f} nm of {name} is outside of {wavelength[0]:g} to "
            f"{wavelength[-1]:g} nm"
        )
    return float(10 ** np.interp(nm, wavelength, np.log10(transmission)))


def normalise_nd(nd: str) -> str:
    """Return ``OPEN``, ``ND_1.0``, ``ND_2.0`` or ``ND_3.5``; DataError for anything else."""
    text = nd.strip().upper()
    match = _ND.fullmatch(text)
    name = f"ND_{match[1]}.{match[2] or 0}" if match else text
    if name in ("", OPEN, "CLEAR", "ND_0.0"):
        return OPEN
    if name not in ("ND_1.0", "ND_2.0", "ND_3.5"):
        raise DataError(f"neutral density {nd!r} unknown; expected OPEN, ND_1.0, ND_2.0, ND_3.5")
    return name


def flat_filter(combination: str) -> str:
    """Return the filter whose flats serve frames of an IRDIS combination.

    Polarimetry is flattened through its filter without polarisers, spectra of the long slit
    through the wide filter of their disperser; anything else through itself.
    """
    name = normalise_filter(combination)
    for prefix in POLARISERS:
        name = name.removeprefix(prefix)
    return _FLATS_OF_SLITS.get(name, name)


@cache
def zimpol_broad_band(filters: str) -> str:
    """Return the broad band (V, N_R, N_I) nearest in wavelength to ZIMPOL filters.

    Parameters
    ----------
    filters : str
        Filters of the light path joined by ``+``, as in the catalogue; the narrowest that is
        known decides.

    Returns
    -------
    str
        Empty if none of the filters is known.
    """
    table = default_constants()
    known = []
    for name in filters.split("+"):
        rows = table.rows("filter_bandwidth_um", arm="ZIMPOL", band=name)
        known += [(row.value, name) for row in rows]
    if not known:
        return ""

    def wavelength(name: str) -> float:
        return table.value("filter_wavelength_um", arm="ZIMPOL", band=name)

    middle = wavelength(min(known)[1])
    return min(ZIMPOL_BROAD_BANDS, key=lambda band: abs(wavelength(band) - middle))


def irdis_combination(header: Mapping[str, Any]) -> str:
    """Return the filter combination of an IRDIS header, one spelling; empty if not told.

    From ``INS COMB IFLT``; without it from the two wheels, ``B_H`` and ``D_H23`` giving
    ``DB_H23``.
    """
    combination = normalise_filter(read_value(header, "filter", ""))
    if combination:
        return combination
    common = read_value(header, "common_filter", "")
    dual = read_value(header, "dual_filter", "")
    if dual.startswith("D_"):
        name = "DB_NDH23" if (common, dual) == ("B_ND-H", "D_H23") else f"DB_{dual[2:]}"
        return normalise_filter(name)
    polariser = {"P0-90": "DP_0_", "P45-135": "DP_45_"}.get(dual, "")
    return polariser + normalise_filter(common) if common else ""


def _band(name: str, table: Constants) -> Band:
    return Band(
        name=name,
        wavelength_um=table.value("filter_wavelength_um", band=name),
        bandwidth_um=table.value("filter_bandwidth_um", band=name),
    )
