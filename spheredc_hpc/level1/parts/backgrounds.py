"""What is left of the background after the calibration: fitted beside the star, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spheredc_hpc.kernels.clipping import robust_sigma
from spheredc_hpc.kernels.smooth import block_medians
from spheredc_hpc.level1.io import Floats, Image
from spheredc_hpc.level1.parts.cosmetics import CosmeticSettings, FieldCleaner, Region
from spheredc_hpc.level1.parts.setup import Bench, background_role

Kind = Literal["auto", "none", "scale", "templates"]

BLOCK_PX = 16
CLIP_SIGMA = 4.0
ROUNDS = 4
LEAST_BLOCKS = 100
# The far halo of a star falls like powers of the distance; it is fitted and left where it is.
HALO_POWERS = (2, 3)
MAKESHIFT = frozenset({"BG_AGE", "BG_DARK", "BG_INTERPOLATED", "BG_MISSING"})
"""Flags of backgrounds that need not have the level of the frames."""

WHOLE_FIELD_PX = 2048.0
"""Reach of a region that covers the illuminated window wherever the star is."""


@dataclass(frozen=True)
class BackgroundFit:
    """Background of one frame beyond that of the calibration.

    Attributes
    ----------
    terms : dict of float
        Offset [adu] and factor of each other term, by name.
    scatter_adu : float
        Robust scatter of the medians of blocks about the fit [adu]; NaN if there was none.
    """

    terms: dict[str, float]
    scatter_adu: float

    def plain(self) -> dict[str, float | None]:
        """Give the terms and the scatter for a receipt."""
        scatter = round(self.scatter_adu, 4) if np.isfinite(self.scatter_adu) else None
        return {**{name: round(v, 5) for name, v in self.terms.items()}, "scatter_adu": scatter}


@dataclass(frozen=True)
class BackgroundModel:
    """Terms of the background of one field, ready for many frames.

    Attributes
    ----------
    whole : FieldCleaner
        Calibrations of the whole illuminated window.
    names : tuple of str
        Of the terms: ``offset``, then ``scale`` or ``thermal`` and ``template1`` and so on.
    terms : tuple of array
        All but the offset, shape of the window [adu].
    blocks : array, shape (n_block, n_term)
        The terms as they appear in medians of clean blocks.
    places : array, shape (n_block, 2)
        Middles of the blocks within the window (x, y) [px].
    settings : CosmeticSettings
    """

    whole: FieldCleaner
    names: tuple[str, ...]
    terms: tuple[Image, ...]
    blocks: Floats
    places: Floats
    settings: CosmeticSettings

    @classmethod
    def of(cls, whole: FieldCleaner, kind: Kind, settings: CosmeticSettings) -> BackgroundModel:
        """Prepare a fit; of kind ``none``, only columns may be levelled."""
        names: list[str] = []
        terms: list[Image] = []
        if kind == "scale" and np.ptp(whole.background) > 0:
            names, terms = ["scale"], [whole.background]
        elif kind == "templates":
            if np.ptp(whole.thermal) > 0:
                names, terms = ["thermal"], [whole.thermal]
            names += [f"template{i}" for i in range(1, len(whole.templates) + 1)]
            terms += list(whole.templates)
        rows, columns, ones = block_medians(whole.gain, BLOCK_PX)
        medians = [block_medians(term * whole.gain, BLOCK_PX)[2] for term in terms]
        blocks = np.stack([item.ravel() for item in (ones, *medians)], axis=1)
        y, x = np.meshgrid(rows, columns, indexing="ij")
        places = np.stack([x.ravel(), y.ravel()], axis=1)
        if kind == "none":
            return cls(whole, (), (), blocks[:, :0], places, settings)
        return cls(whole, ("offset", *names), tuple(terms), blocks, places, settings)

    def fit(self, image: Image, star_xy: tuple[float, float], outside_px: float) -> BackgroundFit:
        """Fit the terms to a clean image of the whole window.

        Parameters
        ----------
        image : array
            Clean counts, shape of the window [adu].
        star_xy : (float, float)
            Star on the field [px].
        outside_px : float
            Distance from the star from which blocks count [px].

        Returns
        -------
        BackgroundFit
            Zero everywhere if fewer than a hundred blocks are left.

        Notes
        -----
        Least squares over medians of 16 px blocks, clipped at four robust standard deviations.
        Powers of the distance stand for the halo of the star and are not subtracted.
        """
        nothing = BackgroundFit(dict.fromkeys(self.names, 0.0), float("nan"))
        if not self.names:
            return nothing
        star = np.array(self.whole.region.local(star_xy))
        distance = np.hypot(*(self.places - star).T)
        used = distance > outside_px
        if used.sum() < LEAST_BLOCKS:
            return nothing
        halo = np.stack([(distance / outside_px) ** -power for power in HALO_POWERS], axis=1)
        design = np.concatenate([self.blocks, halo], axis=1)[used]
        length = np.linalg.norm(design, axis=0)
        design = design / np.where(length > 0, length, 1)
        counts = block_medians(image, BLOCK_PX)[2].ravel()[used]
        kept = np.ones(len(counts), dtype=bool)
        for _ in range(ROUNDS):
            solution = np.linalg.lstsq(design[kept], counts[kept], rcond=1e-6)[0]
            departure = counts - design @ solution
            spread = robust_sigma(departure[kept])
            kept = np.abs(departure) <= CLIP_SIGMA * max(spread, 1e-6)
            if kept.sum() < LEAST_BLOCKS:
                return nothing
        values = (solution / np.where(length > 0, length, 1))[: len(self.names)]
        return BackgroundFit(dict(zip(self.names, values.tolist(), strict=True)), spread)

    def beyond(self, fit: BackgroundFit, region: Region) -> Image:
        """Give what to subtract from a region beside the calibrated background [adu]."""
        rows = slice(*(n - self.whole.region.rows.start for n in _ends(region.rows)))
        columns = slice(*(n - self.whole.region.columns.start for n in _ends(region.columns)))
        extra = np.zeros(region.shape, dtype=np.float32)
        extra += np.float32(fit.terms.get("offset", 0.0))
        for name, term in zip(self.names[1:], self.terms, strict=True):
            extra += np.float32(fit.terms[name]) * term[rows, columns]
        return extra

    def correction(
        self, raw: Image, star_xy: tuple[float, float], outside_px: float, region: Region
    ) -> tuple[Image, BackgroundFit]:
        """Fit one raw plane of the field; what to subtract from a region, and the fit."""
        image = self.whole.clean(raw, reuse=True).image
        fit = self.fit(image, star_xy, outside_px)
        extra = self.beyond(fit, region)
        if self.settings.column_rows:
            columns = slice(*(n - self.whole.region.columns.start for n in _ends(region.columns)))
            rest = image - self.whole.gain * self.beyond(fit, self.whole.region)
            extra += column_pattern(rest, self.settings.column_rows)[columns]
        return extra, fit


def background_models(
    bench: Bench, role: str, dit_s: float, nd: str = ""
) -> list[BackgroundModel | None]:
    """Prepare the fits of both fields for frames of one role; None where nothing is fitted."""
    settings = bench.settings
    models: list[BackgroundModel | None] = []
    for field, band in enumerate(bench.setup.bands):
        kind: Kind = settings.background_fit
        if kind == "auto":
            kind = _kind(bench, (role, dit_s, nd), band.wavelength_um)
        if kind == "none" and not settings.column_rows:
            models.append(None)
        else:
            whole = bench.cleaners(role, dit_s, WHOLE_FIELD_PX, nd)[field]
            models.append(BackgroundModel.of(whole, kind, settings))
    return models


def _kind(bench: Bench, served: tuple[str, float, str], wavelength_um: float) -> Kind:
    """Choose by band, and by how well the background of a role suits its frames."""
    if wavelength_um >= bench.settings.thermal_from_um:
        return "templates"
    association = bench.inputs.association
    uses = {use.role: use for use in association.calibrations}
    suited = uses.get(background_role(association, *served))
    return "scale" if suited is None or not MAKESHIFT.isdisjoint(suited.flags) else "none"


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop


def column_pattern(image: Image, rows: int) -> Image:
    """Median of each column over the outer `rows` at the top and at the bottom, shape (nx,)."""
    outer = np.concatenate([image[:rows], image[-rows:]])
    return np.asarray(np.median(outer, axis=0), dtype=np.float32)


def fit_quality(fits: dict[str, list[BackgroundFit | None]]) -> dict[str, Any]:
    """Tell for the receipt what was fitted, by frame and channel; empty if nothing was."""
    frames: dict[str, Any] = {
        name: [None if fit is None else fit.plain() for fit in channels]
        for name, channels in fits.items()
        if any(fit is not None for fit in channels)
    }
    return {"frames": frames} if frames else {}
