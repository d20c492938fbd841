"""Companions pushed through a reduction: what of their light arrives in an aperture.

One companion at a time is added to the frames. Of a method with coefficients only the zones
are solved again on which its aperture stands, from the Gram matrix that the companion changes;
so what arrives is exact to all orders. With the coefficients kept (frozen), or with their change
to first order, it costs less and says less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.aperture import disc_overlap
from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.sample import sample_held, sampled_pixels
from spheredc_hpc.level2.engine import Reduction
from spheredc_hpc.level2.solve import Block
from spheredc_hpc.level2.tracks import Companion, pieces_of, spread, touched

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
        self._base = reduction.base.columns(self._index)
        self._reach(dx_px, dy_px)
        self._changes: dict[int, list[tuple[Floats, Floats]] | None] = {}
        self._before: Floats | None = None

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
        self._near = np.zeros((pushing.targets.size, self._index.size), np.float32)
        at = self._reached_place[self._index]
        self._near[:, at >= 0] = self._added[:, at[at >= 0]]

    def flux(self, contrast: float, way: Way = "resolved") -> Floats:
        """Aperture flux that the companion adds to the images.

        Parameters
        ----------
        contrast : float
            By which its spectrum is multiplied.
        way : {"resolved", "first-order", "frozen"}
            What becomes of the coefficients: solved again, changed to first order in the
            contrast, or kept. Methods without coefficients are run again.

        Returns
        -------
        array of float64, shape (n_channel,)
            NaN where no frame sees a pixel of the aperture.
        """
        if self.pushing.reduction.linear:
            values = self._change_of_residuals(contrast, way)
        else:
            values = self._run(contrast) - self._run(0.0)
        change = self._sampled(values)
        return np.asarray(np.sum(self._combined(change) * self._aperture.weights, axis=1))

    # ---------------------------------------------------------------- residuals

    def _change_of_residuals(self, contrast: float, way: Way) -> Frames:
        pushing = self.pushing
        out = np.zeros((pushing.targets.size, self._index.size), np.float32)
        step = _SMALL * contrast if way == "first-order" else contrast
        for zone, inside in self._zones.items():
            old = pushing.solved(zone)
            kept = way == "frozen" or zone not in self._solved_again
            new = old if kept else self._solved(zone, step, second=way == "resolved")
            base, near = self._base[:, inside], self._near[:, inside]
            for before, after in zip(old, new, strict=True):
                lines = pushing.line[before.targets]
                change = (after.matrix[0] - before.matrix[0]) * (contrast / step)
                through = after.matrix[0] if way == "resolved" else before.matrix[0]
                values = _times(change[:, :-1], base, before.rows)
                values += change[:, -1:].astype(np.float32)
                own = pushing.line[before.rows[:-1]]
                seen = own >= 0
                values += _times(contrast * through[:, :-2][:, seen], near, own[seen])
                out[np.ix_(lines, inside)] = values
        return out

    def _solved(self, zone: int, contrast: float, *, second: bool) -> tuple[Block, ...]:
        """Solve a zone with the companion in it; its square left out unless `second`."""
        if zone not in self._changes:
            self._changes[zone] = self._change_of_sums(zone)
        changes = self._changes[zone]
        if changes is None:
            return self.pushing.solved(zone)
        total = [contrast * (one + (contrast * two if second else 0.0)) for one, two in changes]
        return self.pushing.reduction.operator(zone, total)

    def _change_of_sums(self, zone: int) -> list[tuple[Floats, Floats]] | None:
        """Terms of first and second order in the sums of a zone; None if it is not reached."""
        reduction, line = self.pushing.reduction, self.pushing.line
        optimisation = reduction.zones[zone].optimisation
        at = self._reached_place[optimisation]
        pixels = optimisation[at >= 0]
        if not pixels.size:
            return None
        base, added = reduction.base.columns(pixels), self._added[:, at[at >= 0]]
        found = []
        for group in reduction.summed(zone):
            own = np.flatnonzero(line[group] >= 0)
            light = added if own.size == added.shape[0] else added[line[group[own]]]
            one, two = (np.zeros((group.size + 2, group.size + 2)) for _ in range(2))
            one[own, :-1] = light @ reduction.picked(base, group).T
            one[own, -1] = light.sum(axis=1, dtype=np.float64)
            two[np.ix_(own, own)] = light @ light.T
            found.append((one + one.T, two))
        return found

    def _run(self, contrast: float) -> Frames:
        """Residuals at the pixels held, of a method that treats every pixel by itself."""
        reduction, targets = self.pushing.reduction, self.pushing.targets
        base = self._base.copy()
        base[targets] += np.float32(contrast) * self._near
        out = np.zeros_like(base)
        for zone, inside in self._zones.items():
            out[:, inside] = reduction.run_on(np.ascontiguousarray(base[:, inside]), zone)
        return out[targets]

    # ---------------------------------------------------------------- images

    def _sampled(self, residuals: Frames) -> Floats:
        """Values of turned residuals at the points, in the unit of the images."""
        values = sample_held(residuals, self._place, self._xs, self._ys)
        return np.asarray(values * self.pushing.factor)

    def _combined(self, change: Floats) -> Floats:
        """Change of the images at the points, from that of the samples of the residuals."""
        combination = self.pushing.reduction.method.combination
        if combination in ("mean", "weighted"):
            return self._averaged(change)
        if self._before is None:
            self._before = self._sampled(self._residuals())
        before = self._before
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

    def _residuals(self) -> Frames:
        """Residuals of the unchanged frames at the pixels held."""
        pushing = self.pushing
        if not pushing.reduction.linear:
            return self._run(0.0)
        out = np.zeros((pushing.targets.size, self._index.size), np.float32)
        for zone, inside in self._zones.items():
            for block in pushing.solved(zone):
                matrix = block.matrix[0]
                values = _times(matrix[:, :-1], self._base[:, inside], block.rows)
                values += matrix[:, -1:].astype(np.float32)
                out[np.ix_(pushing.line[block.targets], inside)] = values
        return out


def _placed(index: Indices, side: int) -> Indices:
    place = np.full(side * side, -1)
    place[index] = np.arange(index.size)
    return place


def _times(matrix: Floats, columns: Frames, rows: Sequence[int] | Indices) -> Frames:
    """Product with some rows, in the precision of the pixels."""
    picked = columns if len(rows) == columns.shape[0] else columns[rows]
    return np.asarray(matrix.astype(np.float32) @ picked)
