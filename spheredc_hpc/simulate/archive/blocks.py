"""Observing blocks of a night: which modes, setups, stars and exposures, drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spheredc_hpc.simulate.archive.frames import Block, Setup, Star
from spheredc_hpc.simulate.archive.settings import ArchiveSettings
from spheredc_hpc.simulate.streams import stream

N_STARS = 800
FILE_S, PLANES = 200.0, (2, 20)
FILE_DPI_S, PLANES_DPI = 80.0, (2, 8)
SHORTEST_S = {"IRDIS": 0.837464, "IFS": 1.650726, "ZIMPOL": 1.1}
DITS_S = {
    "IRDIS": {2.0: 0.08, 4.0: 0.1, 8.0: 0.17, 16.0: 0.25, 32.0: 0.22, 64.0: 0.18},
    "IFS": {8.0: 0.1, 16.0: 0.25, 32.0: 0.35, 64.0: 0.3},
    "ZIMPOL": {1.2: 0.2, 3.0: 0.2, 10.0: 0.4, 40.0: 0.2},
}
FLUX_DITS_S = {"IRDIS": (SHORTEST_S["IRDIS"], 2.0, 4.0), "IFS": (SHORTEST_S["IFS"], 2.0, 4.0, 8.0)}
DENSITIES = {"OPEN": 0.05, "ND_1.0": 0.45, "ND_2.0": 0.3, "ND_3.5": 0.2}
# IRDIS filter and IFS setup of simultaneous observations.
PARALLEL = {("DB_H23", "OBS_YJ"): 0.62, ("DB_K12", "OBS_H"): 0.34, ("BB_H", "OBS_YJ"): 0.04}
ALONE = {
    **{"DB_H23": 0.3, "DB_K12": 0.12, "DB_Y23": 0.06, "DB_J23": 0.08, "DB_H34": 0.04},
    **{"DB_NDH23": 0.02, "DB_H32": 0.02, "BB_H": 0.14, "BB_J": 0.06, "BB_Y": 0.03},
    **{"BB_Ks": 0.05, "NB_BrG": 0.03, "NB_PaB": 0.02, "NB_CntH": 0.03},
}
POLARISED = {"DP_0_BB_H": 0.5, "DP_0_BB_J": 0.25, "DP_0_BB_Ks": 0.17, "DP_0_BB_Y": 0.08}
SPECTRA = {"S_LR": 0.75, "S_MR": 0.25}
VISIBLE = {"N_R": 0.25, "V": 0.15, "N_I": 0.2, "VBB": 0.25, "B_Ha+CntHa": 0.15}
READMODES = {"StandardImaging": 0.4, "SlowPolarimetry": 0.2, "FastPolarimetry": 0.4}
PROGRAMMES = ("095.C-0298(A)", "096.C-0241(B)", "198.C-0209(N)", "0101.C-0128(A)", "1100.C-0481(T)")


@dataclass(frozen=True)
class Exposures:
    """Exposures of one kind of an observing block."""

    kind: str
    files: int
    dit_s: float
    ndit: int
    nd: str = "OPEN"


@dataclass(frozen=True)
class Leg:
    """Exposures of one arm on one star in one observing block."""

    template: str
    setup: Setup
    star: Star
    block: Block
    exposures: tuple[Exposures, ...]


@dataclass(frozen=True)
class Plan:
    """One sequence: legs of one tuple run at the same time, tuples one after the other."""

    kind: str
    legs: tuple[tuple[Leg, ...], ...]


def pick(rng: np.random.Generator, shares: Mapping[Any, float]) -> Any:
    """Draw a key by its share."""
    keys = list(shares)
    weights = np.array([shares[key] for key in keys])
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def stars(settings: ArchiveSettings) -> list[Star]:
    """Targets of the archive, the same for every night."""
    rng = stream(settings.seed, "archive-stars")
    made = []
    for number in range(N_STARS):
        name = f"HIP_{1000 + 137 * number}" if number % 3 else f"HD {100 + 251 * number}"
        sine = rng.uniform(np.sin(np.radians(-75)), np.sin(np.radians(20)))
        pm = rng.normal(0, 80, size=2)
        place = round(float(rng.uniform(0, 360)), 6), round(float(np.degrees(np.arcsin(sine))), 5)
        magnitude = round(float(rng.uniform(3, 13)), 2)
        made.append(Star(name, *place, float(pm[0]), float(pm[1]), magnitude))
    # Declinations between -1 and 0, whose packed form has lost many a sign.
    return [
        replace(s, dec_deg=-abs(s.dec_deg) / 75) if i % 40 == 0 else s for i, s in enumerate(made)
    ]


def plans(
    settings: ArchiveSettings, number: int, mjd: float, targets: Sequence[Star]
) -> Iterator[Plan]:
    """Draw the sequences of night `number`, which begins at `mjd`."""
    rng = stream(settings.seed, "archive-night", number)
    kinds: list[str] = []
    for kind, mean in settings.sequences.plain().items():
        kinds += [kind] * (int(mean) + bool(rng.random() < mean % 1))
    rng.shuffle(kinds)
    for place, kind in enumerate(kinds):
        when = mjd + (place + 0.5) / max(len(kinds), 1) * 0.4
        star = _up(rng, targets, when)
        block = Block(100_000 + 100 * number + 4 * place, PROGRAMMES[int(rng.integers(5))])
        legs = _MAKERS[kind](rng, star, block, settings)
        hops = kind in ("irdis", "irdifs") and rng.random() < settings.hopping
        yield Plan(kind, _hopping(rng, legs, targets) if hops else (legs,))


def _up(rng: np.random.Generator, targets: Sequence[Star], mjd: float) -> Star:
    """One of the stars near the meridian."""
    sidereal = (100.46 + 360.985647 * (mjd - 51544.0) - 180.0 - 70.4) % 360
    tried = [targets[int(i)] for i in rng.integers(len(targets), size=12)]
    return min(tried, key=lambda s: abs((sidereal - s.ra_deg + 180) % 360 - 180))


def _hopping(
    rng: np.random.Generator, legs: tuple[Leg, ...], targets: Sequence[Star]
) -> tuple[tuple[Leg, ...], ...]:
    """Star, reference, star, reference: blocks of one container with a share of the files each."""
    star, block = legs[0].star, legs[0].block
    offset = rng.uniform(0.2, 2.0)
    near = replace(
        targets[int(rng.integers(len(targets)))],
        ra_deg=round((star.ra_deg + offset) % 360, 6),
        dec_deg=round(star.dec_deg - offset / 2, 5),
    )
    hops = []
    for turn, here in enumerate((star, near, star, near)):
        own = replace(block, obs_id=block.obs_id + turn, container_id=2_000_000 + block.obs_id)
        hops.append(
            tuple(
                replace(leg, star=here, block=own, exposures=_quarter(leg.exposures))
                for leg in legs
            )
        )
    return tuple(hops)


def _quarter(exposures: tuple[Exposures, ...]) -> tuple[Exposures, ...]:
    first: dict[str, Exposures] = {}
    for item in exposures:
        first.setdefault(item.kind, item)
    return tuple(replace(item, files=max(item.files // 4, 1)) for item in first.values())


def _planes(dit_s: float, file_s: float = FILE_S, limits: tuple[int, int] = PLANES) -> int:
    return int(np.clip(round(file_s / dit_s), *limits))


def _infrared(
    rng: np.random.Generator, arm: str, nd: str, counts: dict[str, int], settings: ArchiveSettings
) -> tuple[Exposures, ...]:
    """CENTER, FLUX, OBJECT, FLUX, CENTER and SKY; `counts` holds OBJECT, FLUX and SKY files."""
    dit = float(pick(rng, DITS_S[arm]))
    flux_dit = float(rng.choice(FLUX_DITS_S[arm]))
    n_object = max(round(counts["OBJECT"] * settings.length), 1)
    center = Exposures("CENTER", 1, dit, min(_planes(dit), 6))
    flux = Exposures("FLUX", 1, flux_dit, min(_planes(flux_dit), 10), nd)
    sequence = [center, replace(flux, files=counts["FLUX"] - 1)]
    sequence += [Exposures("OBJECT", n_object, dit, _planes(dit)), flux, center]
    sequence.append(Exposures("SKY", counts["SKY"], dit, min(_planes(dit), 6)))
    return tuple(item for item in sequence if item.files)


def _mask(rng: np.random.Generator, name: str) -> str:
    if rng.random() < 0.05:
        return "N_NS_CLEAR"
    if name.startswith(("DB_K", "BB_K")):
        return "N_ALC_Ks" if rng.random() < 0.5 else "N_ALC_YJH_S"
    return str(pick(rng, {"N_ALC_YJH_S": 0.85, "N_ALC_YJH_L": 0.08, "N_CLC_SW_WF": 0.07}))


def _tracking(rng: np.random.Generator, pupil: float) -> str:
    return "PUPIL" if rng.random() < pupil else "FIELD"


def imaging_mode(name: str) -> str:
    """Mode of an IRDIS imaging filter."""
    return "DBI" if name.startswith("DB") else "CBI"


def _irdis(
    rng: np.random.Generator, star: Star, block: Block, settings: ArchiveSettings
) -> tuple[Leg, ...]:
    name = str(pick(rng, ALONE))
    nd = str(pick(rng, DENSITIES))
    mode = imaging_mode(name)
    setup = Setup("IRDIS", mode, name, _mask(rng, name), tracking=_tracking(rng, 0.85))
    template = f"SPHERE_irdis_{'dbi' if mode == 'DBI' else 'ci'}_obs"
    counts = {"OBJECT": 14, "FLUX": 3, "SKY": 1}
    return (Leg(template, setup, star, block, _infrared(rng, "IRDIS", nd, counts, settings)),)


def _irdifs(
    rng: np.random.Generator, star: Star, block: Block, settings: ArchiveSettings
) -> tuple[Leg, ...]:
    name, prism = pick(rng, PARALLEL)
    nd = str(pick(rng, DENSITIES))
    mask, tracking = _mask(rng, name), _tracking(rng, 0.93)
    irdis = Setup("IRDIS", imaging_mode(name), name, mask, tracking=tracking, ifs=prism)
    ifs = replace(irdis, arm="IFS", mode="YJ" if prism == "OBS_YJ" else "YH")
    found = []
    for setup, counts in (
        (irdis, {"OBJECT": 14, "FLUX": 3, "SKY": 1}),
        (ifs, {"OBJECT": 9, "FLUX": 2, "SKY": 1}),
    ):
        exposures = _infrared(rng, setup.arm, nd, counts, settings)
        found.append(Leg("SPHERE_irdifs_obs", setup, star, block, exposures))
    return tuple(found)


def _dpi(
    rng: np.random.Generator, star: Star, block: Block, settings: ArchiveSettings
) -> tuple[Leg, ...]:
    name = str(pick(rng, POLARISED))
    setup = Setup("IRDIS", "DPI", name, _mask(rng, name[5:]), tracking=_tracking(rng, 0.25))
    dit = float(pick(rng, {2.0: 0.1, 8.0: 0.2, 16.0: 0.4, 32.0: 0.3}))
    planes = _planes(dit, FILE_DPI_S, PLANES_DPI)
    nd = str(pick(rng, DENSITIES))
    cycles = max(round(13 * settings.length), 1)
    exposures = (
        Exposures("CENTER", 1, dit, planes),
        Exposures("FLUX", 1, SHORTEST_S["IRDIS"], 10, nd),
        Exposures("OBJECT", 4 * cycles, dit, planes),
        Exposures("FLUX", 1, SHORTEST_S["IRDIS"], 10, nd),
        Exposures("CENTER", 1, dit, planes),
    )
    return (Leg("SPHERE_irdis_dpi_obs", setup, star, block, exposures),)


def _lss(
    rng: np.random.Generator, star: Star, block: Block, settings: ArchiveSettings
) -> tuple[Leg, ...]:
    name = str(pick(rng, SPECTRA))
    setup = Setup("IRDIS", "LSS", name, f"N_{name}_WL", tracking="PUPIL")
    nd = str(pick(rng, DENSITIES))
    counts = {"OBJECT": 14, "FLUX": 3, "SKY": 1}
    exposures = _infrared(rng, "IRDIS", nd, counts, settings)
    return (Leg("SPHERE_irdis_lss_obs", setup, star, block, exposures),)


def _zimpol(
    rng: np.random.Generator, star: Star, block: Block, settings: ArchiveSettings
) -> tuple[Leg, ...]:
    readmode = str(pick(rng, READMODES))
    mode = "IMAGING" if readmode == "StandardImaging" else "POLARIMETRY"
    mask = str(pick(rng, {"V_NC_WF": 0.5, "V_CLC_S_WF": 0.2, "V_CLC_M_WF": 0.3}))
    name = str(pick(rng, VISIBLE))
    tracking = _tracking(rng, 0.3)
    setup = Setup("ZIMPOL", mode, name, mask, tracking=tracking, readmode=readmode)
    dit = float(pick(rng, DITS_S["ZIMPOL"]))
    files = 4 * max(round(13 * settings.length), 1)
    exposures = (
        Exposures("CENTER", 2, dit, 4),
        Exposures("FLUX", 2, 1.1, 6),
        Exposures("OBJECT", files, dit, _planes(dit, 100.0, (2, 20))),
    )
    template = f"SPHERE_zimpol_{'int' if mode == 'IMAGING' else 'p2'}_obs"
    return (Leg(template, setup, star, block, exposures),)


_MAKERS = {"irdifs": _irdifs, "irdis": _irdis, "dpi": _dpi, "lss": _lss, "zimpol": _zimpol}
