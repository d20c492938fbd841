"""Star centre of every integration: from CENTER frames, dither and drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.level1.io import Flag, Floats
from spheredc_hpc.level1.parts.spots import SpotCentre

# Numbers that tell the shared error, and weight of expectations in the same count.
FREE_COORDINATES = 2
# Exposures farther apart than this are separate epochs of the drift [d], and none lasts longer.
EPOCH_GAP_D = 180 / 86400
LONGEST_EPOCH_D = 600 / 86400


class DriftSettings(Section):
    """How the star is expected to move on the detector."""

    drift_px_per_h: float = Field(
        0.05, ge=0, description="Unknown motion of the star between and beyond CENTER frames."
    )
    jitter_px: float = Field(
        0.02,
        ge=0,
        description="Expected motion from frame to frame [px]; joined with what is measured.",
    )


@dataclass(frozen=True)
class CentreMeasurement:
    """One channel of one CENTER frame.

    `spot` is what was kept. `check` says how it was judged: the fits of the spots (``first``), the
    second method, the distance between the two, and which was kept for which reason.
    """

    archive_id: str
    plane: int
    channel: int
    mjd: float
    dither_px: tuple[float, float]
    spot: SpotCentre | None
    check: dict[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether it enters the solution."""
        return self.spot is not None and self.spot.usable


@dataclass(frozen=True)
class CentreModel:
    """Where the star stands without dither, against time, for one channel.

    Attributes
    ----------
    mjd : array, shape (k,)
        Epochs [d], increasing; one or more.
    xy : array, shape (k, 2)
        Star without dither [px].
    error : array, shape (k, 2)
        Random error of each epoch [px].
    common_error : float
        Error that all epochs share [px].
    drift_px_per_h : float
        Unknown motion that is allowed away from the epochs.
    """

    mjd: Floats
    xy: Floats
    error: Floats
    common_error: float
    drift_px_per_h: float

    def at(self, mjd: Floats, dither_px: tuple[float, float]) -> tuple[Floats, Floats]:
        """Predict the star at instants of one dither position.

        Parameters
        ----------
        mjd : array, shape (n,)
        dither_px : (float, float)

        Returns
        -------
        xy, error : array, shape (n, 2)
            Linear between epochs, constant outside. The error grows with the distance from
            the epochs: as a free drift outside, as a bridge between two fixed ends inside.
        """
        position = np.stack([np.interp(mjd, self.mjd, column) for column in self.xy.T], axis=1)
        variance = np.stack(
            [np.interp(mjd, self.mjd, column) for column in (self.error**2).T], axis=1
        )
        before = np.abs(mjd[:, np.newaxis] - self.mjd).min(axis=1) * 24
        inside = (mjd > self.mjd[0]) & (mjd < self.mjd[-1])
        away = np.where(inside, 0.3 * before, before) * self.drift_px_per_h
        total = variance + self.common_error**2 + away[:, np.newaxis] ** 2
        return position + np.array(dither_px), np.sqrt(total)


@dataclass(frozen=True)
class CentreSolution:
    """Centre models of all channels and how they came about.

    Attributes
    ----------
    models : tuple of CentreModel
        One per channel.
    method : str
        ``waffle``, ``halo``, ``star`` or ``table``.
    flags : tuple of (str, str)
    quality : dict
        Figures for the receipt.
    table : list of dict
        Every measurement, for the report.
    """

    models: tuple[CentreModel, ...]
    method: str
    flags: tuple[Flag, ...] = ()
    quality: dict[str, Any] = field(default_factory=dict)
    table: list[dict[str, Any]] = field(default_factory=list)


def shared_error(measurements: Sequence[CentreMeasurement], expected_px: float) -> float:
    """Error of the centre, per axis, that all frames share.

    Speckles beneath the spots move them alike in every frame. What moves opposite spots in
    opposite directions, as speckles of small phase errors do, leaves the centre alone; what
    remains shows in the distance between the middles of the two diagonals. It is averaged over
    all frames and joined with the expected error, since two numbers tell a variance only
    roughly.
    """
    shapes = [m.spot.departures for m in measurements if m.usable and m.spot is not None]
    if not shapes:
        return expected_px
    mean = np.mean(shapes, axis=0)
    gap = (mean[0] + mean[2] - mean[1] - mean[3]) / 2
    # The gap holds the errors of two diagonals.
    total = float(np.sum(gap**2)) / 2 + FREE_COORDINATES * expected_px**2
    return float(np.sqrt(total / (2 * FREE_COORDINATES)))


