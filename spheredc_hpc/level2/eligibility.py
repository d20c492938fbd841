"""Which rows may serve as references of which targets, zone by zone.

A companion of the target that stands at the same place in a reference is subtracted with the
star. How far it moves between two rows, by rotation and by rescaling, or how much of it a
reference would subtract, decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.ndimage import map_coordinates

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.aperture import aperture_sums

if TYPE_CHECKING:
    from spheredc_hpc.level2.regions import Zone
    from spheredc_hpc.level2.rows import RowTable

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Step of the table of overlaps, in FWHM, and how far it goes.
_TABLE_STEP_FWHM = 0.05
_TABLE_END_FWHM = 6.0


class ReferenceSettings(Section):
    """Which frames may be references of a frame."""

    exclusion_fwhm: float | None = Field(
        None,
        ge=0,
        description="Motion of a companion between target and reference, at least [FWHM]; "
        "0: all but the target itself; null: all, the target too.",
    )
    exclusion_measure: Literal["chord", "tangent"] = Field(
        "chord",
        description="Motion: the distance moved, or that on the tangent (angle "
        "2 atan(motion / 2 r)).",
    )
    self_subtraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="TLOCI: share of a companion that a single reference may take away, at most.",
    )
    max_references: int | None = Field(
        None, ge=1, description="The most correlated references only; null: all."
    )
    min_references: int = Field(
        1, ge=0, description="A frame with fewer gets the least harmful others, up to this many."
    )

    @property
    def by_motion(self) -> bool:
        """Whether a companion has to move or to fade between frames, so that none serves itself."""
        return self.exclusion_fwhm is not None or self.self_subtraction is not None


@dataclass(frozen=True)
class Core:
    """A companion as eligibility sees it.

    Attributes
    ----------
    fwhm_px : float
        Width on the grid of the rows [px].
    step_px : float
        Step of the table [px].
    overlap : array of float64, shape (n,)
        Share of its flux that a copy displaced by ``k * step_px`` puts into an aperture of one
        FWHM about it; 1 for no displacement, never rising, zero beyond the table.
    contrast : array of float64, shape (n_channel,), optional
        Contrast of the assumed companion in each channel, in any unit; that of the star's
        colour if absent.
    """

    fwhm_px: float
    step_px: float
    overlap: Floats
    contrast: Floats | None = None

    @classmethod
    def of_image(cls, psf: NDArray[Any], fwhm_px: float) -> Core:
        """Tabulate a PSF image whose star stands on pixel ``(n // 2, n // 2)``."""
        reach = int(np.ceil((_TABLE_END_FWHM + 1) * fwhm_px))
        side = 2 * reach + 1
        half = min(psf.shape[0] // 2, reach)
        middle = psf.shape[0] // 2
        image = np.zeros((side, side))
        image[reach - half : reach + half + 1, reach - half : reach + half + 1] = psf[
            middle - half : middle + half + 1, middle - half : middle + half + 1
        ]
        return cls._of_sums(np.asarray(aperture_sums(image, fwhm_px / 2)), fwhm_px)

    @classmethod
    def _of_sums(cls, sums: Floats, fwhm_px: float) -> Core:
        step = _TABLE_STEP_FWHM * fwhm_px
        radii = step * np.arange(round(_TABLE_END_FWHM / _TABLE_STEP_FWHM) + 1)
        angles = np.deg2rad(np.arange(0, 360, 15))
        middle = sums.shape[0] // 2
        places = middle + np.stack(
            [np.multiply.outer(radii, np.sin(angles)), np.multiply.outer(radii, np.cos(angles))]
        )
        profile = map_coordinates(sums, places, order=3).mean(axis=1) / sums[middle, middle]
        # What is nearer takes away no less: rings of the PSF count outwards.
        profile = np.maximum.accumulate(profile[::-1])[::-1]
        return cls(fwhm_px, step, np.clip(profile, 0.0, 1.0))

    def self_subtraction(self, table: RowTable, displacement_px: Floats) -> Floats:
        """Share of its flux that a companion of each target loses to each row alone.

        Parameters
        ----------
        table : RowTable
            Rows.
        displacement_px : array of float64, shape (n_target, n_row)
            From `displacement_px` [px].

        Returns
        -------
        array of float64, shape (n_target, n_row)

        Notes
        -----
        Overlap times ratio of fluxes, as Marois et al. (2014), IAU Symp. 299, 48. A reference
        is scaled to the speckles of the target, that is by the ratio of the star's fluxes; so
        what remains of the ratio of the companion's fluxes is that of its contrasts.
        """
        lost = self.share(displacement_px)
        if self.contrast is None:
            return lost
        contrast = np.asarray(self.contrast, np.float64)[np.asarray(table.channel)]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = contrast[None, :] / contrast[np.asarray(table.targets)][:, None]
            return np.where((lost > 0) & (contrast > 0)[None, :], lost * ratio, 0.0)

    def share(self, displacement_px: ArrayLike) -> Floats:
        """Overlap at displacements [px], linear between the steps of the table."""
        place = np.asarray(displacement_px, np.float64) / self.step_px
        return np.interp(place, np.arange(self.overlap.size), self.overlap, right=0.0)


class Eligible(NamedTuple):
    """Outcome for one zone.

    Attributes
    ----------
    allowed : array of bool, shape (n_target, n_row)
        Rows that may serve each target.
    short : int
        Targets whose rule left fewer than `min_references`, although there were more, or none.
    """

    allowed: Mask
    short: int


def displacement_px(
    table: RowTable, radius_px: float, measure: Literal["chord", "tangent"] = "chord"
) -> Floats:
    """How far a companion stands in a row from where it stands in a target.

    Parameters
    ----------
    table : RowTable
        Rows.
    radius_px : float
        Distance of the companion from the star in the target, on the aligned grid [px].
    measure : {"chord", "tangent"}
        Distance, or the distance with the tangent of half the angle in place of its sine.

    Returns
    -------
    array of float64, shape (n_target, n_row)
        [px]; infinite for rows of the library.

    Notes
    -----
    ``|r exp(i a_i) - r (s_j / s_i) exp(i a_j)|`` with the angles `a` on the frames and the
    scales `s` of the rows: rotation and rescaling at once.
    """
    half = np.deg2rad(np.asarray(table.rotation.middle_deg, np.float64)) / 2
    scale = np.asarray(table.scale, np.float64)
    targets = np.asarray(table.targets)
    ratio = scale[None, :] / scale[targets][:, None]
    sine, cosine = np.sin(half), np.cos(half)
    # sin((a - b) / 2): exact zero on the diagonal, no cancellation next to it.
    square = np.multiply.outer(sine[targets], cosine)
    square -= np.multiply.outer(cosine[targets], sine)
    np.square(square, out=square)
    if measure == "tangent":
        square /= np.maximum(1 - square, np.finfo(np.float64).tiny)
    square *= 4 * ratio
    ratio -= 1
    ratio *= ratio
    square += ratio
    distance = radius_px * np.sqrt(square, out=square)
    distance[:, np.asarray(table.time) < 0] = np.inf
    return np.asarray(distance)


def allowed_rows(
    table: RowTable,
    zone: Zone,
    gram: Floats,
    core: Core,
    settings: ReferenceSettings,
    *,
    own: bool = True,
) -> Eligible:
    """Decide which rows may serve each target in a zone.

    Parameters
    ----------
    table : RowTable
        Rows.
    zone : Zone
        Its `radius_px` is where the companion is taken to stand.
    gram : array of float64, shape (n_row, n_row)
        Gram matrix of the rows over the optimisation pixels.
    core : Core
        Width of a companion and its overlap with a displaced copy.
    settings : ReferenceSettings
        Rules.
    own : bool
        Whether targets may serve each other; if not, only rows of the library do.

    Returns
    -------
    Eligible
    """
    targets = np.asarray(table.targets)
    shape = (targets.size, np.asarray(table.time).size)
    seen = np.ones(shape, bool)
    if not own:
        seen[:, targets] = False
    if not settings.by_motion and settings.max_references is None:
        return Eligible(seen, 0)
    if not settings.by_motion:
        return Eligible(_most_correlated(seen, gram, targets, settings.max_references), 0)
    seen[np.arange(targets.size), targets] = False
    distance = displacement_px(table, zone.radius_px, settings.exclusion_measure)
    harm = None
    allowed = seen.copy()
    if settings.exclusion_fwhm is not None:
        allowed &= distance >= settings.exclusion_fwhm * core.fwhm_px
    if settings.self_subtraction is not None:
        harm = core.self_subtraction(table, distance)
        allowed &= harm <= settings.self_subtraction
    left, there = allowed.sum(axis=1), seen.sum(axis=1)
    short = np.flatnonzero((left < np.minimum(settings.min_references, there)) | (left == 0))
    for i in short:
        candidates = np.flatnonzero(seen[i])
        far = -distance[i, candidates]
        order = np.lexsort((far, far if harm is None else harm[i, candidates]))
        allowed[i, candidates[order[: settings.min_references]]] = True
    if settings.max_references is not None:
        allowed = _most_correlated(allowed, gram, targets, settings.max_references)
    return Eligible(allowed, int(short.size))


def _most_correlated(
    allowed: Mask, gram: Floats, targets: NDArray[Any], number: int | None
) -> Mask:
    """Keep the `number` allowed rows of highest correlation; of equals the first ones."""
    if number is None or number >= allowed.shape[1]:
        return allowed
    norm = np.sqrt(np.maximum(np.diagonal(gram), np.finfo(np.float64).tiny))
    correlation = gram[targets]
    correlation /= norm[None, :]
    correlation[~allowed] = -np.inf
    last = np.partition(correlation, -number, axis=1)[:, -number, None]
    above = correlation > last
    equal = (correlation == last) & allowed
    room = number - above.sum(axis=1, keepdims=True)
    return np.asarray(above | (equal & (np.cumsum(equal, axis=1) <= room)))
