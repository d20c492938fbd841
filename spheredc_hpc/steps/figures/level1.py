"""What is drawn of a Level 1 cube: one frame per channel, the PSF and the sequence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.figure import Figure

from spheredc_hpc.errors import DataError
from spheredc_hpc.steps.figures.canvas import new_figure
from spheredc_hpc.steps.figures.sequences import Panel, Series
from spheredc_hpc.steps.figures.sky import PANEL_EXTRA, SkyView, draw_sky
from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube

Floats = npt.NDArray[np.float64]

_VECTORS = (
    "centre_px",
    "centre_err_px",
    "ao",
    "quality",
    "wavelength_um",
    "pixel_scale_mas",
    "mjd",
    "dit_s",
    "parang_deg",
    "derotation_deg",
    "derotation_start_deg",
    "derotation_end_deg",
    "airmass",
)
_AO_LABELS = {
    "seeing_arcsec": "seeing [″]",
    "tau0_ms": "τ₀ [ms]",
    "wind_speed_mps": "wind [m/s]",
    "strehl": "Strehl",
    "r0_m": "r₀ [m]",
}
PANEL_WIDTH = 300.0


@dataclass(frozen=True)
class Level1View:
    """The part of a Level 1 cube that is shown: everything but the stack of frames.

    Attributes
    ----------
    frame : ndarray, shape (wavelength, y, x)
        The middle frame of the sequence [adu/s].
    frame_index : int
        Which one it is.
    psf : ndarray, shape (wavelength, psf_y, psf_x)
        Mean of the PSFs [adu/s].
    values : dict
        Vectors of the cube by name, shapes as in `Level1Cube`.
    """

    frame: npt.NDArray[np.float32]
    frame_index: int
    psf: npt.NDArray[np.float32]
    values: dict[str, Floats]
    metrics: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, cube: Level1Cube) -> Level1View:
        """Take what is shown from a cube in memory."""
        index = cube.science.shape[1] // 2
        values = {name: np.asarray(getattr(cube, name)) for name in _VECTORS}
        frame = cube.science[:, index]
        return cls(frame, index, _mean(cube.psf), values, cube.metrics, cube.attrs)

    @classmethod
    def read(cls, path: Path) -> Level1View:
        """Read only what is shown of a ``cube.zarr``.

        Raises
        ------
        DataError
            If the store is absent or a variable is missing.
        """
        try:
            with xr.open_zarr(path, consolidated=False, chunks=None) as dataset:
                index = dataset.sizes["time"] // 2
                frame = dataset["science"].isel(time=index).to_numpy()
                psf = dataset["psf"].to_numpy()
                values = {name: dataset[name].to_numpy() for name in _VECTORS}
                metrics = tuple(str(name) for name in dataset["metric"].to_numpy())
                attrs = dict(dataset.attrs)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{path} is no Level 1 cube: {error}") from error
        return cls(frame, index, _mean(psf), values, metrics, attrs)

    @property
    def n_frames(self) -> int:
        """Number of frames of the cube."""
        return int(self.values["mjd"].size)


def _mean(psf: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    good = np.isfinite(psf)
    total = np.where(good, psf, 0).sum(axis=1, dtype=np.float64)
    count = good.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def channel_names(attrs: dict[str, Any], wavelength_um: Floats) -> list[str]:
    """Name the channels: their bands if the product says so, else their wavelengths."""
    bands = attrs.get("bands")
    if isinstance(bands, list | tuple) and len(bands) == wavelength_um.size:
        return [str(band) for band in bands]
    return [f"{wavelength:.3f} µm" for wavelength in wavelength_um]


def frame_view(view: Level1View, channel: int) -> SkyView:
    """Tell how one channel of the shown frame is drawn; north is that of this frame."""
    name = channel_names(view.attrs, view.values["wavelength_um"])[channel]
    return SkyView(
        title=f"Level 1, {name}, frame {view.frame_index + 1} of {view.n_frames}",
        unit="ADU/s",
        scale_mas=float(view.values["pixel_scale_mas"][channel]),
        north_deg=-float(view.values["derotation_deg"][view.frame_index]),
    )


def psf_view(view: Level1View, channel: int) -> SkyView:
    """Tell how the PSF of one channel is drawn."""
    name = channel_names(view.attrs, view.values["wavelength_um"])[channel]
    return SkyView(
        title=f"PSF, {name}", unit="ADU/s", scale_mas=float(view.values["pixel_scale_mas"][channel])
    )


def ao_panels(view: Level1View) -> list[Panel]:
    """Seeing, coherence time, Strehl ratio and wind of each frame."""
    order = ("seeing_arcsec", "tau0_ms", "strehl", "wind_speed_mps")
    mjd, values = view.values["mjd"], view.values["ao"]
    return [
        Panel(
            _AO_LABELS[name],
            (Series("", mjd, values[:, AO_QUANTITIES.index(name)], series=i),),
            "no telemetry",
        )
        for i, name in enumerate(order)
    ]


def angle_panels(view: Level1View) -> list[Panel]:
    """Parallactic and derotation angle of each frame, and the turn within one integration."""
    v = view.values
    turn = v["derotation_end_deg"] - v["derotation_start_deg"]
    turn = (turn + 180.0) % 360.0 - 180.0
    return [
        Panel("parallactic [°]", (Series("", v["mjd"], _unwrapped(v["parang_deg"])),)),
        Panel("derotation [°]", (Series("", v["mjd"], _unwrapped(v["derotation_deg"]), series=1),)),
        Panel("turn per DIT [°]", (Series("", v["mjd"], turn, series=2),)),
    ]


def quality_panels(view: Level1View) -> list[Panel]:
    """Show every frame metric that varies along the sequence."""
    mjd, values = view.values["mjd"], view.values["quality"]
    varying = [i for i in range(len(view.metrics)) if _varies(values[:, i])]
    return [
        Panel(view.metrics[i].replace("_", " "), (Series("", mjd, values[:, i], series=place),))
        for place, i in enumerate(varying)
    ]


def constant_metrics(view: Level1View) -> dict[str, float]:
    """Frame metrics that are the same, or known once only, along the sequence."""
    values = view.values["quality"]
    found = {}
    for i, name in enumerate(view.metrics):
        known = values[np.isfinite(values[:, i]), i]
        if known.size and not _varies(values[:, i]):
            found[name] = float(known[0])
    return found


def _varies(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size) and bool(np.ptp(known) > 0)


def _unwrapped(angle_deg: Floats) -> Floats:
    """Remove jumps of a full turn; angles with NaN are left as they are."""
    if not np.isfinite(angle_deg).all():
        return angle_deg
    return np.asarray(np.unwrap(angle_deg, period=360.0))


def preview_figure(view: Level1View, sequences: list[Panel]) -> Figure:
    """Lay out the preview of a cube: frames and PSF above, the sequence below."""
    from spheredc_hpc.steps.figures.sequences import draw_sequences

    shown = range(min(2, view.frame.shape[0]))
    gap, top, strip = 16.0, 12.0, 330.0
    width = 3 * PANEL_WIDTH + 4 * gap
    panel_height = PANEL_WIDTH + PANEL_EXTRA
    figure = new_figure(width, panel_height + strip + 3 * top)
    base = strip + 2 * top
    for channel in shown:
        place = (gap + channel * (PANEL_WIDTH + gap), base, PANEL_WIDTH)
        draw_sky(figure, place, view.frame[channel], frame_view(view, channel))
    if view.psf.size:
        place = (gap + 2 * (PANEL_WIDTH + gap), base, PANEL_WIDTH)
        draw_sky(figure, place, view.psf[0], psf_view(view, 0))
    half = len(sequences) - len(sequences) // 2
    for index, group in enumerate((sequences[:half], sequences[half:])):
        if group:
            draw_sequences(figure, (index * width / 2, top, width / 2, strip), group)
    return figure
