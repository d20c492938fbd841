"""Step: a cube that was made elsewhere becomes a Level 1 product like any other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from spheredc_hpc.config import Config, Section, digest_of
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.instrument.constants import Constants, default_constants
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level2.sequence import star_of
from spheredc_hpc.model.observation import slug
from spheredc_hpc.model.product import InputRef, Receipt
from spheredc_hpc.steps import foreign
from spheredc_hpc.steps.guard import make
from spheredc_hpc.steps.preview import PREVIEW, write_level1_preview
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.arrays import Header, read_image, read_vector
from spheredc_hpc.store.codec import file_sha256
from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube, write_cube

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ForeignFiles:
    """The files of a cube made elsewhere.

    Attributes
    ----------
    cube : Path
        FITS cube, (time, y, x) or (wavelength, time, y, x).
    angles : Path
        One angle per frame [deg], FITS or text.
    psf : Path
        FITS image of the star without coronagraph, (y, x) or (wavelength, y, x), in the units
        of the cube.
    wavelengths : Path, optional
        One wavelength per channel [um], FITS or text.
    """

    cube: Path
    angles: Path
    psf: Path
    wavelengths: Path | None = None


class ImportSettings(Section):
    """How a cube made elsewhere is to be understood."""

    instrument: str = Field("unknown", description="Name of the instrument.")
    target: str = Field("unknown", description="Name of the star.")
    name: str | None = Field(None, description="Identity of the observation; made if null.")
    axes: Literal["wtyx", "twyx"] = Field("wtyx", description="Order of the axes of a 4-d cube.")
    angle_offset_deg: float = Field(0.0, description="Added to every angle [deg].")
    angle_sense: Literal["ccw", "cw"] = Field(
        "ccw", description="Turn that the angles describe, y up: with ccw they are the derotation."
    )
    centre: Literal["pixel", "middle", "fit"] | tuple[float, float] = Field(
        "pixel",
        description="Where the star is: on pixel n//2, in the middle of the array, "
        "to be fitted, or at (x, y) [px].",
    )
    wavelength_um: tuple[float, ...] = Field((), description="One per channel [um].")
    pixel_scale_mas: float | None = Field(None, gt=0, description="From the header if null.")
    dit_s: float = Field(1.0, gt=0, description="Time by which cube and PSF are divided [s].")
    star_flux: tuple[float, ...] = Field(
        (), description="Star in an aperture of one FWHM, in the units of the cube; scales the PSF."
    )
    coronagraph: str = Field("unknown", description="Name of the coronagraph, `none` without.")


def import_settings(values: Mapping[str, Any]) -> ImportSettings:
    """Check settings that come from a command line.

    Raises
    ------
    ConfigError
        Names every wrong one.
    """
    try:
        return ImportSettings(**values)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]): problem for problem in error.errors()}
        lines = [f"{name}: {p['msg']}, got {values[name]!r}" for name, p in wrong.items()]
        raise ConfigError("; ".join(lines)) from error


def import_cube(
    root: Path, files: ForeignFiles, settings: ImportSettings, config: Config
) -> tuple[str, Receipt]:
    """Make a Level 1 product of a cube that was reduced elsewhere.

    The star is brought to pixel ``(n // 2, n // 2)`` by one interpolation, or none if it is
    there. Turning frame ``i`` counter-clockwise (y up) by its angle plus the offset brings
    north up.

    Parameters
    ----------
    root : Path
        Result root.
    files : ForeignFiles
        What to read.
    settings : ImportSettings
        How to understand it.
    config : Config
        Compression and instrument constants.

    Returns
    -------
    observation : str
        Its identity: the given name, or ``imported_<target>_<instrument>_<8 hex>``.
    receipt : Receipt
        Of the product ``observations/<observation>/level1``.

    Raises
    ------
    DataError
        If a file cannot be read or the files do not fit together.
    ConfigError
        If a setting that nothing else tells is missing.
    """
    inputs = tuple(_reference(role, path) for role, path in vars(files).items() if path is not None)
    constants = default_constants().with_overrides(config.constants)
    digest = digest_of([[[ref.role, ref.digest] for ref in inputs], settings.plain()])
    observation = _identity(settings, digest)
    target = root / "observations" / observation / "level1"
    draft = receipts.Draft(
        kind="level1",
        id=f"observations/{observation}/level1",
        inputs=inputs,
        settings=settings.plain(),
        settings_digest=settings.digest,
        constants_version=constants.version,
        constants_digest=constants.digest,
    )

    def build(writer: receipts.ProductWriter) -> None:
        with worker_threads(1):
            cube = _read(files, settings, constants, writer)
        cube.attrs["observation"] = observation
        write_cube(cube, writer.path / "cube.zarr", config.output.compression_level)
        write_level1_preview(cube, writer.path / PREVIEW)

    return observation, make(target, draft, build, config.output)


def _reference(role: str, path: Path) -> InputRef:
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise DataError(f"{role} {path}: {error.strerror}") from error
    return InputRef(role, path.name, digest, digest)


def _identity(settings: ImportSettings, digest: str) -> str:
    if settings.name is not None:
        if slug(settings.name) != settings.name or not settings.name[0].isalnum():
            raise ConfigError(
                f"name {settings.name!r}: lower-case letters, digits, '-' and '_' only, "
                f"{slug(settings.name)!r} for instance"
            )
        return settings.name
    return f"imported_{slug(settings.target)}_{slug(settings.instrument)}_{digest[:8]}"


def _read(
    files: ForeignFiles,
    settings: ImportSettings,
    constants: Constants,
    writer: receipts.ProductWriter,
) -> Level1Cube:
    header, raw = read_image(files.cube, (3, 4))
    angles = read_vector(files.angles)
    science = foreign.arranged(raw, settings.axes, angles.size, files.cube, files.angles)
    wavelength = _wavelengths(files, settings, science.shape[0])
    scale = _pixel_scale(header, settings, files.cube)
    psf = _psf(files.psf, settings, wavelength, scale)
    science /= np.float32(settings.dit_s)
    good, empty = foreign.usable_pixels(science, files.cube)
    located = foreign.locate(science, settings.centre)
    science, weight = foreign.recentred(science, good, located.centre_px)
    sense = 1.0 if settings.angle_sense == "ccw" else -1.0
    derotation = sense * angles + settings.angle_offset_deg
    coronagraph = "N_NS_CLEAR" if settings.coronagraph == "none" else settings.coronagraph
    arm = settings.instrument.upper()
    writer.flag("ANGLE_ASSUMED", f"angles supplied from outside ({files.angles.name})")
    writer.flag("SCALE_ASSUMED", f"pixel scale of {scale:g} mas supplied from outside")
    if off_axis_transmission(coronagraph, arm, 500.0, constants) is None:
        writer.flag("CORO_UNCAL", f"no transmission curve for coronagraph {coronagraph!r}")
    if empty:
        writer.flag("FRAMES_REJECTED", f"{empty} frames hold no data")
    n_wave, n_time, size, _ = science.shape
    writer.quality |= {
        "n_wavelengths": n_wave,
        "n_frames": n_time,
        "size_px": size,
        "frames_without_data": empty,
        "field_rotation_deg": float(np.ptp(np.rad2deg(np.unwrap(np.deg2rad(derotation))))),
        "star_shift_px": located.largest_shift_px(size),
    }
    unknown = np.full(n_time, np.nan)
    return Level1Cube(
        science=science,
        weight=weight,
        psf=psf,
        centre_px=np.broadcast_to(located.centre_px[:, None], (n_wave, n_time, 2)).copy(),
        centre_err_px=np.broadcast_to(located.error_px[:, None], (n_wave, n_time, 2)).copy(),
        ao=np.full((n_time, len(AO_QUANTITIES)), np.nan),
        quality=foreign.frame_quality(science),
        metrics=foreign.METRICS,
        wavelength_um=wavelength,
        bandwidth_um=np.full(n_wave, np.nan),
        pixel_scale_mas=np.full(n_wave, scale),
        mjd=unknown,
        dit_s=np.full(n_time, settings.dit_s),
        parang_deg=unknown,
        derotation_deg=derotation,
        derotation_start_deg=derotation,
        derotation_end_deg=derotation,
        airmass=unknown,
        attrs=_attributes(settings, arm, coronagraph, wavelength, writer),
    )


def _attributes(
    settings: ImportSettings,
    arm: str,
    coronagraph: str,
    wavelength: Floats,
    writer: receipts.ProductWriter,
) -> dict[str, Any]:
    known = np.isfinite(wavelength)
    names = [f"{w:.3f} um" if ok else "channel" for w, ok in zip(wavelength, known, strict=True)]
    return {
        "target": settings.target,
        "instrument": settings.instrument,
        "arm": arm,
        "filter": "",
        "bands": names,
        "coronagraph": coronagraph,
        "flags": sorted(writer.flags),
        "imported": True,
    }


def _wavelengths(files: ForeignFiles, settings: ImportSettings, n_wave: int) -> Floats:
    if files.wavelengths is not None:
        values, source = read_vector(files.wavelengths), str(files.wavelengths)
    elif settings.wavelength_um:
        values, source = np.array(settings.wavelength_um, dtype=np.float64), "--wavelength"
    elif n_wave == 1:
        return np.full(1, np.nan)
    else:
        raise ConfigError(f"the cube has {n_wave} channels: their wavelengths are needed")
    if values.size != n_wave:
        raise DataError(f"{source}: {values.size} wavelengths, the cube has {n_wave} channels")
    if not ((values > 0.1) & (values < 30)).all():
        raise DataError(f"{source}: {values.tolist()} are no wavelengths in um")
    return values


def _pixel_scale(header: Header, settings: ImportSettings, path: Path) -> float:
    if settings.pixel_scale_mas is not None:
        return settings.pixel_scale_mas
    for keyword in ("CD2_2", "CDELT2"):
        value = header.get(keyword)
        if isinstance(value, int | float) and 1e-9 < abs(value) < 1e-3:
            return abs(float(value)) * 3.6e6
    raise ConfigError(f"{path}: its header has no pixel scale; give --pixel-scale [mas]")


def _psf(
    path: Path, settings: ImportSettings, wavelength: Floats, scale_mas: float
) -> npt.NDArray[np.float32]:
    _, image = read_image(path, (2, 3))
    channels = image if image.ndim == 3 else image[np.newaxis]
    if channels.shape[0] != wavelength.size:
        raise DataError(
            f"{path}: shape {image.shape}, expected one PSF for each of "
            f"{wavelength.size} channels of the cube"
        )
    if not np.isfinite(channels).all():
        raise DataError(f"{path}: {int((~np.isfinite(channels)).sum())} pixels are no numbers")
    channels = channels / np.float32(settings.dit_s)
    if settings.star_flux:
        if len(settings.star_flux) != wavelength.size:
            raise ConfigError(
                f"{len(settings.star_flux)} star fluxes for {wavelength.size} channels"
            )
        for k, flux in enumerate(settings.star_flux):
            star = star_of(channels[k : k + 1], float(wavelength[k]), scale_mas)
            if not star.calibrated:
                raise DataError(f"{path}: channel {k} shows no star")
            channels[k] *= np.float32(flux / settings.dit_s / star.flux)
    return np.asarray(channels[:, np.newaxis], dtype=np.float32)
