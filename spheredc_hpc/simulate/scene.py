"""What a simulated IRDIS night contains: settings, built-in scenarios, loading."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from spheredc_hpc.config import Section
from spheredc_hpc.errors import ConfigError

SCENARIO_FOLDER = "scenarios"


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
    flux_offset_mas: float = Field(450.0, ge=0, description="Star to mask in FLUX [mas].")
    flux_offset_angle_deg: float = Field(
        70.0, description="Direction of that offset on the detector, from +y to -x [deg]."
    )
    sparta: bool = Field(True, description="Write adaptive-optics telemetry files.")


class Calibrations(Section):
    """Daytime calibrations of the following morning."""

    start_utc_h: float = Field(10.75, ge=0, lt=24, description="Time of the first one [h UTC].")
    dark_ndit: int = Field(4, ge=0, description="Planes of each DARK; 0: none.")
    background_ndit: int = Field(4, ge=0, description="Planes of each DARK,BACKGROUND; 0: none.")
    flat_dits_s: tuple[float, ...] = Field(
        (2.0, 4.0, 6.0, 8.0, 10.0), description="Integration times of the FLAT,LAMP files [s]."
    )
    flat_ndit: int = Field(2, ge=1, description="Planes of each FLAT,LAMP file.")
    flat_rate_adu_s: float = Field(2000.0, gt=0, description="Lamp level [ADU/s].")


class Atmosphere(Section):
    """Seeing, coherence time and transparency in the course of the night."""

    seeing_arcsec: float = Field(0.85, gt=0, description="Median seeing at 500 nm [arcsec].")
    seeing_sigma_ln: float = Field(0.3, ge=0, description="Scatter of ln(seeing).")
    tau0_ms: float = Field(4.0, gt=0, description="Median coherence time [ms].")
    tau0_sigma_ln: float = Field(0.5, ge=0, description="Scatter of ln(tau0).")
    correlation_min: float = Field(10.0, gt=0, description="Correlation time of both [min].")
    transparency_sigma: float = Field(0.01, ge=0, description="Slow scatter of the transmission.")
    wind_direction_deg: float = Field(35.0, description="Wind axis on the detector, from +y [deg].")
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
    nan_plane: bool = Field(False, description="Second plane of the second OBJECT file is NaN.")
    truncated_file: bool = Field(False, description="Third OBJECT file ends early.")
    old_spelling: bool = Field(False, description="OBJECT,CENTRE instead of OBJECT,CENTER.")
    missing_fram_utc: bool = Field(False, description="No DET FRAM UTC in any header.")
    saturated_flux: bool = Field(False, description="FLUX without neutral density.")
    clouds: bool = Field(False, description="Half of the light in the second third of OBJECT.")
    open_loop: bool = Field(False, description="Loops open in the first OBJECT file.")
    duplicate_file: bool = Field(False, description="First OBJECT file twice, second name.")
    wrong_checksum: bool = Field(False, description="Fourth OBJECT file: data do not match sums.")
    mixed_dit: bool = Field(False, description="Last OBJECT file at a quarter of the DIT.")
    calibrations_next_night: bool = Field(False, description="Calibrations four days later.")
    foreign_target: bool = Field(False, description="Last OBJECT file points elsewhere.")


class IrdisScenario(Section):
    """One simulated IRDIS dual-band night."""

    name: str = Field("custom", description="Name of the scenario.")
    seed: int = Field(2018, ge=0, description="Every random number follows from it.")
    date: str = Field(
        "2018-03-15", pattern=r"^\d{4}-\d{2}-\d{2}$", description="UTC date of the transit."
    )
    hour_angle_h: float = Field(0.0, description="Hour angle in the middle of OBJECT [h].")
    filter: str = Field("DB_H23", description="IRDIS filter combination.")
    coronagraph: str = Field("N_ALC_YJH_S", description="Coronagraph combination.")
    ob_id: int = Field(1801234, ge=1, description="Observing block.")
    programme: str = Field("0100.C-9999(A)", description="Programme.")
    target: Target = Target()
    companions: tuple[CompanionSpec, ...] = ()
    sequence: Sequence = Sequence()
    calibrations: Calibrations = Calibrations()
    atmosphere: Atmosphere = Atmosphere()
    wavefront: Wavefront = Wavefront()
    pointing: Pointing = Pointing()
    detector: DetectorSettings = DetectorSettings()
    effects: Effects = Effects()
    defects: Defects = Defects()

    @field_validator("companions")
    @classmethod
    def _names_differ(cls, value: tuple[CompanionSpec, ...]) -> tuple[CompanionSpec, ...]:
        names = [companion.name for companion in value]
        if len(set(names)) != len(names):
            raise ValueError(f"companions share a name: {names}")
        return value

    @model_validator(mode="after")
    def _something_to_observe(self) -> IrdisScenario:
        if not any(exposure.files for exposure in exposures(self)):
            raise ValueError("the sequence holds no exposure")
        return self

    def revise(self, changes: Mapping[str, Any]) -> IrdisScenario:
        """Return a validated copy with nested `changes` merged in."""
        return parse_scenario(merge(self.plain(), changes))

    def without_companions(self) -> IrdisScenario:
        """Return the twin that differs only in having no companions."""
        return self.revise({"companions": []})


def exposures(scenario: IrdisScenario) -> list[Exposure]:
    """Exposures of the observing block."""
    s = scenario.sequence
    return [s.center_before, s.flux_before, s.object, s.flux_after, s.center_after, s.sky]


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; lists and scalars of `changes` replace those of `base`."""
    merged = dict(base)
    for key, value in changes.items():
        held = merged.get(key)
        if isinstance(value, Mapping) and isinstance(held, Mapping):
            merged[key] = merge(held, value)
        else:
            merged[key] = value
    return merged


def parse_scenario(values: Mapping[str, Any]) -> IrdisScenario:
    """Validate `values`; a `base` key names the built-in scenario that they revise.

    Raises
    ------
    ConfigError
        For an unknown key or base, or a value out of range.
    """
    values = dict(values)
    base = values.pop("base", None)
    if base is not None:
        values = merge(load_scenario(str(base)).plain(), values)
    try:
        return IrdisScenario.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "scenario"
        message = f"scenario: {where}: {first['msg']}, got {first['input']!r}"
        raise ConfigError(message) from error


def scenario_names() -> list[str]:
    """Names of the built-in scenarios."""
    folder = resources.files(__package__) / SCENARIO_FOLDER
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_scenario(name_or_path: str | Path) -> IrdisScenario:
    """Load a built-in scenario by name, or a scenario from a YAML file.

    Parameters
    ----------
    name_or_path : str or Path
        One of `scenario_names()`, or the path of a YAML file.

    Raises
    ------
    ConfigError
        If neither exists, or the content is not a valid scenario.
    """
    text = str(name_or_path)
    if text in scenario_names():
        entry = resources.files(__package__) / SCENARIO_FOLDER / f"{text}.yaml"
        content = entry.read_text(encoding="utf-8")
    else:
        path = Path(name_or_path)
        if not path.is_file():
            known = ", ".join(scenario_names())
            raise ConfigError(f"scenario {text!r} is neither a file nor one of: {known}")
        content = path.read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(content) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"scenario {text!r} is not valid YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise ConfigError(f"scenario {text!r} is not a mapping of settings")
    return parse_scenario({"name": Path(text).stem, **values})
