"""Subtraction of the star from rows, zone by zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.combine import Combination
from spheredc_hpc.kernels.modes import put_columns, zone_gram
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.level2.base import BLOCK_PIXELS, ArrayBase
from spheredc_hpc.level2.coverage import CoveredZone, split_by_coverage
from spheredc_hpc.level2.eligibility import Core
from spheredc_hpc.level2.regions import Zone, ZoneSettings, plan_zones
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.solve import Block, Solver, one_step, restricted, two_steps
from spheredc_hpc.level2.tracks import Companion, groups_of, pieces_of
from spheredc_hpc.level2.traits import LinearSettings, traits_of
from spheredc_hpc.registry import Entry

Array = Any
Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Method:
    """An algorithm with its settings and the making of images.

    Attributes
    ----------
    entry : Entry
        The algorithm.
    settings : Section
        Its settings.
    combination : {"mean", "median", "weighted", "trimmed"}
        How derotated frames are combined.
    rotation : {"fft", "interpolated"}
        How frames are derotated.
    first : Section, optional
        Settings of the first of two steps; `settings` if absent.
    """

    entry: Entry[Any]
    settings: Any
    combination: Combination
    rotation: Literal["fft", "interpolated"] = "fft"
    first: Any = None


class Subtraction:
    """Rows from which one method takes the star.

    Parameters
    ----------
    source : Channel or Rows
        Frames and star; not changed.
    method : Method
        Algorithm and settings.
    companions : iterable of Companion
        Added to the frames before anything else: with negative contrast, sources that are
        to be absent.

    Attributes
    ----------
    base : ArrayBase
        The pixels: for methods with coefficients the rows less their mean and, as last row,
        that mean; for others the rows as they are.
    zones : tuple of Zone
        How the field is cut; one zone for methods without zones.
    parts : tuple of CoveredZone
        The zones with the channels that take part in each.
    """

    def __init__(
        self, source: Channel | Rows, method: Method, companions: Iterable[Companion] = ()
    ) -> None:
        self.rows = source if isinstance(source, Rows) else Rows.of_channel(source)
        self.method = method
        self.traits = traits_of(method.entry.run)
        self.companions = tuple(companions)
        self.groups = groups_of(self.rows)
        rows = self.rows
        zoned: Any = getattr(method.settings, "zones", ZoneSettings())
        planned = plan_zones(
            rows.zone, rows.inner_px, rows.outer_px, rows.fwhm_px, zoned, rows.common
        )
        every = np.arange(len(rows.channels))
        self.parts = tuple(CoveredZone(zone, every) for zone in planned)
        if rows.covered is not None:
            self.parts = split_by_coverage(planned, rows.covered, rows.least_channels)
        self.zones = tuple(part.zone for part in self.parts)
        self._pixels = [_fitted_first(zone) for zone in self.zones]
        order = np.concatenate(self._pixels)
        pieces = pieces_of(rows, self.groups, self.companions)
        self.base = ArrayBase(rows.frames, order, centred=self.linear, added=pieces)
        self._solved: list[tuple[Block, ...] | None] = [None] * len(self.zones)
        self._sums: list[tuple[Floats, ...] | None] = [None] * len(self.zones)

    @property
    def linear(self) -> bool:
        """Whether the method has coefficients."""
        return self.traits.coefficients is not None

    @property
    def channel(self) -> Channel:
        """The first channel."""
        return self.rows.channels[0]

    @property
    def counts(self) -> tuple[int, ...]:
        """Mode counts of the pass, the main one first; a single 0 where there are none."""
        settings = self.method.settings
        return settings.counts if isinstance(settings, LinearSettings) else (0,)

    # ---------------------------------------------------------------- coefficients

    def cliques(self, zone: int) -> tuple[Indices, ...]:
        """Rows that take part in a zone, by sets that may see each other."""
        return restricted(self.rows.groups, self._members(zone))

    def summed(self, zone: int) -> tuple[Indices, ...]:
        """List the sets of rows that `sums` goes with: the cliques, or all rows for two steps."""
        if self.rows.then is None:
            return self.cliques(zone)
        return (np.flatnonzero(self._members(zone)),)

    def _members(self, zone: int) -> NDArray[np.bool_]:
        return np.isin(self.rows.table.channel, self.parts[zone].channels)

    def sums(self, zone: int) -> tuple[Floats, ...]:
        """Gram matrices of a zone, one for each of `summed`: its rows, the mean row, ones."""
        held = self._sums[zone]
        if held is None:
            columns = self.base.columns(self.zones[zone].optimisation)
            held = tuple(zone_gram(self.picked(columns, g)) for g in self.summed(zone))
            self._sums[zone] = held
        return held

    def picked(self, columns: Array, group: Indices) -> Array:
        """Rows of a group and the mean row; a view if those are all."""
        if group.size == self.base.n_row - 1:
            return columns
        xp = array_namespace(columns)
        return xp.take(columns, xp.asarray(self.with_mean(group)), axis=0)

    def with_mean(self, group: Indices) -> Indices:
        """Rows of the base for a group of rows: these, then the mean row."""
        return np.append(group, self.base.n_row - 1)

    def operator(
        self, zone: int, change_of_gram: Sequence[Floats] | None = None
    ) -> tuple[Block, ...]:
        """Solve a zone.

        Parameters
        ----------
        zone : int
            Its number.
        change_of_gram : sequence of array, optional
            To add to `sums`, one for each of `summed`; or a stack of changes for each, and all
            are solved. In the array library of the sums, or in NumPy: then the CPU solves.

        Returns
        -------
        tuple of Block
            One a clique (of the second step where there are two), float64.

        Raises
        ------
        DataError
            If the method has no coefficients.
        """
        if self.traits.coefficients is None:
            raise DataError(f"{self.method.entry.name} has no coefficients")
        changed: list[Array] = list(self.sums(zone))
        if change_of_gram is not None:
            if isinstance(change_of_gram[0], np.ndarray):
                changed = [as_numpy(total) for total in changed]
            changed = [a + b for a, b in zip(changed, change_of_gram, strict=True)]
        mean_row = self.base.n_row - 1
        where, groups = self.zones[zone], self.cliques(zone)
        if self.rows.then is None:
            solver = self._solver(self.method.settings)
            return one_step(solver, where, groups, changed, mean_row)
        first = self._solver(self.method.first or self.method.settings)
        then = restricted(self.rows.then, self._members(zone))
        second = self._solver(self.method.settings)
        sums, like = as_numpy(changed[0]), array_namespace(changed[0])
        each = [
            two_steps(first, second, where, (groups, then), one)
            for one in (sums if sums.ndim == 3 else sums[None])
        ]
        found = []
        for same in zip(*each, strict=True):
            matrix = np.stack([block.matrix for block in same], axis=1)
            matrix = matrix if sums.ndim == 3 else matrix[:, 0]
            rows = np.append(same[0].rows[:-1], mean_row)
            found.append(Block(same[0].targets, rows, like.asarray(matrix)))
        return tuple(found)

    def _solver(self, settings: Any) -> Solver:
        assert self.traits.coefficients is not None  # noqa: S101 - `operator` has looked
        core = Core(self.rows.fwhm_px, 1.0, np.ones(1))
        if settings.references.self_subtraction is not None:
            core = Core.of_image(self.groups[0].stamp.image, self.rows.fwhm_px)
        return Solver(self.traits.coefficients, settings, self.rows, core)

    def solved(self, zone: int) -> tuple[Block, ...]:
        """Operator of a zone in the precision of the pixels; kept."""
        held = self._solved[zone]
        if held is None:
            held = tuple(
                block._replace(matrix=_single(block.matrix)) for block in self.operator(zone)
            )
            self._solved[zone] = held
        return held

    def solve_all(self) -> None:
        """Solve every zone that is not yet solved."""
        if len(self.zones) == 1:
            # Not through the pool: the work of a single zone is shared out inside.
            self.solved(0)
        else:
            map_ordered(self.solved, range(len(self.zones)))
        self.base.release()

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
            self.solve_all()
            return self.some_residuals(targets, count)
        flat = buffers.zeros((targets.size, side * side))
        if self.traits.framewise:
            put_columns(flat, self.base.order, self.run_on(self.base.values)[targets])
        else:
            for number, zone in enumerate(self.zones):
                columns = np.ascontiguousarray(self.base.columns(zone.subtraction))
                put_columns(flat, zone.subtraction, self.run_on(columns, number)[targets])
        self.base.release()
        buffers.release(flat)
        return flat.reshape(-1, side, side)

    def some_residuals(self, targets: Indices, count: int = 0) -> Array:
        """Make the residuals of some targets of a method with coefficients, in their order."""
        side = self.rows.side
        line = np.full(self.rows.frames.shape[0], -1)
        line[targets] = np.arange(targets.size)
        if not is_numpy_array(self.base.values):
            return self._gathered(line, targets.size, count)
        flat = buffers.zeros((targets.size, side * side))

        def fill(task: tuple[int, slice]) -> None:
            number, piece = task
            pixels = self._pixels[number][piece]
            for lines, values in self._values(number, pixels, line, count):
                put_columns(flat, pixels, values, lines)
            self.base.release()
            buffers.release(flat)

        pieces = [
            (number, piece)
            for number, pixels in enumerate(self._pixels)
            for piece in blocks(pixels.size, BLOCK_PIXELS)
        ]
        map_ordered(fill, pieces)
        return flat.reshape(-1, side, side)

    def _gathered(self, line: Indices, size: int, count: int) -> Array:
        """Residuals of those targets that have a line, on other array libraries."""
        xp, side = array_namespace(self.base.values), self.rows.side
        zones = []
        for number, pixels in enumerate(self._pixels):
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

    def target_order(self) -> Indices:
        """All targets, those of one clique beside each other."""
        groups = self.rows.groups if self.rows.then is None else self.rows.then
        table = self.rows.table
        return np.concatenate([group[table.time[group] >= 0] for group in groups])

    # ---------------------------------------------------------------- methods without coefficients

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
            return self._run_on_frames(columns)
        if self.rows.then is None:
            return self._run_by_groups(columns, self.cliques(zone), settings)
        left = self._run_by_groups(columns, self.cliques(zone), self.method.first or settings)
        then = restricted(self.rows.then, self._members(zone))
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

    def _run_on_frames(self, columns: Frames) -> Frames:
        side = self.rows.side
        whole = np.zeros((columns.shape[0], side * side), np.float32)
        whole[:, self.base.order] = columns
        found = self.method.entry.run(whole.reshape(-1, side, side), None, self.method.settings)
        return np.asarray(found.reshape(columns.shape[0], -1)[:, self.base.order], np.float32)


def _single(matrix: Array) -> Array:
    xp = array_namespace(matrix)
    return xp.astype(matrix, xp.float32)


def _fitted_first(zone: Zone) -> Indices:
    """Subtraction pixels of a zone, those that are also fitted first."""
    fitted = np.isin(zone.subtraction, zone.optimisation, assume_unique=True)
    return np.concatenate([zone.subtraction[fitted], zone.subtraction[~fitted]])
