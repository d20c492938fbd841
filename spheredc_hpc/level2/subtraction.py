"""Subtraction of the star from rows, zone by zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.modes import put_columns
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.level2.base import BLOCK_PIXELS
from spheredc_hpc.level2.solve import restricted
from spheredc_hpc.level2.zonal import Zonal
from spheredc_hpc.level2.zones import BLOCK_FRAMES

Array = Any
Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]

# Targets of one batch, at least, and batches, at most: fixed, so that sums do not depend on
# threads or memory.
_LEAST_BATCH = 32
_MOST_BATCHES = 8


class Subtraction(Zonal):
    """Rows from which one method takes the star; see `Zonal` for the parameters."""

    # ---------------------------------------------------------------- residuals

    def residuals(self, count: int = 0) -> Array:
        """Make the residuals of all targets on the grid of the rows.

        Parameters
        ----------
        count : int
            Which of `counts`.

        Returns
        -------
        array of float32, shape (n_target, side, side)
            Not derotated; zero where a target takes no part.
        """
        targets, side = self.rows.table.targets, self.rows.side
        if self.linear:
            return self._by_coefficients(count)
        flat = buffers.zeros((targets.size, side * side))
        for own, pixels, values in self._frames() if self.traits.framewise else self._zones():
            put_columns(flat, pixels, values, np.searchsorted(targets, own))
            self.base.release()
            buffers.release(flat)
        return flat.reshape(-1, side, side)

    def _by_coefficients(self, count: int) -> Array:
        targets, side = self.rows.table.targets, self.rows.side
        self.solve_all()
        if not is_numpy_array(self.base.values):
            return self.some_residuals(targets, count)
        flat = buffers.zeros((targets.size, side * side))
        # As many targets at a time as where memory is short: products of other shapes would
        # differ by their rounding.
        for batch in self.batches():
            self._fill(flat, self._lines(batch, np.searchsorted(targets, batch)), count)
        return flat.reshape(-1, side, side)

    def some_residuals(self, targets: Indices, count: int = 0) -> Array:
        """Make the residuals of some targets of a method with coefficients, in their order."""
        side, line = self.rows.side, self._lines(targets, np.arange(targets.size))
        if not is_numpy_array(self.base.values):
            return self._gathered(line, targets.size, count)
        flat = buffers.zeros((targets.size, side * side))
        self._fill(flat, line, count)
        return flat.reshape(-1, side, side)

    def _lines(self, targets: Indices, lines: Indices) -> Indices:
        """Line of each row in a result, -1 for those that have none."""
        found = np.full(self.rows.frames.shape[0], -1)
        found[targets] = lines
        return found

    def _fill(self, flat: Frames, line: Indices, count: int) -> None:
        """Write the residuals of those targets that have a line."""

        def fill(task: tuple[int, slice]) -> None:
            number, piece = task
            pixels = self.pixels[number][piece]
            for lines, values in self._values(number, pixels, line, count):
                put_columns(flat, pixels, values, lines)
            self.base.release()
            buffers.release(flat)

        pieces = [
            (number, piece)
            for number, pixels in enumerate(self.pixels)
            for piece in blocks(pixels.size, BLOCK_PIXELS)
        ]
        map_ordered(fill, pieces)

    def _gathered(self, line: Indices, size: int, count: int) -> Array:
        """Residuals of those targets that have a line, on other array libraries."""
        xp, side = array_namespace(self.base.values), self.rows.side
        zones = []
        for number, pixels in enumerate(self.pixels):
            found = list(self._values(number, pixels, line, count))
            nothing = xp.zeros((1, pixels.size), dtype=xp.float32)
            stack = xp.concat([*(values for _, values in found), nothing])
            at = np.full(size, stack.shape[0] - 1)
            lines = np.concatenate([np.zeros(0, np.int64), *(lines for lines, _ in found)])
            at[lines] = np.arange(lines.size)
            zones.append(xp.take(stack, xp.asarray(at), axis=0))
        flat = xp.concat([*zones, xp.zeros((size, 1), dtype=xp.float32)], axis=1)
        place = np.where(self.base.place >= 0, self.base.place, self.base.order.size)
        return xp.reshape(xp.take(flat, xp.asarray(place), axis=1), (size, side, side))

    def _values(
        self, number: int, pixels: Indices, line: Indices, count: int
    ) -> Iterator[tuple[Indices, Array]]:
        """Residuals at pixels of a zone of those targets that have a line, block by block."""
        columns = self.base.columns(pixels)
        for block in self.solved(number):
            wanted = np.flatnonzero(line[block.targets] >= 0)
            if not wanted.size:
                continue
            matrix = block.matrix[count, ...]
            if wanted.size < block.targets.size:
                xp = array_namespace(matrix)
                matrix = xp.take(matrix, xp.asarray(wanted), axis=0)
            values = matrix[:, :-1] @ self.picked(columns, block.rows[:-1])
            values += matrix[:, -1:]
            yield line[block.targets[wanted]], values

    def batches(self) -> list[Indices]:
        """Pieces in which targets are made and turned, those of one clique beside each other."""
        groups = self.rows.groups if self.rows.then is None else self.rows.then
        table = self.rows.table
        order = np.concatenate([group[table.time[group] >= 0] for group in groups])
        size = max(_LEAST_BATCH, -(-order.size // _MOST_BATCHES))
        return [order[piece] for piece in blocks(order.size, size)]

    # ---------------------------------------------------------------- methods without coefficients

    def _zones(self) -> Iterator[tuple[Indices, Indices, Frames]]:
        """Targets, pixels and residuals, zone by zone; some pixels at a time where that may be."""
        targets = self.rows.table.targets
        for number, zone in enumerate(self.zones):
            size = zone.subtraction.size
            for piece in blocks(size, BLOCK_PIXELS if self.traits.pixelwise else size):
                pixels = zone.subtraction[piece]
                columns = np.ascontiguousarray(self.base.columns(pixels))
                yield targets, pixels, self.run_on(columns, number)[targets]

    def _frames(self) -> Iterator[tuple[Indices, Indices, Frames]]:
        """Targets, pixels and residuals, some frames of a channel at a time."""
        for channel, own in self._targets_of_channels():
            for piece in blocks(own.size, BLOCK_FRAMES):
                some = own[piece]
                found = self._run_on_frames(self.base.values[some], channel)
                yield some, self.base.order, found

    def _targets_of_channels(self) -> Iterator[tuple[int, Indices]]:
        targets = self.rows.table.targets
        channel = self.rows.table.channel[targets]
        for one in np.unique(channel):
            yield int(one), targets[channel == one]

    def run_on(self, columns: Frames, zone: int = 0) -> Frames:
        """Run the algorithm as it is on all rows of some pixels of a zone.

        Parameters
        ----------
        columns : array of float32, shape (n_row, n_pix)
            Rows; for framewise methods all pixels of the base.
        zone : int
            Whose channels take part.

        Returns
        -------
        array of float32, shape (n_row, n_pix)
            Residuals; zero for rows that are no targets or take no part.
        """
        settings = self.method.settings
        if self.traits.framewise:
            out = np.zeros_like(columns)
            for channel, own in self._targets_of_channels():
                out[own] = self._run_on_frames(columns[own], channel)
            return out
        if self.rows.then is None:
            return self._run_by_groups(columns, self.cliques(zone), settings)
        left = self._run_by_groups(columns, self.cliques(zone), self.method.first or settings)
        then = restricted(self.rows.then, self.members(zone))
        return self._run_by_groups(left, then, settings)

    def _run_by_groups(self, columns: Frames, groups: Sequence[Indices], settings: Any) -> Frames:
        out = np.zeros_like(columns)
        library = self.rows.table.time < 0
        for group in groups:
            targets = group[~library[group]]
            references = None
            if library[group].any():
                references = columns[group if self.rows.own else group[library[group]]]
            found = self.method.entry.run(columns[targets], references, settings)
            out[targets] = np.asarray(found, np.float32)
        return out

    def _run_on_frames(self, columns: Frames, channel: int) -> Frames:
        """Run on frames of a channel: pixels without data are those that it does not cover."""
        side = self.rows.side
        whole = np.zeros((columns.shape[0], side * side), np.float32)
        whole[:, self.base.order] = columns
        if self.rows.covered is not None:
            whole[:, ~self.rows.covered[channel].ravel()] = 0
        found = self.method.entry.run(whole.reshape(-1, side, side), None, self.method.settings)
        return np.asarray(found, np.float32).reshape(columns.shape[0], -1)[:, self.base.order]
