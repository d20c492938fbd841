"""Companions pushed through a reduction: what of their light arrives in an aperture.

One companion at a time is added to the frames. Of a method with coefficients only the zones
are solved again on which its aperture stands, from the Gram matrix that the companion changes;
so what arrives is exact to all orders. With the coefficients kept (frozen), or with their change
to first order, it costs less and says less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from spheredc_hpc.kernels.aperture import disc_overlap
from spheredc_hpc.kernels.arrays import as_numpy, joined
from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.sample import sample_held, sampled_pixels
from spheredc_hpc.level2.engine import Reduction
from spheredc_hpc.level2.solve import Block
from spheredc_hpc.level2.tracks import Companion, pieces_of, spread, touched

Array = Any
Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]
Way = Literal["resolved", "first-order", "frozen"]

# Share of the contrast asked for at which the change of coefficients is differentiated.
_SMALL = 1e-3


class Pushing:
    """What all companions pushed through one reduction have in common.

    Parameters
    ----------
    reduction : Reduction
        A method with coefficients, or one that treats every pixel by itself.
    spectrum : array of float64, shape (n_channel,)
        Contrast of the companions in each channel, in units of the contrast given later.
    """

    def __init__(self, reduction: Reduction, spectrum: Floats) -> None:
        self.reduction = reduction
        self.spectrum = spectrum
        rows = reduction.rows
        self.targets = rows.table.targets
        self.line = np.full(rows.frames.shape[0], -1)
        self.line[self.targets] = np.arange(self.targets.size)
        self.zone_of = np.full(rows.side**2, -1)
        for number, zone in enumerate(reduction.zones):
            self.zone_of[zone.subtraction] = number
        self.widths_px = np.array(
            [c.star.fwhm_px * rows.image_pixels(k) for k, c in enumerate(rows.channels)]
        )
        self.channel = rows.table.channel[self.targets]
        self.factor = rows.factor[self.targets, None]
        turn, zoom = np.deg2rad(rows.table.rotation.middle_deg[self.targets]), rows.zoom
        self._cosine = zoom[self.targets, None] * np.cos(turn)[:, None]
        self._sine = zoom[self.targets, None] * np.sin(turn)[:, None]
        self.weights = np.ones(self.targets.size)
        if reduction.method.combination == "weighted":
            self.weights = reduction.imaging.weights(self.targets)
        self._solved: dict[int, tuple[Block, ...]] = {}

    def solved(self, zone: int) -> tuple[Block, ...]:
        """Operator of a zone for the unchanged frames, float64; kept."""
        if zone not in self._solved:
            self._solved[zone] = self.reduction.operator(zone)
        return self._solved[zone]

    def prepare(self) -> None:
        """Solve every zone, with all threads."""
        if self.reduction.linear:
            zones = range(len(self.reduction.zones))
            # Not through the pool for one: the work of a single zone is shared out inside.
            solve = map_ordered if len(zones) > 1 else map
            list(solve(self.solved, zones))
        if not self.averages:
            _ = self.turned

    @property
    def averages(self) -> bool:
        """Whether images are means of the turned frames, so that changes add up."""
        return self.reduction.method.combination in ("mean", "weighted")

    @cached_property
    def turned(self) -> Frames:
        """Turned residuals of the unchanged frames, (n_target, side, side): what is sorted."""
        return as_numpy(self.reduction.derotated())

    def positions(self, dx_px: Floats, dy_px: Floats) -> tuple[Floats, Floats]:
        """Where points of the images stand on the rows of the targets, from the star [px]."""
        return (
            self._cosine * dx_px + self._sine * dy_px,
            self._cosine * dy_px - self._sine * dx_px,
        )

    def seen(self, xs: Floats, ys: Floats) -> NDArray[np.bool_]:
        """Whether the pixel nearest to a position has a residual on the row of each target."""
        seen = self.reduction.imaging.seen.reshape(self.spectrum.size, -1)
        at = self._nearest(xs, ys)
        return np.asarray((at >= 0) & seen[self.channel[:, None], np.maximum(at, 0)])

    def standing_on(self, xs: Floats, ys: Floats) -> Indices:
        """Zones of the pixels nearest to positions on any row."""
        at = self._nearest(xs, ys)
        zones = np.unique(self.zone_of[at[at >= 0]])
        return zones[zones >= 0]

    def _nearest(self, xs: Floats, ys: Floats) -> Indices:
        """Flat index of the pixel nearest to each position, -1 outside of the frame."""
        side = self.reduction.rows.side
        ix, iy = np.rint(xs).astype(int), np.rint(ys).astype(int)
        inside = (ix >= 0) & (iy >= 0) & (ix < side) & (iy < side)
        return np.where(inside, iy * side + ix, -1)


class _Aperture(NamedTuple):
    """Pixels of the images in an aperture of one FWHM, and their weights in each channel."""

    x: Floats
    y: Floats
    weights: Floats

    @classmethod
    def at(cls, pushing: Pushing, dx_px: float, dy_px: float) -> _Aperture:
        """Aperture about an offset [image px]."""
        radii = pushing.widths_px / 2
        reach = int(np.ceil(radii.max() + 0.5))
        y, x = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
        x, y = x + np.rint(dx_px), y + np.rint(dy_px)
        weights = np.stack([disc_overlap(x - dx_px, y - dy_px, float(r)) for r in radii])
        used = np.any(weights > 0, axis=0)
        return cls(x[used], y[used], weights[:, used])


class Pushed:
    """One companion on its way.

    Parameters
    ----------
    pushing : Pushing
        Where to.
    dx_px, dy_px : float
        Offset from the star on the final images [image px].
    """

    def __init__(self, pushing: Pushing, dx_px: float, dy_px: float) -> None:
        self.pushing = pushing
        reduction = pushing.reduction
        side, place = reduction.rows.side, reduction.base.place
        self._aperture = _Aperture.at(pushing, dx_px, dy_px)
        xs, ys = pushing.positions(self._aperture.x, self._aperture.y)
        self._xs, self._ys = xs + side // 2, ys + side // 2
        self._valid = pushing.seen(self._xs, self._ys)
        needed = sampled_pixels(self._xs, self._ys, side)
        self._index = needed[place[needed] >= 0]
        self._place = _placed(self._index, side)
        own = pushing.zone_of[self._index]
        self._zones = {int(zone): np.flatnonzero(own == zone) for zone in np.unique(own)}
        self._solved_again = set(pushing.standing_on(self._xs, self._ys).tolist())
        self._reach(dx_px, dy_px)
        self._changes: dict[int, list[tuple[Array, Array]] | None] = {}

    def _reach(self, dx_px: float, dy_px: float) -> None:
        """Make what the companion adds to the targets, per contrast, where it reaches."""
        pushing = self.pushing
        rows, groups = pushing.reduction.rows, pushing.reduction.groups
        found = pieces_of(rows, groups, [Companion(dx_px, dy_px, pushing.spectrum)])
        pieces = [piece._replace(rows=pushing.line[piece.rows]) for piece in found]
        reached = touched(pieces, rows.side)
        self._reached = reached[pushing.reduction.base.place[reached] >= 0]
        self._reached_place = _placed(self._reached, rows.side)
        self._added = np.zeros((pushing.targets.size, self._reached.size), np.float32)
        spread(self._added, self._reached_place, pieces)
        near = np.zeros((pushing.targets.size, self._index.size), np.float32)
        at = self._reached_place[self._index]
        near[:, at >= 0] = self._added[:, at[at >= 0]]
        self._added_near = near

    @cached_property
    def _base(self) -> Array:
        """Pixels held of all rows; on the CPU where the algorithm is run again."""
        columns = self.pushing.reduction.base.columns(self._index)
        return columns if self.pushing.reduction.linear else as_numpy(columns)

    @cached_property
    def _near(self) -> Array:
        """What the companion adds to these pixels, in the library of the base."""
        return array_namespace(self._base).asarray(self._added_near)

    def flux(
        self,
        contrast: float,
        way: Way = "resolved",
        solved: Mapping[int, tuple[Block, ...]] | None = None,
    ) -> Floats:
        """Aperture flux that the companion adds to the images.

        Parameters
        ----------
        contrast : float
            By which its spectrum is multiplied.
        way : {"resolved", "first-order", "frozen"}
            What becomes of the coefficients: solved again, changed to first order in the
            contrast, or kept. Methods without coefficients are run again.
        solved : mapping, optional
            Operators of zones in which the companion is, if somebody has solved them already
            from the totals of `change`.

        Returns
        -------
        array of float64, shape (n_channel,)
            NaN where no frame sees a pixel of the aperture.
        """
        if self.pushing.reduction.linear:
            values = self._change_of_residuals(contrast, way, solved or {})
        else:
            values = self._run(contrast) - self._run(0.0)
        change = self._sampled(values)
        return np.asarray(np.sum(self._combined(change) * self._aperture.weights, axis=1))

    # ---------------------------------------------------------------- residuals

    def _change_of_residuals(
        self, contrast: float, way: Way, solved: Mapping[int, tuple[Block, ...]]
    ) -> Array:
        pushing, xp = self.pushing, array_namespace(self._base)
        parts = []
        step = step_of(contrast, way)
        for zone, inside in self._zones.items():
            old = pushing.solved(zone)
            new = solved[zone] if zone in solved else self._solved(zone, contrast, way)
            at = xp.asarray(inside)
            base, near = xp.take(self._base, at, axis=1), xp.take(self._near, at, axis=1)
            for before, after in zip(old, new, strict=True):
                first, last = before.matrix[0, ...], after.matrix[0, ...]
                change = (last - first) * (contrast / step)
                through = last if way == "resolved" else first
                values = _times(change[:, :-1], base, before.rows)
                values = values + xp.astype(change[:, -1:], xp.float32)
                own = pushing.line[before.rows[:-1]]
                seen = np.flatnonzero(own >= 0)
                light = xp.take(through[:, :-2], xp.asarray(seen), axis=1)
                values = values + _times(contrast * light, near, own[seen])
                parts.append((pushing.line[before.targets], inside, values))
        return joined(parts, (pushing.targets.size, self._index.size), self._base)

    def _solved(self, zone: int, contrast: float, way: Way) -> tuple[Block, ...]:
        """Solve a zone with the companion in it, if it is to be solved again."""
        total = self.change(zone, contrast, way)
        if total is None:
            return self.pushing.solved(zone)
        return self.pushing.reduction.operator(zone, total)

    @property
    def zones(self) -> tuple[int, ...]:
        """Zones in which samples are taken."""
        return tuple(self._zones)

    def change(self, zone: int, contrast: float, way: Way) -> list[Array] | None:
        """Change of the sums of a zone with which it is to be solved; None if it is not."""
        if way == "frozen" or zone not in self._solved_again:
            return None
        if zone not in self._changes:
            self._changes[zone] = self._change_of_sums(zone)
        changes, step = self._changes[zone], step_of(contrast, way)
        if changes is None:
            return None
        square = step**2 if way == "resolved" else 0.0
        return [step * one + square * two for one, two in changes]

    def _change_of_sums(self, zone: int) -> list[tuple[Array, Array]] | None:
        """Terms of first and second order in the sums of a zone; None if it is not reached."""
        reduction, line = self.pushing.reduction, self.pushing.line
        optimisation = reduction.zones[zone].optimisation
        at = self._reached_place[optimisation]
        pixels = optimisation[at >= 0]
        if not pixels.size:
            return None
        base, added = reduction.base.columns(pixels), self._added[:, at[at >= 0]]
        xp = array_namespace(base)
        found = []
        for group in reduction.summed(zone):
            own = np.flatnonzero(line[group] >= 0)
            light = xp.asarray(np.ascontiguousarray(added[line[group[own]]]))
            crossed = light @ xp.matrix_transpose(reduction.picked(base, group))
            summed = xp.sum(light, axis=1, keepdims=True, dtype=xp.float64)
            one = xp.concat([xp.astype(crossed, xp.float64), summed], axis=1)
            two = xp.astype(light @ xp.matrix_transpose(light), xp.float64)
            # Rows of the library, the mean row and ones get no light.
            place = np.full(group.size + 2, own.size)
            place[own] = np.arange(own.size)
            one = _spread_rows(one, place)
            two = _spread_rows(xp.matrix_transpose(_spread_rows(two, place)), place)
            found.append((one + xp.matrix_transpose(one), two))
        return found

    def _run(self, contrast: float) -> Frames:
        """Residuals at the pixels held, of a method that treats every pixel by itself."""
        reduction, targets = self.pushing.reduction, self.pushing.targets
        base = self._base.copy()
        base[targets] += np.float32(contrast) * self._near
        out = np.zeros_like(base)
        for zone, inside in self._zones.items():
            out[:, inside] = reduction.run_on(np.ascontiguousarray(base[:, inside]), zone)
        return np.asarray(out[targets])

    # ---------------------------------------------------------------- images

    def _sampled(self, residuals: Array) -> Floats:
        """Values of turned residuals at the points, in the unit of the images."""
        values = as_numpy(sample_held(residuals, self._place, self._xs, self._ys))
        return np.asarray(values * self.pushing.factor)

    def _combined(self, change: Floats) -> Floats:
        """Change of the images at the points, from that of the samples of the residuals."""
        if self.pushing.averages:
            return self._averaged(change)
        # The values that noise has put in order are those of the images themselves.
        side = self.pushing.turned.shape[-1]
        # Beyond the edge, where apertures of wide channels may reach, no value will count.
        x, y = (
            np.clip(np.rint(part).astype(int) + side // 2, 0, side - 1)
            for part in self._aperture[:2]
        )
        before = self.pushing.turned[:, y, x].astype(np.float64)
        combination = self.pushing.reduction.method.combination
        images = np.full((self.pushing.spectrum.size, change.shape[1]), np.nan)
        for k in range(images.shape[0]):
            own = self.pushing.channel == k
            if own.any():
                valid = self._valid[own][:, None]
                after, old = (
                    combine_frames(part[own][:, None], combination, valid=valid)[0]
                    for part in (before + change, before)
                )
                images[k] = after.astype(np.float64) - old
        return images

    def _averaged(self, change: Floats) -> Floats:
        weights = np.where(self._valid, self.pushing.weights[:, None], 0.0)
        images = np.full((self.pushing.spectrum.size, change.shape[1]), np.nan)
        for k in range(images.shape[0]):
            own = self.pushing.channel == k
            total = weights[own].sum(axis=0)
            summed = (weights[own] * change[own]).sum(axis=0)
            np.divide(summed, total, out=images[k], where=total > 0)
        return images


def _placed(index: Indices, side: int) -> Indices:
    place = np.full(side * side, -1)
    place[index] = np.arange(index.size)
    return place


def _spread_rows(matrix: Array, place: Indices) -> Array:
    """Take rows of a matrix; the one behind its last is zero."""
    xp = array_namespace(matrix)
    nothing = xp.zeros((1, matrix.shape[1]), dtype=matrix.dtype)
    return xp.take(xp.concat([matrix, nothing]), xp.asarray(place), axis=0)


def step_of(contrast: float, way: Way) -> float:
    """Contrast at which zones are solved again."""
    return _SMALL * contrast if way == "first-order" else contrast


def _times(matrix: Array, columns: Array, rows: Sequence[int] | Indices) -> Array:
    """Product with some rows, in the precision of the pixels."""
    xp = array_namespace(columns)
    whole = len(rows) == columns.shape[0]
    picked = columns if whole else xp.take(columns, xp.asarray(rows), axis=0)
    return xp.astype(matrix, xp.float32) @ picked
