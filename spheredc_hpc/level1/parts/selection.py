"""How good each science frame is, and which are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.kernels.clipping import robust_sigma
from spheredc_hpc.level1.io import Flag, Floats, Header, Image, Mask

METRICS = (
    "flux",
    "flux_ring",
    "halo_asymmetry",
    "correlation",
    "background",
    "nan_fraction",
    "hits",
    "saturated",
    "loop_closed",
    "intensity_10",
    "halo_elongation",
    "halo_direction_deg",
)
CLOSED = "CLOSED"
# Annulus whose mean intensity is compared with the coherence time, in lambda/D.
AT_TEN = (9.0, 11.0)
# Scatter of the halo's brightness above which an observation is flagged.
VARIABLE_HALO = 0.2
# Relative scatter of the halo flux, and median correlation, of a halo lost in the noise.
FAINT_SCATTER = 0.5
FAINT_CORRELATION = 0.5


class SelectionSettings(Section):
    """Frames that are left out of the cube."""

    reject_open_loop: bool = Field(
        True, description="Leave out files whose adaptive optics were not closed."
    )
    lowest_flux: float = Field(
        0.3, ge=0, lt=1, description="Halo flux relative to the median below which a frame goes."
    )
    highest_flux: float = Field(
        3.0, gt=1, description="Halo flux relative to the median above which a frame goes."
    )
    lowest_correlation: float = Field(
        0.2, ge=-1, lt=1, description="Correlation with the median frame below which a frame goes."
    )
    halo_mas: tuple[float, float] = Field(
        (150.0, 500.0), description="Annulus of the halo flux, asymmetry and correlation [mas]."
    )
    ring_mas: tuple[float, float] = Field(
        (650.0, 950.0), description="Annulus around the control radius [mas]."
    )
    background_mas: tuple[float, float] = Field(
        (3000.0, 4500.0), description="Annulus in which the background is judged [mas]."
    )


@dataclass(frozen=True)
class Annuli:
    """Pixels of the annuli in the square cut around the star, sides odd."""

    half_px: int
    halo: Mask
    ring: Mask
    outer_px: tuple[float, float]
    at_ten: Mask
    turn: Image

    @classmethod
    def of(
        cls, size: int, scale_mas: float, settings: SelectionSettings, resolution_px: float
    ) -> Annuli:
        """Prepare annuli for frames of `size` pixels; `resolution_px` is lambda/D."""
        half = min(int(np.ceil(settings.ring_mas[1] / scale_mas)) + 1, (size - 1) // 2)
        y, x = np.indices((2 * half + 1, 2 * half + 1)) - half
        radius = np.hypot(x, y) * scale_mas
        in_lambda_d = np.hypot(x, y) / resolution_px
        at_ten = np.asarray((in_lambda_d >= AT_TEN[0]) & (in_lambda_d < AT_TEN[1]))

        def between(limits: tuple[float, float]) -> Mask:
            return np.asarray((radius >= limits[0]) & (radius < limits[1]))

        outer = (
            settings.background_mas[0] / scale_mas,
            settings.background_mas[1] / scale_mas,
        )
        halo = between(settings.halo_mas)
        twice = 2 * np.arctan2(y, x)[halo]
        turn = np.stack([np.cos(twice), np.sin(twice)]).astype(np.float32)
        return cls(half, halo, between(settings.ring_mas), outer, at_ten, turn)

    def cut(self, frame: Image) -> Image:
        """Cut the square around pixel ``(n // 2, n // 2)`` out of a frame."""
        n = frame.shape[0] // 2
        return frame[
            n - self.half_px : n + self.half_px + 1, n - self.half_px : n + self.half_px + 1
        ]


@dataclass(frozen=True)
class FrameFigures:
    """Figures of one channel of one frame, and the halo pixels for the correlation.

    `stretch` is the second harmonic of the halo over the azimuth, cosine and sine, relative to its
    mean: a halo that the wind drives is longer along the wind.
    """

    flux: float
    flux_ring: float
    asymmetry: float
    background: float
    halo: Image
    intensity_10: float
    stretch: Floats


def frame_figures(frame: Image, annuli: Annuli) -> FrameFigures:
    """Measure one recentred frame [adu/s]; NaN is left out."""
    cut = annuli.cut(frame)
    turned = cut[::-1, ::-1]
    halo = cut[annuli.halo]
    difference = np.abs(halo - turned[annuli.halo])
    total = float(np.nansum(np.abs(halo), dtype=np.float64))
    # The asymmetry of a frame of pure noise is about 1.4, that of a symmetric one 0.
    asymmetry = float(np.nansum(difference, dtype=np.float64)) / total if total > 0 else np.nan
    return FrameFigures(
        flux=float(np.nansum(halo, dtype=np.float64)),
        flux_ring=float(np.nansum(cut[annuli.ring], dtype=np.float64)),
        asymmetry=asymmetry,
        background=_outer_median(frame, annuli.outer_px),
        halo=halo,
        intensity_10=_mean(cut[annuli.at_ten]),
        stretch=_second_harmonic(halo, annuli.turn),
    )


def _mean(values: Image) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if known.size else float("nan")


def _second_harmonic(halo: Image, turn: Image) -> Floats:
    """Twice the mean of the halo times cosine and sine of the double azimuth, over its mean."""
    known = np.isfinite(halo)
    values = halo[known].astype(np.float64)
    total = values.sum()
    if not total > 0:
        return np.full(2, np.nan)
    return np.asarray(2 * (turn[:, known] @ values) / total)


def elongation(stretches: Sequence[Floats]) -> tuple[float, float]:
    """Amplitude of the second harmonic of a halo, mean of the channels, and its direction.

    Returns
    -------
    amplitude : float
        Relative to the mean brightness.
    direction_deg : float
        In which the halo is longest, counter-clockwise from +x of the detector, 0 to 180 [deg].
    """
    cosine, sine = np.mean(stretches, axis=0)
    return float(np.hypot(cosine, sine)), float(np.degrees(np.arctan2(sine, cosine)) / 2 % 180)


def _outer_median(frame: Image, limits_px: tuple[float, float]) -> float:
    """Median of every fourth pixel of an annulus; NaN if the frame does not reach it."""
    thin = frame[::4, ::4]
    middle = frame.shape[0] // 2
    y, x = np.ogrid[: thin.shape[0], : thin.shape[1]]
    radius = np.hypot(4 * x - middle, 4 * y - middle)
    values = thin[(radius >= limits_px[0]) & (radius < limits_px[1])]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def correlations(halos: Image) -> Floats:
    """Correlate each frame with the median of all, over the pixels of the halo.

    Parameters
    ----------
    halos : array, shape (n, n_pix)

    Returns
    -------
    array, shape (n,)
        Pearson's coefficient; NaN without scatter.
    """
    used = np.isfinite(halos).all(axis=0)
    values = halos[:, used].astype(np.float64)
    if values.shape[1] < 2:
        return np.full(len(halos), np.nan)
    middle = np.median(values, axis=0)
    middle -= middle.mean()
    values = values - values.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(values, axis=1) * np.linalg.norm(middle)
    product = values @ middle
    found = np.full(len(halos), np.nan)
    return np.asarray(np.divide(product, norm, out=found, where=norm > 0))


def loop_closed(header: Header) -> bool:
    """Tell whether the high-order loop was closed; a header that does not say counts as closed."""
    state = str(read_value(header, "ao_loop", "")).upper()
    return not state or state.startswith(CLOSED)


def select(
    quality: Floats, names: list[str], settings: SelectionSettings
) -> tuple[Mask, list[str], tuple[Flag, ...]]:
    """Decide which frames enter the cube.

    Parameters
    ----------
    quality : array, shape (n, len(METRICS))
    names : list of str
        Of the frames, for the reasons.
    settings : SelectionSettings

    Returns
    -------
    kept : array of bool, shape (n,)
    reasons : list of str
        One per frame that is left out.
    flags : tuple of (str, str)
        ``HALO_VARIABLE`` if the halo's brightness scatters much among the frames kept.
    """
    flux = quality[:, METRICS.index("flux")]
    match = quality[:, METRICS.index("correlation")]
    middle = float(np.nanmedian(flux)) if np.isfinite(flux).any() else np.nan
    # In the halo of a faint star neither figure means anything.
    bright = middle > 0 and robust_sigma(flux) < FAINT_SCATTER * middle
    alike = np.isfinite(match).any() and float(np.nanmedian(match)) > FAINT_CORRELATION
    kept = np.ones(len(quality), dtype=bool)
    reasons = []
    for i, name in enumerate(names):
        relative = flux[i] / middle if middle > 0 else np.nan
        why = ""
        if bright and not settings.lowest_flux <= relative <= settings.highest_flux:
            why = f"halo flux {relative:.2f} of the median"
        elif alike and match[i] < settings.lowest_correlation:
            why = f"correlation {match[i]:.2f} with the median frame"
        if why:
            kept[i] = False
            reasons.append(f"{name}: {why}")
    flags: list[Flag] = []
    if kept.sum() > 2 and bright:
        scatter = float(np.nanstd(flux[kept]) / middle)
        if scatter > VARIABLE_HALO:
            flags.append(("HALO_VARIABLE", f"halo flux varies by {100 * scatter:.0f} % rms"))
    return kept, reasons, tuple(flags)
