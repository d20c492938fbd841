"""The IRDIS campaign: one short night per mode and defect, 2014 to 2024, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spheredc_hpc.instrument import site
from spheredc_hpc.instrument.headers import mjd_from_iso
from spheredc_hpc.simulate import IrdisScenario, load_scenario
from spheredc_hpc.simulate.scene import merge

OK, FLAGGED, REJECTED = "ok", "flagged", "rejected"

# Short and steady: 12 integrations of half a minute at the meridian, good seeing, a star that
# saturates nowhere, two companions that every recipe sees.
BASE: dict[str, Any] = {
    "base": "first-light-small",
    "target": {"magnitude": 7.6, "pm_ra_mas_yr": 0.0, "pm_dec_mas_yr": 0.0},
    "companions": [
        {
            "name": "b",
            "separation_mas": 620.0,
            "position_angle_deg": 127.0,
            "contrast": [1.6e-3, 1.2e-3],
        },
        {
            "name": "c",
            "separation_mas": 1150.0,
            "position_angle_deg": 312.0,
            "contrast": [6e-4, 6e-4],
        },
    ],
    "sequence": {
        "center_before": {"files": 1, "ndit": 2, "dit_s": 32.0},
        "flux_before": {"files": 1, "ndit": 4, "dit_s": 2.0, "nd": "ND_1.0"},
        "object": {"files": 2, "ndit": 6, "dit_s": 32.0},
        "flux_after": {"files": 1, "ndit": 4, "dit_s": 2.0, "nd": "ND_1.0"},
        "center_after": {"files": 1, "ndit": 2, "dit_s": 32.0},
        "sky": {"files": 0},
    },
    "calibrations": {"dark_ndit": 2, "background_ndit": 4, "flat_ndit": 1},
    "wavefront": {"substeps": 6},
    "atmosphere": {
        "seeing_arcsec": 0.75,
        "seeing_sigma_ln": 0.06,
        "tau0_ms": 5.0,
        "tau0_sigma_ln": 0.1,
        "transparency_sigma": 0.005,
    },
}
SKY = {"sky": {"files": 1, "ndit": 4, "dit_s": 32.0}}


@dataclass(frozen=True)
class Expected:
    """What an observation must end as.

    Attributes
    ----------
    status : tuple of str
        Any of these.
    flags, may : tuple of str
        Flags that it must have, and that it may have besides.
    reason : str
        Words that one of its reasons must hold.
    target : str
        Which star; empty for the target of the night.
    """

    status: tuple[str, ...] = (OK,)
    flags: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    reason: str = ""
    target: str = ""


@dataclass(frozen=True)
class Case:
    """One night of the campaign.

    Attributes
    ----------
    name, date : str
    about : str
        Mode or defect that it stands for.
    dec_deg : float
        Declination of the target; it culminates in the middle of the night.
    changes : dict
        Scenario fields that differ from `BASE`.
    expected : tuple of Expected
        One an observation.
    recipes : tuple of str
        Level 2 recipes of `campaign_run`: ``adi`` where the field turns enough, ``profile``.
    config : dict
        Settings beside those of the campaign.
    """

    name: str
    date: str
    about: str
    dec_deg: float = -31.0
    changes: dict[str, Any] = field(default_factory=dict)
    expected: tuple[Expected, ...] = (Expected(),)
    recipes: tuple[str, ...] = ("adi",)
    config: dict[str, Any] = field(default_factory=dict)

    def scenario(self) -> IrdisScenario:
        """Give the night; its seed follows from the name."""
        ra = transit_ra_deg(self.date)
        values = merge(BASE, {"target": {"name": self.name.upper(), "ra_deg": ra}})
        values = merge(values, {"target": {"dec_deg": self.dec_deg}, "date": self.date})
        values["seed"] = 1 + sum(i * ord(letter) for i, letter in enumerate(self.name, 1))
        values = merge(values, self.changes)
        hopping = values.get("hopping")
        if hopping:
            star = {"ra_deg": ra + 0.9, "dec_deg": self.dec_deg + 0.4, **hopping["target"]}
            values = merge(values, {"hopping": {"target": star}})
        base = load_scenario(values.pop("base"))
        return base.revise(values)


def transit_ra_deg(date: str) -> float:
    """Right ascension that culminates at 5 h UTC of a date, to a few tenths of a degree."""
    mjd = mjd_from_iso(f"{date}T05:00:00")
    return float(np.asarray(site.apparent_sidereal_time_deg(np.array([mjd])))[0] % 360)


def flagged(*flags: str, may: tuple[str, ...] = (), reason: str = "") -> tuple[Expected, ...]:
    """Expect flags on the one observation of a night."""
    return (Expected((FLAGGED,), flags, may, reason),)


def either(*may: str) -> tuple[Expected, ...]:
    """Expect no flag, or any of these."""
    return (Expected((OK, FLAGGED), (), may),)


def sequence(**parts: Any) -> dict[str, Any]:
    """Change parts of the sequence."""
    return {"sequence": parts}


def defects(*names: str) -> dict[str, Any]:
    """Switch defects on."""
    return {"defects": dict.fromkeys(names, True)}
