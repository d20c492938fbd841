"""Header values of the setup: what kind of frame it is and what stands in the beam."""

from __future__ import annotations

from spheredc_hpc.simulate.cards import Value
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.timeline import PlannedFile

PRODUCT_TYPES = {
    "OBJECT": ("SCIENCE", "OBJECT", "IMAGE,DUAL,CORONOGRAPHY"),
    "CENTER": ("SCIENCE", "OBJECT,CENTER", "IMAGE,DUAL,CORONOGRAPHY"),
    "FLUX": ("SCIENCE", "OBJECT,FLUX", "IMAGE,DUAL,CORONOGRAPHY"),
    "SKY": ("SCIENCE", "SKY", "IMAGE,DUAL,CORONOGRAPHY"),
    "DARK": ("CALIB", "DARK", "IMAGE"),
    "BACKGROUND": ("CALIB", "DARK,BACKGROUND", "IMAGE"),
    "FLAT": ("CALIB", "FLAT,LAMP", "IMAGE,DUAL"),
}
TEMPLATES = {
    "DARK": ("SPHERE_irdis_cal_dark", "IRDIS darks"),
    "BACKGROUND": ("SPHERE_irdis_cal_background", "IRDIS instrument background"),
    "FLAT": ("SPHERE_irdis_cal_flat", "IRDIS lamp flats"),
}
OBSERVE = ("SPHERE_irdis_dbi_obs", "IRDIS dual-band imaging")
OBSERVE_CLASSICAL = ("SPHERE_irdis_ci_obs", "IRDIS classical imaging")
ND_SLOTS = {"OPEN": 1, "ND_1.0": 2, "ND_2.0": 3, "ND_3.5": 4}


def frame_type(scenario: IrdisScenario, file: PlannedFile) -> tuple[str, str, str]:
    """DPR CATG, TYPE and TECH of a file."""
    category, dpr_type, technique = PRODUCT_TYPES[file.kind]
    words = technique.split(",")
    if not scenario.filter.startswith("DB"):
        words = [word for word in words if word != "DUAL"]
    if not scenario.has_mask:
        words = [word for word in words if word != "CORONOGRAPHY"]
    return category, dpr_type, ",".join(words)


def template_of(scenario: IrdisScenario, file: PlannedFile) -> tuple[str, str]:
    """Return identifier and title of the template that took a file."""
    if not file.on_sky:
        return TEMPLATES[file.kind]
    return OBSERVE if scenario.filter.startswith("DB") else OBSERVE_CLASSICAL


def setup_values(scenario: IrdisScenario, file: PlannedFile, pitch_um: float) -> dict[str, Value]:
    """Frame class, filters, coronagraph, stage and tracking of one file.

    Parameters
    ----------
    scenario : IrdisScenario
    file : PlannedFile
    pitch_um : float
        Pixel pitch [um].
    """
    sky = file.on_sky
    category, dpr_type, technique = frame_type(scenario, file)
    if scenario.defects.old_spelling:
        dpr_type = dpr_type.replace("CENTER", "CENTRE")
    common, dual = _wheels(scenario.filter)
    pupil = scenario.pointing.tracking == "PUPIL"
    values: dict[str, Value] = {
        "ESO DPR CATG": category,
        "ESO DPR TYPE": dpr_type,
        "ESO DPR TECH": technique,
        "ESO INS COMB ICOR": scenario.coronagraph if sky else "N_NS_OPAQUE",
        "ESO INS COMB IFLT": scenario.filter,
        "ESO INS1 FILT NAME": common,
        "ESO INS1 FILT ID": f"FILT_{common}",
        "ESO INS1 OPTI2 NAME": dual,
        "ESO INS1 OPTI2 ID": f"FILT_{dual}",
        "ESO INS1 OPTI2 TYPE": f"FILT_{dual}",
        "ESO INS1 DITH POSX": float(round(file.dither_px[0])),
        "ESO INS1 DITH POSY": float(round(file.dither_px[1])),
        "ESO INS1 PAC X": file.dither_px[0] * pitch_um,
        "ESO INS1 PAC Y": file.dither_px[1] * pitch_um,
        "ESO INS4 FILT2 NAME": file.nd,
        "ESO INS4 FILT2 ID": file.nd,
        "ESO INS4 FILT2 NO": ND_SLOTS[file.nd],
        "ESO INS4 SHUT ST": sky,
        "ESO INS4 COMB CAL": "OBS" if sky else "CAL",
        "ESO INS4 COMB ROT": ("PUPIL" if pupil else "FIELD") if sky else "CAL_ZENITH",
        "ESO INS4 DROT2 MODE": ("ELEV" if pupil else "SKY") if sky else "STAT",
        "ESO INS4 DROT2 POSANG": scenario.pointing.posang_deg if sky else 0.0,
        "ESO OCS WAFFLE ORIENT": scenario.wavefront.waffle_orientation,
        "ESO SEQ CORO XC": scenario.pointing.star_left_px[0],
        "ESO SEQ CORO YC": scenario.pointing.star_left_px[1],
    }
    if file.kind == "DARK":
        values |= {"ESO INS1 OPTI1 NAME": "CLOSED", "ESO INS1 OPTI1 ID": "CLOSED"}
    elif sky and not scenario.has_mask:
        values |= _no_mask()
    return values


def _no_mask() -> dict[str, Value]:
    """Apodiser, mask and Lyot stop of a frame without coronagraph."""
    clear: dict[str, Value] = {}
    for element in ("INS4 OPTI10", "INS4 OPTI11", "INS1 OPTI1"):
        clear |= {f"ESO {element} NAME": "CLEAR", f"ESO {element} ID": "CLEAR"}
    return clear


def _wheels(combination: str) -> tuple[str, str]:
    """Return common filter and dual filter of a combination such as ``DB_H23``."""
    kind, _, bands = combination.partition("_")
    if kind != "DB":
        return f"{kind[0]}_{bands}", "CLEAR"
    special = {"NDH23": ("B_ND-H", "D_H23"), "H34": ("B_Hcmp2", "D_H34")}
    letter = "Ks" if bands.startswith("K") else bands[0]
    return special.get(bands, (f"B_{letter}", f"D_{bands}"))
