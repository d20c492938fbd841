"""One channel of a master cube, made ready for the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.config.recipe import ImagingSettings
from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.kernels.psf import centred_psf, fit_psf
from spheredc_hpc.level2 import zones
from spheredc_hpc.level2.loading import frame_weights, load_frames
from spheredc_hpc.level2.references import Library, References, ready_library
from spheredc_hpc.store.cube import Level1Cube

Floats = NDArray[np.float64]

_MAS_PER_RAD = 180 / np.pi * 3.6e6
# Half size of the PSF stamp used for injections, in FWHM.
_STAMP_FWHM = 5.0


@dataclass(frozen=True)
class Star:
    """The unsaturated star of one channel.

    Attributes
    ----------
    stamp : Stamp
        PSF in the units of the frames; with factor `c` it is a companion of contrast `c`.
    fwhm_px : float
        Full width at half maximum of its core [px].
    flux : float
        Sum in an aperture of one FWHM [adu/s]; NaN where no PSF was taken.
    scatter : float
        Relative scatter of that sum between the exposures, of their mean.
    assumed : float
        What stands for the flux where no PSF was taken: the sum over the stamp's aperture.
    """

    stamp: Stamp
    fwhm_px: float
    flux: float
    scatter: float
    assumed: float = 1.0

    @property
    def calibrated(self) -> bool:
        """Whether fluxes can be given relative to the star."""
        return bool(np.isfinite(self.flux))

    @property
    def unit_flux(self) -> float:
        """Aperture sum of a companion of contrast 1; the assumed one without calibration."""
        return self.flux if self.calibrated else self.assumed

    def of_flux(self, flux: float) -> Star:
        """Assume another flux; the star has to be one without calibration."""
        stamp = Stamp.of(self.stamp.image * (flux / self.assumed))
        return replace(self, stamp=stamp, assumed=flux)


@dataclass(frozen=True)
class Channel:
    """Frames of one wavelength.

    Attributes
    ----------
    frames : array of float32, shape (time, side, side)
        Finite frames [adu/s], star on the middle pixel.
    common : array of bool, shape (side, side)
        Pixels with data.
    zone : array of bool, shape (side, side)
        Pixels that define the model of the star.
    rotation : Rotation
        Angles of the frames.
    star : Star
        PSF and its flux.
    pixel_scale_mas : float
        [mas/px].
    inner_px, outer_px : float
        Radii of the zone [px].
    frame_weight : array of float64, shape (time,)
        Inverse variance of each frame, for weighted combinations.
    centre_err_px : float
        Error of the star's position that all frames have in common [px].
    wavelength_um, bandwidth_um : float
        Of the channel [um]; NaN where not known.
    """

    frames: NDArray[np.float32]
    common: zones.Mask
    zone: zones.Mask
    rotation: Rotation
    star: Star
    pixel_scale_mas: float
    inner_px: float
    outer_px: float
    frame_weight: Floats
    centre_err_px: float
    wavelength_um: float = float("nan")
    bandwidth_um: float = float("nan")


@dataclass(frozen=True)
class Sequence:
    """All channels of a cube, the frames that were used, and references of other stars."""

    channels: tuple[Channel, ...]
    selection: zones.Selection
    library: Library | None = None


def prepare(
    cube: Level1Cube, imaging: ImagingSettings, references: References | None = None
) -> Sequence:
    """Select frames, cut the window out and calibrate the star of every channel.

    Parameters
    ----------
    cube : Level1Cube
        Master cube.
    imaging : ImagingSettings
        Radii of the zone.
    references : References, optional
        Frames of other stars on the same grid.

    Returns
    -------
    Sequence

    Raises
    ------
    DataError
        If no frame or no pixel of the zone can be used, a pixel scale is no positive number, or
        the references do not fit.
    """
    if references is not None:
        references.check(cube)
    scale = cube.pixel_scale_mas
    if not (np.all(np.isfinite(scale)) and np.all(scale > 0)):
        raise DataError(f"pixel scale {scale.tolist()} mas: a positive number a channel wanted")
    window = zones.window_of(cube.science.shape[-2:], imaging.outer_mas / float(scale.min()))
    area = zones.annulus(
        window.side, imaging.inner_mas / float(scale.max()), imaging.outer_mas / float(scale.min())
    )
    selection = zones.select_frames(cube, window, area, imaging.selection)
    if not selection.keep.any():
        raise DataError("no usable frame: " + "; ".join(selection.reasons))
    rotation = _rotation(cube, selection.keep)
    channels = []
    for k in range(cube.science.shape[0]):
        frames, common = load_frames(cube, k, window, selection.keep)
        inner, outer = imaging.inner_mas / scale[k], imaging.outer_mas / scale[k]
        zone = zones.annulus(window.side, inner, outer) & common
        if not zone.any():
            raise DataError(f"channel {k}: no pixel of the zone is valid in the frames used")
        centre_err = cube.centre_err_px[k, selection.keep]
        error = float(np.nanmedian(centre_err)) if np.isfinite(centre_err).any() else 0.0
        channels.append(
            Channel(
                frames,
                common,
                zone,
                rotation,
                star_of(cube.psf[k], float(cube.wavelength_um[k]), float(scale[k])),
                float(scale[k]),
                float(inner),
                float(outer),
                frame_weights(cube, k, window, selection.keep, zone),
                error,
                float(cube.wavelength_um[k]),
                float(cube.bandwidth_um[k]),
            )
        )
    library = None if references is None else ready_library(references, window, area)
    return Sequence(tuple(channels), selection, library)


def _rotation(cube: Level1Cube, keep: zones.Mask) -> Rotation:
    middle = cube.derotation_deg[keep]
    start, end = cube.derotation_start_deg[keep], cube.derotation_end_deg[keep]
    known = np.isfinite(start) & np.isfinite(end)
    return Rotation(middle, np.where(known, start, middle), np.where(known, end, middle))


def field_rotation_deg(rotation: Rotation) -> float:
    """Angle through which the field turns between the extreme frames [deg]."""
    angles = np.rad2deg(np.unwrap(np.deg2rad(rotation.middle_deg)))
    return float(np.ptp(angles))


def star_of(psf: NDArray[np.float32], wavelength_um: float, pixel_scale_mas: float) -> Star:
    """Measure the PSF of one channel.

    Parameters
    ----------
    psf : array, shape (psf_time, psf_y, psf_x)
        Exposures of the unsaturated star; NaN frames are left out, single NaN count as zero.
    wavelength_um, pixel_scale_mas : float
        Of the channel; they give the width where there is no usable exposure. A wavelength
        of NaN is not known.

    Returns
    -------
    Star
        With a flux of NaN and a Gaussian stamp of unit aperture sum if no exposure is usable.

    Raises
    ------
    DataError
        If neither an exposure nor the wavelength tells the width.
    """
    diameter_m = default_constants().value("telescope_diameter_m")
    guess = wavelength_um * 1e-6 / diameter_m * _MAS_PER_RAD / pixel_scale_mas
    usable = [frame for frame in psf if np.isfinite(frame).any() and np.nanmax(frame) > 0]
    if not usable:
        return _gaussian_star(guess)
    exposures = np.nan_to_num(np.stack(usable))
    mean = np.asarray(np.mean(exposures, axis=0, dtype=np.float64))
    if not np.isfinite(guess):
        # Diameter of the area above half of the peak.
        guess = 2 * float(np.sqrt((mean > 0.5 * mean.max()).sum() / np.pi))
    try:
        shape = fit_psf(mean, guess)
    except KernelInputError:
        return _gaussian_star(guess)
    side = 2 * int(np.ceil(_STAMP_FWHM * shape.fwhm_px)) + 1
    cut = centred_psf(mean, shape, min(side, 2 * (min(mean.shape) // 2) + 1))
    middle = cut.shape[0] // 2
    flux = aperture_sum(cut, middle, middle, shape.fwhm_px / 2)
    place = (shape.x_px, shape.y_px, shape.fwhm_px / 2)
    sums = np.array([aperture_sum(exposure, *place) for exposure in exposures])
    scatter = float(sums.std(ddof=1) / sums.mean() / np.sqrt(sums.size)) if sums.size > 1 else 0.0
    return Star(Stamp.of(cut), shape.fwhm_px, flux, scatter)


def _gaussian_star(fwhm_px: float) -> Star:
    if not np.isfinite(fwhm_px):
        raise DataError("neither a usable PSF nor a wavelength tells how wide a point source is")
    half = int(np.ceil(3 * fwhm_px))
    offset = np.arange(-half, half + 1.0)
    square = offset[None, :] ** 2 + offset[:, None] ** 2
    image = np.exp(-4 * np.log(2) * square / fwhm_px**2)
    image /= aperture_sum(image, half, half, fwhm_px / 2)
    return Star(Stamp.of(image), float(fwhm_px), float("nan"), 0.0)
