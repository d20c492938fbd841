"""Settings of a simulated night, one section a subject."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spheredc_hpc.config import Section


class Target(Section):
    """The star that is observed."""

    name: str = Field("TW_Hya", min_length=1, description="Name written to the headers.")
    ra_deg: float = Field(165.466271, ge=0, lt=360, description="Right ascension, J2000 [deg].")
    dec_deg: float = Field(-34.704731, ge=-90, le=90, description="Declination, J2000 [deg].")
    pm_ra_mas_yr: float = Field(-68.4, description="Proper motion in RA, times cos(Dec) [mas/yr].")
    pm_dec_mas_yr: float = Field(-13.9, description="Proper motion in declination [mas/yr].")
    magnitude: float = Field(7.56, description="Magnitude in the science band, Vega system.")
    r_magnitude: float = Field(9.0, description="R magnitude, which limits the wavefront sensor.")


class CompanionSpec(Section):
    """A point source beside the star."""

    name: str = Field("b", min_length=1, description="Name in the truth file.")
    separation_mas: float = Field(gt=0, description="Distance from the star [mas].")
    position_angle_deg: float = Field(description="Position angle, east of north [deg].")
    contrast: tuple[float, float] = Field(
        description="Flux ratio to the star in the left and right field."
    )


class Exposure(Section):
    """Files of one class taken in a row."""

    files: int = Field(1, ge=0, description="Number of files.")
    ndit: int = Field(1, ge=1, description="Integrations per file.")
    dit_s: float = Field(64.0, ge=0.8375, description="Integration time [s].")
    nd: Literal["OPEN", "ND_1.0", "ND_2.0", "ND_3.5"] = Field(
        "OPEN", description="Neutral density."
    )


class Sequence(Section):
    """Exposures of the observing block, in the order in which they are taken."""

    center_before: Exposure = Exposure(files=1, ndit=3, dit_s=64.0)
    flux_before: Exposure = Exposure(files=1, ndit=6, dit_s=2.0, nd="ND_1.0")
    object: Exposure = Exposure(files=6, ndit=8, dit_s=64.0)
    flux_after: Exposure = Exposure(files=1, ndit=6, dit_s=2.0, nd="ND_1.0")
    center_after: Exposure = Exposure(files=1, ndit=3, dit_s=64.0)
    sky: Exposure = Exposure(files=1, ndit=4, dit_s=64.0)
    object_more: tuple[Exposure, ...] = Field(
        (), description="Further OBJECT exposures after `object`, at other times or densities."
    )
    continuous_waffle: bool = Field(
        False, description="The waffle stays on: OBJECT files become OBJECT,CENTER files."
    )
    flux_offset_mas: float = Field(450.0, ge=0, description="Star to mask in FLUX [mas].")
    flux_offset_angle_deg: float = Field(
        70.0, description="Direction of that offset on the detector, from +y to -x [deg]."
    )
    sparta: bool = Field(True, description="Write adaptive-optics telemetry files.")


class Hopping(Section):
    """Star hopping: a reference star that is visited in turn with the target."""

    target: Target = Field(description="The reference star.")
    companions: tuple[CompanionSpec, ...] = ()
    ob_id: int = Field(ge=1, description="Its observing block; may be that of the target.")
    container_id: int = Field(ge=1, description="Container that both blocks name.")
    visits: int = Field(2, ge=1, description="Times that each star is observed.")
    object: Exposure = Field(
        Exposure(files=1, ndit=2, dit_s=64.0), description="OBJECT files of each of its visits."
    )


class Telemetry(Section):
    """Telemetry files of the adaptive optics."""

    sampling_s: float = Field(20.0, ge=1, description="From one record to the next [s].")
    gaps: tuple[tuple[float, float], ...] = Field(
        (), description="Stretches without records, start and end as shares of the night."
    )
    missing_files: tuple[int, ...] = Field(
        (), description="Files of 15 minutes that are not written, from 0."
    )
    invalid_share: float = Field(
        0.0, ge=0, le=1, description="Share of records with values out of the credible range."
    )


class Calibrations(Section):
    """Daytime calibrations of the following morning."""

    start_utc_h: float = Field(10.75, ge=0, lt=24, description="Time of the first one [h UTC].")
    days: tuple[int, ...] = Field(
        (0,), description="Mornings on which they are taken, counted from that of the night."
    )
    dark_ndit: int = Field(4, ge=0, description="Planes of each DARK; 0: none.")
    background_ndit: int = Field(4, ge=0, description="Planes of each DARK,BACKGROUND; 0: none.")
    flat_dits_s: tuple[float, ...] = Field(
        (2.0, 4.0, 6.0, 8.0, 10.0), description="Integration times of the FLAT,LAMP files [s]."
    )
    flat_ndit: int = Field(2, ge=1, description="Planes of each FLAT,LAMP file.")
    flat_rate_adu_s: float = Field(2000.0, gt=0, description="Lamp level [ADU/s].")


class Spell(Section):
    """Conditions that some exposures meet, as factors on those of the night."""

    frames: Literal["OBJECT", "CENTER", "FLUX"] = Field(description="Class of the exposures.")
    file: int | None = Field(None, ge=0, description="File of that class, from 0; all if absent.")
    first: int = Field(0, ge=0, description="First integration of the file.")
    last: int | None = Field(None, ge=0, description="Last one; the end of the file if absent.")
    seeing_factor: float = Field(1.0, gt=0, description="Factor on the seeing.")
    tau0_factor: float = Field(1.0, gt=0, description="Factor on the coherence time.")
    transmission: float = Field(1.0, ge=0, le=1, description="Factor on the transparency.")


class Degraded(Section):
    """Bursts of bad OBJECT frames, of the kinds in turn."""

    share: float = Field(0.0, ge=0, le=0.9, description="Share of the OBJECT integrations.")
    run: int = Field(2, ge=1, description="Integrations of one burst.")
    kinds: tuple[Literal["seeing", "wind", "clouds"], ...] = Field(
        ("seeing", "wind", "clouds"), min_length=1, description="What goes wrong."
    )
    seeing_factor: float = Field(2.2, gt=1, description="Bad seeing: factor on the seeing.")
    tau0_factor: float = Field(0.2, gt=0, lt=1, description="Wind: factor on the coherence time.")
    transmission: float = Field(0.35, ge=0, lt=1, description="Clouds: what passes.")


class Atmosphere(Section):
    """Seeing, coherence time and transparency in the course of the night."""

    seeing_arcsec: float = Field(0.85, gt=0, description="Median seeing at 500 nm [arcsec].")
    seeing_sigma_ln: float = Field(0.3, ge=0, description="Scatter of ln(seeing).")
    tau0_ms: float = Field(4.0, gt=0, description="Median coherence time [ms].")
    tau0_sigma_ln: float = Field(0.5, ge=0, description="Scatter of ln(tau0).")
    correlation_min: float = Field(10.0, gt=0, description="Correlation time of both [min].")
    transparency_sigma: float = Field(0.01, ge=0, description="Slow scatter of the transmission.")
    wind_direction_deg: float = Field(35.0, description="Wind axis on the detector, from +y [deg].")
    spells: tuple[Spell, ...] = Field((), description="Exposures with conditions of their own.")
    degraded: Degraded = Degraded()
    flux_at_science_mean: bool = Field(
        False, description="FLUX frames see the mean conditions of the OBJECT frames."
    )


class Wavefront(Section):
    """Phase aberrations that make the speckles."""

    static_nm: float = Field(50.0, ge=0, description="Static aberrations, rms [nm].")
    quasi_static_nm: float = Field(20.0, ge=0, description="Slowly evolving part, rms [nm].")
    quasi_static_rate: float = Field(
        40e-6, ge=0, description="Loss of correlation of that part [1/s]."
    )
    slow_share: float = Field(
        0.35, ge=0, le=1, description="Share of the atmospheric residual that lasts for seconds."
    )
    substeps: int = Field(15, ge=1, description="Atmospheric states averaged in a long DIT.")
    chromatic_loss: float = Field(
        0.02, ge=0, le=1, description="Loss of correlation for 10 % in wavelength."
    )
    jitter_mas: float = Field(3.0, ge=0, description="Tip-tilt jitter, rms [mas].")
    waffle_contrast: float = Field(4e-3, gt=0, description="Waffle spot to star at 1.6 um.")
    waffle_balance: float = Field(
        1.0, ge=0, le=1, description="Amplitude of the second pair of spots to the first."
    )
    waffle_orientation: Literal["x", "+"] = Field("x", description="Orientation of the spots.")


class Pointing(Section):
    """Where the star falls on the detector and how the field turns."""

    star_left_px: tuple[float, float] = Field(
        (484.37, 522.81), description="Star in the left field without dither, x and y [px]."
    )
    star_right_px: tuple[float, float] = Field(
        (486.74, 513.62), description="Star in the right field without dither, x and y [px]."
    )
    drift_px_per_h: tuple[float, float] = Field(
        (0.16, -0.11), description="Slow motion of the star on the detector, x and y [px/h]."
    )
    dither: bool = Field(True, description="Step the detector through a 4 x 4 grid of 1 px.")
    tracking: Literal["PUPIL", "FIELD"] = Field("PUPIL", description="Derotator law.")
    posang_deg: float = Field(0.0, description="Position angle asked for in field tracking [deg].")
    smear_steps: int = Field(7, ge=5, description="Positions summed over one DIT.")
    derotator_lag_s: float = Field(
        30.0, ge=0, description="Delay of the elevation law before 2016-07-12 [s]."
    )


class DetectorSettings(Section):
    """Imperfections of the detector."""

    bad_fraction: float = Field(0.01, ge=0, le=0.2, description="Share of bad pixels.")
    pixel_response_rms: float = Field(0.01, ge=0, description="Scatter of the pixel response.")
    illumination_amplitude: float = Field(
        0.10, ge=0, lt=1, description="Smooth response from darkest to brightest part."
    )
    dark_e_s: float = Field(0.1, ge=0, description="Dark current and glow [e-/s].")
    background_adu_s: float | None = Field(
        None, description="Instrument background [ADU/s]; by band if absent."
    )
    background_swing: float = Field(
        0.0, ge=0, lt=1, description="Slow change of the thermal background, relative amplitude."
    )
    background_arc: float = Field(
        0.0, ge=0, le=1, description="Arc of thermal light in the right field, relative height."
    )
    sky_adu_s: float = Field(0.15, ge=0, description="What the sky adds to it [ADU/s].")
    band_amplitude_adu: float = Field(1.2, ge=0, description="Vertical bands, rms [ADU].")
    pattern_drift_adu: float = Field(0.3, ge=0, description="Their change between DITs [ADU].")
    cosmic_rays_per_s: float = Field(1.0, ge=0, description="Hits on the whole array [1/s].")


class Effects(Section):
    """Switches for what a test wants to leave out."""

    star: bool = Field(True, description="Light of the star.")
    speckles: bool = Field(True, description="Phase aberrations of every kind.")
    noise: bool = Field(True, description="Photon and read noise, cosmic rays, bands.")
    detector: bool = Field(True, description="Bad pixels, response, dark, background.")
    motion: bool = Field(True, description="Drift and jitter of the star.")


class Defects(Section):
    """Failures of real archives, all absent by default."""

    missing_center: bool = Field(False, description="No OBJECT,CENTER file.")
    missing_flux: bool = Field(False, description="No OBJECT,FLUX file.")
    missing_flat: bool = Field(False, description="No FLAT,LAMP file.")
    missing_background: bool = Field(False, description="No DARK,BACKGROUND and no SKY.")
    aborted_file: bool = Field(False, description="Last OBJECT file holds half of its planes.")
    nd_mismatch: bool = Field(False, description="BACKGROUND of the FLUX has another density.")
    dark_wrong_dit: bool = Field(False, description="DARK and BACKGROUND at a foreign DIT only.")
    dark_bracketing: bool = Field(
        False, description="DARK and BACKGROUND at half and twice the DIT only."
    )
    nan_plane: bool = Field(False, description="Second plane of the second OBJECT file is NaN.")
    truncated_file: bool = Field(False, description="Third OBJECT file ends early.")
    old_spelling: bool = Field(False, description="OBJECT,CENTRE instead of OBJECT,CENTER.")
    missing_fram_utc: bool = Field(False, description="No DET FRAM UTC in any header.")
    missing_header_seeing: bool = Field(
        False, description="No seeing and no coherence time in any header."
    )
    unstable_flux: bool = Field(
        False, description="Star beside its place and fainter in the first FLUX integration."
    )
    saturated_flux: bool = Field(False, description="FLUX without neutral density.")
    clouds: bool = Field(False, description="Half of the light in the second third of OBJECT.")
    open_loop: bool = Field(False, description="Loops open in the first OBJECT file.")
    duplicate_file: bool = Field(False, description="First OBJECT file twice, second name.")
    wrong_checksum: bool = Field(False, description="Fourth OBJECT file: data do not match sums.")
    mixed_dit: bool = Field(False, description="Last OBJECT file at a quarter of the DIT.")
    calibrations_next_night: bool = Field(False, description="Calibrations four days later.")
    foreign_target: bool = Field(False, description="Last OBJECT file points elsewhere.")