def solve_waffle(
    measurements: Sequence[CentreMeasurement],
    channels: int,
    expected_error_px: float,
    motion: DriftSettings,
) -> CentreSolution | None:
    """Join the measured centres to one model per channel.

    Parameters
    ----------
    measurements : sequence of CentreMeasurement
    channels : int
    expected_error_px : float
        As in `SpotSettings.shared_error_px`.
    motion : DriftSettings

    Returns
    -------
    CentreSolution or None
        None if a channel has no usable measurement.
    """
    models, spreads = [], []
    common = shared_error(measurements, expected_error_px)
    for channel in range(channels):
        held = sorted(
            (m for m in measurements if m.channel == channel and m.usable), key=lambda m: m.mjd
        )
        if not held:
            return None
        epochs = _epochs(held)
        scatter = _scatter(epochs, motion.jitter_px)
        rows = [_average(epoch, scatter) for epoch in epochs]
        models.append(
            CentreModel(
                mjd=np.array([row[0] for row in rows]),
                xy=np.stack([row[1] for row in rows]),
                error=np.stack([row[2] for row in rows]),
                common_error=common,
                drift_px_per_h=motion.drift_px_per_h,
            )
        )
        spreads.append(scatter.tolist())
    used = sum(m.usable for m in measurements)
    flags: list[Flag] = []
    second = [m for m in measurements if m.usable and m.check.get("kept") in ("second", "three")]
    if second:
        why = f"{len(second)} of {used} centres by another method: {second[0].check['why']}"
        flags.append(("CENTER_SECOND", why))
    if min(len(model.mjd) for model in models) < 2:
        flags.append(("CENTER_SINGLE", "all CENTER frames are of one epoch; no drift is measured"))
    quality = {
        "method": "waffle",
        "frames_used": used // channels,
        "frames_refused": [
            f"{m.archive_id} plane {m.plane} channel {m.channel}: {_why(m)}"
            for m in measurements
            if not m.usable
        ],
        "common_error_px": common,
        "scatter_px": spreads,
        "departure_px": _departure(measurements),
        "drift_px_per_h": [_drift(model) for model in models],
        "second_method": len(second),
        "methods_apart_px": _apart(measurements),
    }
    table = [row for m in measurements if (row := _row(m, common)) is not None]
    return CentreSolution(tuple(models), "waffle", tuple(flags), quality, table)


def _epochs(held: list[CentreMeasurement]) -> list[list[CentreMeasurement]]:
    epochs = [[held[0]]]
    for item in held[1:]:
        late = item.mjd - epochs[-1][-1].mjd > EPOCH_GAP_D
        if late or item.mjd - epochs[-1][0].mjd > LONGEST_EPOCH_D:
            epochs.append([])
        epochs[-1].append(item)
    return epochs


def _undithered(item: CentreMeasurement) -> Floats:
    assert item.spot is not None  # noqa: S101 usable measurements have one
    return np.asarray(item.spot.xy - np.array(item.dither_px))


def _scatter(epochs: list[list[CentreMeasurement]], jitter_px: float) -> Floats:
    """Scatter of single frames about the mean of their epoch, (x, y) [px].

    The errors of the fits and the expected motion weigh like two measured differences, so that
    a lucky pair of frames does not make the scatter vanish.
    """
    stated = [np.diag(item.spot.covariance) for e in epochs for item in e if item.spot is not None]
    squares = FREE_COORDINATES * (np.mean(stated, axis=0) + jitter_px**2)
    free = FREE_COORDINATES
    for epoch in epochs:
        points = np.stack([_undithered(item) for item in epoch])
        squares = squares + np.sum((points - points.mean(axis=0)) ** 2, axis=0)
        free += len(points) - 1
    return np.asarray(np.sqrt(squares / free))


def _average(epoch: list[CentreMeasurement], scatter: Floats) -> tuple[float, Floats, Floats]:
    points = np.stack([_undithered(item) for item in epoch])
    mjd = float(np.mean([item.mjd for item in epoch]))
    # A single frame also carries the scatter of its own jitter.
    return mjd, points.mean(axis=0), scatter * np.sqrt(1 + 1 / len(points))


def _why(item: CentreMeasurement) -> str:
    return "no spots found" if item.spot is None else "; ".join(item.spot.problems)


def _departure(measurements: Sequence[CentreMeasurement]) -> float | None:
    found = [np.mean(m.spot.departures**2) for m in measurements if m.spot is not None]
    return float(np.sqrt(np.mean(found))) if found else None


def _apart(measurements: Sequence[CentreMeasurement]) -> float | None:
    """Root mean square distance of the two methods [px]."""
    found = [m.check["apart_px"] for m in measurements if m.check.get("apart_px") is not None]
    return float(np.sqrt(np.mean(np.square(found)))) if found else None


def _drift(model: CentreModel) -> list[float] | None:
    hours = (model.mjd[-1] - model.mjd[0]) * 24
    if hours <= 0:
        return None
    return [float(step) for step in (model.xy[-1] - model.xy[0]) / hours]


def _row(item: CentreMeasurement, common: float) -> dict[str, Any] | None:
    if item.spot is None:
        return None
    error = np.sqrt(np.diag(item.spot.covariance) + common**2)
    return {
        "archive_id": item.archive_id,
        "plane": item.plane,
        "channel": item.channel,
        "mjd": item.mjd,
        "x_px": float(item.spot.xy[0]),
        "y_px": float(item.spot.xy[1]),
        "x_err_px": float(error[0]),
        "y_err_px": float(error[1]),
        "dither_x_px": item.dither_px[0],
        "dither_y_px": item.dither_px[1],
        "spot_peak_adu": item.spot.flux,
        "used": item.usable,
        **item.check,
    }
