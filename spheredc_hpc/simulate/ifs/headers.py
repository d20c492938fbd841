"""Headers of raw files of the spectrograph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from spheredc_hpc.simulate.cards import Value
from spheredc_hpc.simulate.ifs.settings import IfsSettings
from spheredc_hpc.simulate.ifs.timeline import IfsFile
from spheredc_hpc.simulate.keywords import HeaderMaker
from spheredc_hpc.simulate.setup import setup_values
from spheredc_hpc.simulate.timeline import PlannedFile

TYPES = {
    "OBJECT": ("SCIENCE", "OBJECT", "IFU"),
    "CENTER": ("SCIENCE", "OBJECT,CENTER", "IFU"),
    "FLUX": ("SCIENCE", "OBJECT,FLUX", "IFU"),
    "SKY": ("SCIENCE", "SKY", "IFU"),
    "DARK": ("CALIB", "DARK", "IMAGE"),
    "BACKGROUND": ("CALIB", "DARK,BACKGROUND", "IMAGE"),
    "SPECPOS": ("CALIB", "SPECPOS,LAMP", "IFU"),
    "WAVE": ("CALIB", "WAVE,LAMP", "IFU"),
    "IFU_FLAT": ("CALIB", "FLAT,LAMP", "IFU"),
    "DET_FLAT": ("CALIB", "FLAT,LAMP", "IMAGE"),
}
TEMPLATES = {
    "DARK": ("SPHERE_ifs_cal_dark", "IFS darks"),
    "BACKGROUND": ("SPHERE_ifs_cal_background", "IFS instrument background"),
    "SPECPOS": ("SPHERE_ifs_cal_specpos", "IFS spectra positions"),
    "WAVE": ("SPHERE_ifs_cal_wave", "IFS wavelength calibration"),
    "IFU_FLAT": ("SPHERE_ifs_cal_ifuflat", "IFS lenslet flat"),
    "DET_FLAT": ("SPHERE_ifs_cal_detflat", "IFS detector flat"),
}
OBSERVE = ("SPHERE_irdifs_obs", "Simultaneous imaging and spectroscopy")
# Cards of the lasers, by their number in the table of wavelengths: lamp, identifier, label.
LASERS = {1: ("LAMP5", "CBL3", "980nm"), 2: ("LAMP8", "CBL6", "1080nm")}
LASERS |= {3: ("LAMP3", "CBL1", "1310nm"), 4: ("LAMP4", "CBL2", "1550nm")}
PRISMS = {"YJ": ("PRIS_YJ", "PRI_YJ", 1), "YH": ("PRIS_YJH", "PRI_YJH", 2)}


@dataclass(frozen=True)
class IfsHeaderMaker(HeaderMaker):
    """Makes the cards of the files of one night of the spectrograph."""

    ifs: IfsSettings = field(default_factory=IfsSettings)

    arm: ClassVar[str] = "IFS"
    rows: ClassVar[int] = 2048

    def frame_type(self, file: PlannedFile) -> tuple[str, str, str]:
        """DPR CATG, TYPE and TECH of a file."""
        return TYPES[file.kind]

    def template_of(self, file: PlannedFile) -> tuple[str, str]:
        """Give identifier and title of the template."""
        return OBSERVE if file.on_sky else TEMPLATES[file.kind]

    def setup(self, file: PlannedFile) -> dict[str, Value]:
        """Frame class, disperser and what stands in the common beam."""
        known = file if file.kind in ("OBJECT", "CENTER", "FLUX", "SKY") else _as_dark(file)
        values = setup_values(self.scenario, known, self.pitch_um)
        category, dpr_type, technique = TYPES[file.kind]
        identifier, name, slot = PRISMS[self.ifs.prism]
        values |= {
            "ESO DPR CATG": category,
            "ESO DPR TYPE": dpr_type,
            "ESO DPR TECH": technique,
            "ESO DET ID": "IFS",
            "ESO DET NAME": "IFS",
            "ESO DET CHIP1 NY": 2048,
            "ESO DET SEQ1 WIN NY": 2048,
            "ESO DET ACQ1 WIN NY": 2048,
            "ESO SEQ ARM": "IFS",
            "ESO INS2 COMB IFS": file.setup if isinstance(file, IfsFile) else self.ifs.setup,
            "ESO INS2 OPTI2 ID": identifier,
            "ESO INS2 OPTI2 NAME": name,
            "ESO INS2 OPTI2 NO": slot,
        }
        if file.kind == "WAVE":
            values |= self._lasers()
        return values

    def _lasers(self) -> dict[str, Value]:
        """Cards of the lasers that are on; one that is off has none."""
        defects = self.ifs.defects
        values: dict[str, Value] = {}
        for laser, (lamp, identifier, label) in LASERS.items():
            dead = laser == defects.dead_laser and not defects.dead_laser_unseen
            if dead or (laser == 4 and self.ifs.prism == "YJ"):
                continue
            values |= {
                f"ESO INS4 {lamp} ID": identifier,
                f"ESO INS4 {lamp} NAME": f"{identifier} {label}",
                f"ESO INS4 {lamp} ST": True,
            }
        return values


def _as_dark(file: PlannedFile) -> PlannedFile:
    """Give the daytime file whose common beam is the same: lamps and bare detector."""
    return PlannedFile(
        file.index,
        "BACKGROUND",
        file.ndit,
        file.n_planes,
        file.dit_s,
        file.nd,
        file.start_mjd,
        file.cadence_s,
        file.delay_s,
    )
