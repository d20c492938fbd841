"""What a simulated night of the integral field spectrograph contains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.instrument.lenslets import Prism, prism_of


class IfsExposure(Section):
    """Integrations of one class that run beside those of IRDIS."""

    dit_s: float = Field(64.0, ge=1.65, description="Integration time [s].")
    ndit: int | None = Field(
        None, ge=1, description="Integrations a file; as many as fit beside IRDIS if absent."
    )


class CompanionSpectrum(Section):
    """Contrast of a companion against wavelength, in place of that of IRDIS."""

    wavelength_um: tuple[float, ...] = Field(min_length=1, description="Nodes, increasing [um].")
    contrast: tuple[float, ...] = Field(min_length=1, description="Flux ratio to the star.")


class IfsCalibrations(Section):
    """Daytime calibrations of the following morning."""

    start_utc_h: float = Field(12.0, ge=0, lt=24, description="Time of the first one [h UTC].")
    days: tuple[int, ...] = Field((0,), description="Mornings, counted from that of the night.")
    dark_ndit: int = Field(6, ge=0, description="Planes of each DARK; 0: none.")
    background_ndit: int = Field(4, ge=0, description="Planes of each DARK,BACKGROUND; 0: none.")
    specpos_ndit: int = Field(4, ge=0, description="Planes of SPECPOS,LAMP; 0: none.")
    wave_ndit: int = Field(6, ge=0, description="Planes of WAVE,LAMP; 0: none.")
    ifu_flat_ndit: int = Field(6, ge=0, description="Planes of the lenslet flat; 0: none.")
    det_flat_ndit: int = Field(3, ge=0, description="Planes of each detector flat; 0: none.")
    det_flat_dits_s: tuple[float, ...] = Field((2.0, 4.0), description="Their levels [s].")
    laser_adu: float = Field(12000.0, gt=0, description="Light of a laser in a lenslet [ADU].")
    lamp_adu_s: float = Field(
        55000.0, gt=0, description="Light of the lamp in the spectrum of a lenslet [ADU/s]."
    )
    det_flat_adu_s: float = Field(2500.0, gt=0, description="Lamp on the bare detector [ADU/s].")


class Spectrograph(Section):
    """Imperfections of lenslets and disperser."""

    shift_px: tuple[float, float] | None = Field(
        None, description="Shift of all spectra; drawn if absent (0.5 px rms)."
    )
    rotation_deg: float | None = Field(
        None, description="Turn of all spectra; drawn if absent (0.01 deg rms)."
    )
    drift_px_per_h: tuple[float, float] = Field((0.03, 0.04), description="Slow motion [px/h].")
    crosstalk: float = Field(1.0, ge=0, description="Factor on the scattering kernel.")
    throughput_rms: float = Field(0.012, ge=0, description="Scatter of the lenslets.")
    spot_variation: float = Field(0.05, ge=0, description="Change of the spots over the field.")
    nodes: int = Field(24, ge=4, description="Wavelengths at which images are computed.")
    samples: int = Field(96, ge=8, description="Spots of a continuous spectrum.")
    star_px: tuple[float, float] = Field(
        (142.3, 144.6), description="Star on the square image, x and y [px of 7.46 mas]."
    )
    drift_star_px_per_h: tuple[float, float] = Field((0.15, -0.1), description="Its motion [px/h].")
    dispersion_mas: tuple[float, float] = Field(
        (1.5, -1.0), description="Residual of the atmospheric dispersion over the band [mas]."
    )
    background_adu_s: float = Field(8.0, ge=0, description="Thermal light [ADU/s].")
    background_drift: float = Field(
        0.03, ge=0, lt=0.5, description="Change of that light between night and morning."
    )


class IfsDefects(Section):
    """Failures of real archives."""

    missing_wave: bool = Field(False, description="No WAVE,LAMP.")
    missing_specpos: bool = Field(False, description="No SPECPOS,LAMP.")
    dark_wrong_dit: bool = Field(False, description="DARK and BACKGROUND at a foreign DIT only.")
    dead_laser: int | None = Field(None, ge=1, le=4, description="Laser that gives no light.")
    dead_laser_unseen: bool = Field(False, description="Its card says that it is on.")
    shifted_spectra: bool = Field(
        False, description="Science spectra 3 px from those of the calibrations."
    )
    saturated_center: bool = Field(False, description="CENTER integrations 20 times longer.")
    aborted_file: bool = Field(False, description="Last OBJECT file holds half of its planes.")


class IfsSettings(Section):
    """The spectrograph beside IRDIS on the same night."""

    setup: Literal["OBS_YJ", "OBS_H"] = Field("OBS_YJ", description="Setup of the prism.")
    object: IfsExposure = IfsExposure(dit_s=64.0)
    center: IfsExposure = IfsExposure(dit_s=64.0)
    flux: IfsExposure = IfsExposure(dit_s=8.0)
    sky: IfsExposure = IfsExposure(dit_s=64.0)
    companions: dict[str, CompanionSpectrum] = Field(
        {}, description="Spectra by name; a companion without one has its contrast of IRDIS."
    )
    calibrations: IfsCalibrations = IfsCalibrations()
    spectrograph: Spectrograph = Spectrograph()
    defects: IfsDefects = IfsDefects()

    @property
    def prism(self) -> Prism:
        """The prism in the beam."""
        return prism_of(self.setup)
