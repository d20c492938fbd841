"""What is the same for all frames of an IRDIS observation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.coronagraphs import mask_radius_mas
from spheredc_hpc.instrument.detectors import Detector, detector
from spheredc_hpc.instrument.filters import Band, irdis_bands, nd_transmission
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.instrument.waffle import lambda_over_d_px
from spheredc_hpc.level1.io import Calibration, Flag, Header, Image, Level1Inputs
from spheredc_hpc.level1.parts.cosmetics import CosmeticSettings, FieldCleaner, Region
from spheredc_hpc.level1.parts.dither import dither_px
from spheredc_hpc.level1.parts.timing import FrameTimes, frame_times
from spheredc_hpc.model.association import Association
from spheredc_hpc.model.frame import FrameRef

ARM = "IRDIS"
DIT_DECIMALS = 2
DIFFRACTION_FWHM = 1.03
"""Full width at half maximum of the image of a slightly obstructed aperture [lambda/D]."""


@dataclass(frozen=True)
class Setup:
    """Instrument of one observation.

    Attributes
    ----------
    bands : (Band, Band)
        Of the left and right field.
    device : Detector
    constants : Constants
    coronagraph, nd : str
        Of the science frames.
    mjd : float
        Date at which constants are taken [d].
    guesses : tuple of (float, float)
        Expected star on each field without dither (x, y) [px].
    anamorphism : (float, float)
        True lengths per pixel along x and y, in pixels of x.
    resolution_px : tuple of float
        lambda/D of each channel [px].
    scale_mas : tuple of float
        Pixel scale of each channel [mas/px].
    """

    bands: tuple[Band, Band]
    device: Detector
    constants: Constants
    coronagraph: str
    nd: str
    mjd: float
    guesses: tuple[tuple[float, float], tuple[float, float]]
    anamorphism: tuple[float, float]
    resolution_px: tuple[float, float]
    scale_mas: tuple[float, float]

    @property
    def fwhm_px(self) -> tuple[float, float]:
        """Width of an image of a star in each channel [px]."""
        left, right = self.resolution_px
        return DIFFRACTION_FWHM * left, DIFFRACTION_FWHM * right

    @property
    def occulted(self) -> bool:
        """Whether a mask hides the star; a coronagraph that is not known counts as one."""
        return mask_radius_mas(self.coronagraph, self.constants) != 0.0

    def nd_of(self, nd: str) -> tuple[tuple[float, float], tuple[Flag, ...]]:
        """Transmission of a neutral density in both bands; 1 and a flag if it is not known."""
        try:
            left, right = (nd_transmission(nd, band.name, self.constants) for band in self.bands)
        except DataError as error:
            return (1.0, 1.0), (("ND_UNKNOWN", str(error)),)
        return (left, right), ()


def irdis_setup(header: Header, mjd: float, constants: Constants) -> Setup:
    """Read the setup of an observation from the header of one of its science frames.

    Raises
    ------
    DataError
        If the filter is missing or is no imaging filter.
    """
    bands = irdis_bands(read_value(header, "filter"), constants)
    value = partial(constants.value, mjd=mjd, arm=ARM)

    def guess(field: int) -> tuple[float, float]:
        x, y = (
            value(f"star_position_{axis}_px", field=field, band=bands[field].name)
            for axis in ("x", "y")
        )
        return x, y

    scales = [value("pixel_scale_mas", band=band.name) for band in bands]
    resolution = [
        float(lambda_over_d_px(band.wavelength_um, constants, arm=ARM, band=band.name, mjd=mjd))
        for band in bands
    ]
    return Setup(
        bands=bands,
        device=detector(ARM, constants=constants),
        constants=constants,
        coronagraph=read_value(header, "coronagraph", ""),
        nd=read_value(header, "nd", "OPEN"),
        mjd=mjd,
        guesses=(guess(0), guess(1)),
        anamorphism=(value("anamorphism_x"), value("anamorphism_y")),
        resolution_px=(resolution[0], resolution[1]),
        scale_mas=(scales[0], scales[1]),
    )


@dataclass(frozen=True)
class Exposure:
    """One raw file in memory.

    Attributes
    ----------
    ref : FrameRef
    header : mapping
    planes : array, shape (n, 1024, 2048)
        Raw counts [adu].
    times : FrameTimes
    dither : (float, float)
        How far the stage moved the star (x, y) [px].
    fields : tuple of slice
        Columns of both fields.
    """

    ref: FrameRef
    header: Header
    planes: Image
    times: FrameTimes
    dither: tuple[float, float]
    fields: tuple[slice, ...]

    def field(self, channel: int) -> Image:
        """Raw counts of one field, shape (n, 1024, 1024)."""
        return self.planes[:, :, self.fields[channel]]

    def name(self, plane: int) -> str:
        """Name one plane for people."""
        return f"{self.ref.archive_id} plane {plane}"


def read_exposure(ref: FrameRef, inputs: Level1Inputs, device: Detector) -> Exposure:
    """Read one raw file with its times and dither.

    Raises
    ------
    DataError
        If the file cannot be read, its planes have another shape than the detector, or the
        header lacks what every frame has; names the frame.
    """
    header, planes = inputs.read(ref)
    if planes.ndim != 3 or planes.shape[1:] != device.shape or len(planes) == 0:
        raise DataError(
            f"{ref.archive_id}: planes of shape {planes.shape}, expected (n, *{device.shape})"
        )
    try:
        times = frame_times(header, len(planes), inputs.constants, ARM)
    except DataError as error:
        raise DataError(f"{ref.archive_id}: {error}") from error
    dither = dither_px(header, ARM, inputs.constants)
    return Exposure(ref, header, planes, times, dither, device.fields)


class Bench:
    """Inputs, setup, and calibrations cut to rectangles per role and integration time.

    Parameters
    ----------
    inputs : Level1Inputs
    setup : Setup
    settings : CosmeticSettings
    """

    def __init__(self, inputs: Level1Inputs, setup: Setup, settings: CosmeticSettings) -> None:
        self.inputs = inputs
        self.setup = setup
        self.settings = settings
        self._made: dict[tuple[str, float, float, str], tuple[FieldCleaner, FieldCleaner]] = {}
        self.flags: list[Flag] = []

    def cleaners(
        self, role: str, dit_s: float, half_px: float, nd: str = ""
    ) -> tuple[FieldCleaner, FieldCleaner]:
        """Give the cleaners of both fields within `half_px` of the expected star.

        A background of another integration time is not used: zero takes its place and the
        product is flagged. `nd` is that of the frames, where those of a role differ in it.
        """
        key = (role, round(dit_s, DIT_DECIMALS), half_px, nd)
        if key not in self._made:
            used = self._calibrations(role, dit_s, nd)
            context = (self.setup.device, self.setup.constants, self.settings)
            left, right = (
                FieldCleaner.of(field, self._region(field, half_px), used, dit_s, context)
                for field in (0, 1)
            )
            self._made[key] = left, right
        return self._made[key]

    def read(self, ref: FrameRef) -> Exposure:
        """Read one raw file; see `read_exposure`."""
        return read_exposure(ref, self.inputs, self.setup.device)

    def frames(self, role: str) -> tuple[FrameRef, ...]:
        """Give the raw files of one role, in time order."""
        return self.inputs.association.frames.get(role, ())

    def _region(self, field: int, half_px: float) -> Region:
        window = self.setup.device.illuminated[field]
        return Region.around(self.setup.guesses[field], half_px, window)

    def _calibrations(self, role: str, dit_s: float, nd: str) -> dict[str, Calibration]:
        held = self.inputs.calibrations
        used = {kind: held[kind] for kind in ("flat", "bad_pixels") if kind in held}
        for kind, flag in (("flat", "FLAT_MISSING"), ("bad_pixels", "BAD_PIXELS_MISSING")):
            if kind not in used:
                self._flag(flag, f"no {kind.replace('_', ' ')} to use")
        product = held.get(background_role(self.inputs.association, role, dit_s, nd))
        if product is None:
            through = f" through {nd}" if nd else ""
            self._flag("BG_MISSING", f"no background for {role} frames of {dit_s:.2f} s{through}")
            return used
        known = product.quality.get("dit_s", dit_s)
        if round(float(known), DIT_DECIMALS) != round(dit_s, DIT_DECIMALS):
            reason = f"the background of {role} is of {float(known):.2f} s, frames of {dit_s:.2f} s"
            self._flag("BG_MISSING", reason)
            return used
        return {**used, "background": product}

    def _flag(self, name: str, reason: str) -> None:
        if (name, reason) not in self.flags:
            self.flags.append((name, reason))


def background_role(association: Association, role: str, dit_s: float, nd: str = "") -> str:
    """Give the role that the background of frames has in an association, found or missing."""
    named = {use.role for use in association.calibrations}
    named |= {missing.role for missing in association.missing}
    of_time = f"background:{role}@{dit_s:.2f}"
    return next(
        (name for name in (f"{of_time}@{nd}", of_time) if name in named), f"background:{role}"
    )


def mean_mjd(times: FrameTimes) -> float:
    """Middle of the integrations of a file [d]."""
    return float(np.mean(times.mid_mjd))
