"""The facts of one raw file of a simulated archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spheredc_hpc.instrument.detectors import RAW_SHAPES
from spheredc_hpc.instrument.headers import iso_from_mjd
from spheredc_hpc.simulate.cards import Value

SECONDS_PER_DAY = 86400.0
ON_SKY = ("OBJECT", "CENTER", "FLUX", "SKY", "STD", "ACQUISITION")
PIXEL_BYTES = {"IRDIS": 4, "IFS": 4, "ZIMPOL": 2}
N_CAMERAS = 2

Damage = Literal["", "short", "no-end"]


@dataclass(frozen=True)
class Star:
    """A target: name, place at J2000 [deg], proper motion [mas/yr], magnitude."""

    name: str
    ra_deg: float
    dec_deg: float
    pm_ra_mas_yr: float
    pm_dec_mas_yr: float
    r_magnitude: float


@dataclass(frozen=True)
class Block:
    """Observing block; container 0 stands for none."""

    obs_id: int
    programme: str
    container_id: int = 0


@dataclass(frozen=True)
class Setup:
    """What stands in the beam, and what `mode` that makes for the classifier."""

    arm: str
    mode: str
    filter: str
    coronagraph: str = "N_NS_OPAQUE"
    nd: str = "OPEN"
    tracking: str = "CAL_ZENITH"
    readmode: str = "Nondest"
    ifs: str = ""


@dataclass(frozen=True)
class ArchiveFile:
    """One raw file before it is written.

    Attributes
    ----------
    kind : str
        ``OBJECT``, ``CENTER``, ``DARK`` and so on: chooses the DPR keywords.
    frame_class : str
        Class that it has to be given: the truth for tests.
    setup : Setup
    start_mjd : float
        DATE-OBS, in whole milliseconds [d].
    dit_s, cadence_s : float
        Integration time, and from one integration to the next [s].
    ndit, n_planes : int
        Integrations planned and stored.
    block : Block
    star : Star or None
        Target on the sky.
    template : tuple of (str, float, int, int)
        Identifier, start [d], exposure number, number of exposures.
    changes : mapping
        Header values that replace those of the setup; None leaves the keyword out.
    damage : str
        ``short``: data are missing; ``no-end``: the header is cut; empty if whole.
    packed : str
        Suffix ``.gz`` or ``.Z``, or empty.
    copy : str
        Folder of a copy beside the folder of the night; empty for the first file.
    """

    kind: str
    frame_class: str
    setup: Setup
    start_mjd: float
    dit_s: float
    cadence_s: float
    ndit: int
    n_planes: int
    block: Block
    night: str
    star: Star | None = None
    template: tuple[str, float, int, int] = ("", 0.0, 1, 1)
    changes: Mapping[str, Value | None] = field(default_factory=dict)
    damage: Damage = ""
    packed: str = ""
    copy: str = ""

    @property
    def end_mjd(self) -> float:
        """DET FRAM UTC: end of the last stored integration [d]."""
        return self.start_mjd + self.n_planes * self.cadence_s / SECONDS_PER_DAY

    @property
    def archive_id(self) -> str:
        """Name in the archive, without extension."""
        return f"SPHER.{iso_from_mjd(self.start_mjd, digits=3)}"

    @property
    def relative_path(self) -> str:
        """Where it lies below the folder of the archive."""
        folder = f"{self.night}-{self.copy}" if self.copy else self.night
        return f"{folder}/{self.archive_id.replace(':', '_')}.fits{self.packed}"

    @property
    def on_sky(self) -> bool:
        """Whether the telescope looks at the sky."""
        return self.kind in ON_SKY

    @property
    def is_telemetry(self) -> bool:
        """Whether it holds tables instead of images."""
        return self.kind == "SPARTA"

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of one image unit in FITS order; without the third for a single plane."""
        rows, columns = RAW_SHAPES[self.setup.arm]
        shape = (columns, rows, self.n_planes)
        return shape if self.n_planes != 1 else shape[:2]
