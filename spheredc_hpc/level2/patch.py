"""A few pixels of the final image, reduced again exactly for changed frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.sample import sample_held, sampled_pixels
from spheredc_hpc.level2.engine import Companion, Reduction
from spheredc_hpc.level2.solve import Block
from spheredc_hpc.level2.tracks import Pieces, pieces_of, spread, touched

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Held = dict[int, tuple[Block, ...]]


class Patch:
    """A few pixels of the final images, re-reduced exactly for changed frames, on the CPU.

    Parameters
    ----------
    reduction : Reduction
        The rows and the method.
    dx_px, dy_px : array of float64, shape (n_point,)
        Pixels wanted, as offsets from the star on the final images [image px].
    """

    def __init__(self, reduction: Reduction, dx_px: Floats, dy_px: Floats) -> None:
        self.reduction = reduction
        rows = reduction.rows
        self._targets = rows.table.targets
        xs = np.empty((self._targets.size, len(dx_px)))
        ys = np.empty_like(xs)
        self._valid = np.ones(xs.shape, bool)
        imaging = reduction.imaging
        x, y = np.asarray(dx_px), np.asarray(dy_px)
        for i, target in enumerate(self._targets):
            xs[i], ys[i] = imaging.from_image(x, y, int(target))
            self._valid[i] = imaging.seen_at(x, y, int(target))
        half = rows.side // 2
        self._xs, self._ys = xs + half, ys + half
        self._channels = imaging.by_channel(self._targets)
        needed = np.unique(np.concatenate([self._needed(k) for k in range(len(rows.channels))]))
        self._index = needed[reduction.base.place[needed] >= 0]
        self._base = as_numpy(reduction.base.columns(self._index))
        zone_of = np.full(rows.side**2, -1)
        for number, zone in enumerate(reduction.zones):
            zone_of[zone.subtraction] = number
        own = zone_of[self._index]
        self._zones = {int(number): np.flatnonzero(own == number) for number in np.unique(own)}
        self._place = np.full(rows.side**2, -1)
        self._place[self._index] = np.arange(self._index.size)
        self._last: tuple[tuple[object, ...], Held] | None = None

    def _filled(self, channel: int) -> Indices:
        """Pixel whose residual stands for each pixel of a channel."""
        imaging, side = self.reduction.imaging, self.reduction.rows.side
        nearest = None if imaging.by_ramps else imaging.nearest[channel]
        return np.arange(side * side) if nearest is None else nearest.ravel()

    def _needed(self, channel: int) -> Indices:
        """Pixels that the samples of a channel need."""
        at = np.searchsorted(self._targets, self._channels[channel])
        found = sampled_pixels(self._xs[at], self._ys[at], self.reduction.rows.side)
        return self._filled(channel)[found]

    def evaluate(self, companions: Iterable[Companion] = (), *, frozen: bool = False) -> Floats:
        """Values of the final images with companions added.

        Parameters
        ----------
        companions : iterable of Companion
            Added to the frames.
        frozen : bool
            Keep the coefficients of the unchanged frames. Without effect on methods that
            have none.

        Returns
        -------
        array of float64, shape (n_channel, n_point)
            NaN where no frame sees a point.
        """
        reduction, companions = self.reduction, tuple(companions)
        pieces = pieces_of(reduction.rows, reduction.groups, companions)
        if not reduction.linear:
            return self._combined(self._other(pieces))
        held = self.held(() if frozen else companions)
        return self._combined(self._linear(pieces, held))

    @property
    def adds(self) -> bool:
        """Whether images are sums over frames and over companions, coefficients kept."""
        reduction = self.reduction
        return reduction.linear and reduction.method.combination in ("mean", "weighted")

    def held(self, companions: Iterable[Companion] = ()) -> Held:
        """Coefficients for frames with companions added, to be kept from then on.

        Those of the last call are remembered.
        """
        reduction, listed = self.reduction, tuple(companions)
        key = tuple((c.dx_px, c.dy_px, np.asarray(c.contrast).tobytes()) for c in listed)
        if self._last is None or self._last[0] != key:
            solved = self._solve(pieces_of(reduction.rows, reduction.groups, listed))
            self._last = (key, solved)
        return self._last[1]

    def through(self, held: Held, companions: Iterable[Companion]) -> Floats:
        """Change of the images by companions, coefficients kept.

        Parameters
        ----------
        held : dict
            Coefficients, from `held`.
        companions : iterable of Companion
            What is added.

        Returns
        -------
        array of float64, shape (n_channel, n_point)

        Raises
        ------
        DataError
            If the images do not add, see `adds`.
        """
        reduction = self.reduction
        pieces = pieces_of(reduction.rows, reduction.groups, companions)
        return self._carried(held, np.arange(reduction.rows.frames.shape[0]), pieces)

    def responses(self, held: Held, dx_px: float, dy_px: float) -> Floats:
        """Change of the images by a companion that shines in one channel, coefficients kept.

        Parameters
        ----------
        held : dict
            Coefficients, from `held`.
        dx_px, dy_px : float
            Offset of the companion on the final images [image px].

        Returns
        -------
        array of float64, shape (n_channel, n_channel, n_point)
            Per contrast; the first index is the channel in which it shines.

        Raises
        ------
        DataError
            If the images do not add, see `adds`.
        """
        rows = self.reduction.rows
        count = len(rows.channels)
        result = np.zeros((count, count, self._xs.shape[1]))
        for group in self.reduction.groups:
            pieces = pieces_of(rows, [group], [Companion(dx_px, dy_px, 1.0)])
            result[group.channel] += self._carried(held, group.rows, pieces)
        return result

    def _carried(self, held: Held, lit: Indices, pieces: Sequence[Pieces]) -> Floats:
        """Change of the images by what is added to some rows."""
        if not self.adds:
            raise DataError("images of this method and combination do not add")
        rows = self.reduction.rows
        local = np.full(rows.frames.shape[0], -1)
        local[lit] = np.arange(lit.size)
        added = np.zeros((lit.size, self._index.size), np.float32)
        spread(added, self._place, [p._replace(rows=local[p.rows]) for p in pieces])
        out = np.zeros((self._targets.size, self._index.size), np.float32)
        line = np.full(local.size, -1)
        line[self._targets] = np.arange(self._targets.size)
        for number, inside in self._zones.items():
            part = np.ascontiguousarray(added[:, inside])
            for block in held[number]:
                own = local[block.rows[:-1]]
                used = np.flatnonzero(own >= 0)
                if used.size:
                    matrix = as_numpy(block.matrix)[0][:, used].astype(np.float32, copy=False)
                    out[np.ix_(line[block.targets], inside)] = matrix @ part[own[used]]
        return np.nan_to_num(self._combined(out))

    # ---------------------------------------------------------------- linear methods

    def _solve(self, pieces: Sequence[Pieces]) -> Held:
        """Coefficients of the zones of the pixels held, for frames with something added."""
        reduction = self.reduction
        change = _Change(reduction, pieces) if pieces else None

        def solve(number: int) -> tuple[Block, ...]:
            extra = None if change is None else change.of_gram(number)
            return reduction.solved(number) if extra is None else reduction.operator(number, extra)

        numbers = list(self._zones)
        # Not through the pool if single: the work of one zone is shared out inside.
        found = [solve(numbers[0])] if len(numbers) == 1 else map_ordered(solve, numbers)
        return dict(zip(numbers, found, strict=True))

    def _linear(self, pieces: Sequence[Pieces], held: Held) -> Frames:
        """Residuals of all targets at the pixels held."""
        reduction = self.reduction
        line = np.full(reduction.rows.frames.shape[0], -1)
        line[self._targets] = np.arange(self._targets.size)
        base = self._base
        if pieces:
            base = base.copy()
            spread(base, self._place, pieces)
        out = np.zeros((self._targets.size, self._index.size), np.float32)
        for number, blocks in held.items():
            inside = self._zones[number]
            columns = np.ascontiguousarray(base[:, inside])
            for block in blocks:
                matrix = as_numpy(block.matrix)[0].astype(np.float32, copy=False)
                values = matrix[:, :-1] @ reduction.picked(columns, block.rows[:-1])
                out[np.ix_(line[block.targets], inside)] = values + matrix[:, -1:]
        return out

    # ---------------------------------------------------------------- other methods

    def _other(self, pieces: Sequence[Pieces]) -> Frames:
        """Residuals of methods without coefficients: by pixel, by frame or by zone."""
        reduction = self.reduction
        if reduction.traits.pixelwise:
            out = np.zeros_like(self._base)
            base = self._base.copy()
            spread(base, self._place, pieces)
            for number, inside in self._zones.items():
                out[:, inside] = reduction.run_on(np.ascontiguousarray(base[:, inside]), number)
            return np.asarray(out[self._targets])
        values = np.array(as_numpy(reduction.base.values))
        spread(values, reduction.base.place, pieces)
        place = reduction.base.place
        if reduction.traits.framewise:
            return np.asarray(reduction.run_on(values)[np.ix_(self._targets, place[self._index])])
        out = np.zeros_like(self._base)
        for number, inside in self._zones.items():
            zone = reduction.zones[number].subtraction
            found = reduction.run_on(np.ascontiguousarray(values[:, place[zone]]), number)
            out[:, inside] = found[:, np.searchsorted(zone, self._index[inside])]
        return np.asarray(out[self._targets])

    # ---------------------------------------------------------------- combination

    def _combined(self, residuals: Frames) -> Floats:
        """Sample residuals and combine them over time, shape (n_channel, n_point)."""
        rows, imaging = self.reduction.rows, self.reduction.imaging
        images = np.full((len(rows.channels), self._xs.shape[1]), np.nan)
        for k, own in enumerate(self._channels):
            if not own.size:
                continue
            at = np.searchsorted(self._targets, own)
            held = self._place[self._filled(k)]
            samples = sample_held(residuals[at], held, self._xs[at], self._ys[at])
            images[k] = combine_frames(
                (samples * rows.factor[own, None])[:, None],
                self.reduction.method.combination,
                valid=self._valid[at][:, None],
                weights=imaging.weights(own)[:, None, None],
            )[0]
        return images


class _Change:
    """What companions change in the Gram matrices of zones."""

    def __init__(self, reduction: Reduction, pieces: Sequence[Pieces]) -> None:
        self.reduction = reduction
        side, base = reduction.rows.side, reduction.base
        reached = touched(pieces, side)
        self.index = reached[base.place[reached] >= 0]
        place = np.full(side * side, -1)
        place[self.index] = np.arange(self.index.size)
        self.place = place
        self.change = np.zeros((base.n_row - 1, self.index.size), np.float32)
        spread(self.change, place, pieces)
        self.base = as_numpy(base.columns(self.index))

    def of_gram(self, zone: int) -> list[Floats] | None:
        """Change of each of the sums of a zone; None if companions do not reach it."""
        at = self.place[self.reduction.zones[zone].optimisation]
        at = at[at >= 0]
        if not at.size:
            return None
        change = self.change[:, at].astype(np.float64)
        base = self.base[:, at].astype(np.float64)
        found = []
        for group in self.reduction.summed(zone):
            added = change[group]
            old = base[self.reduction.with_mean(group)]
            # (B + D) (B + D)^T - B B^T, ones included: D B^T, its transpose and D D^T.
            total = np.zeros((group.size + 2, group.size + 2))
            total[: group.size, :-1] = added @ old.T
            total[: group.size, -1] = added.sum(axis=1)
            total += total.T
            total[: group.size, : group.size] += added @ added.T
            found.append(total)
        return found
