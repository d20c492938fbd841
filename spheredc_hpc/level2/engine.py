"""Subtraction, derotation and combination of rows, and exact repetitions of it.

A repetition is the whole reduction of changed rows: companions added to or taken out of
the frames. It is needed over the whole image (throughput) or about one position (forward
models); the second costs a hundredth of the first, because the traits of the algorithm tell
what a change does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.combine import Combination, combine_frames
from spheredc_hpc.kernels.modes import apply_operator, zone_gram
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.level2.base import ArrayBase
from spheredc_hpc.level2.coverage import CoveredZone, split_by_coverage
from spheredc_hpc.level2.eligibility import Core
from spheredc_hpc.level2.regions import ZoneSettings, plan_zones
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.solve import Block, Solver, one_step, restricted, two_steps
from spheredc_hpc.level2.tracks import Companion, add_companions, groups_of
from spheredc_hpc.level2.traits import LinearSettings, traits_of
from spheredc_hpc.registry import Entry

__all__ = ["Block", "Companion", "Floats", "Frames", "Method", "Reduction"]

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
    combination : {"mean", "median", "weighted"}
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


class Reduction:
    """Rows reduced by one method.

    Parameters
    ----------
    source : Channel or Rows
        Frames and star; not changed.
    method : Method
        Algorithm, settings and images.
    companions : iterable of Companion
        Added to the frames before anything else: with negative contrast, sources that are
        to be absent.

    Attributes
    ----------
    base : ArrayBase
        The pixels: for methods with coefficients the rows less their mean and, as last row,
        that mean; for others the rows as they are.
    zones : tuple of Zone
        Of methods with coefficients and of those that are run zone by zone.
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
        order = np.concatenate([zone.subtraction for zone in self.zones])
        frames = rows.frames
        if self.companions:
            frames = frames.copy()
            add_companions(frames, rows, self.groups, self.companions)
        self.base = ArrayBase(frames, order, centred=self.linear)
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
            held = tuple(zone_gram(columns, self._with_mean(g)) for g in self.summed(zone))
            self._sums[zone] = held
        return held

    def operator(
        self, zone: int, change_of_gram: Sequence[Floats] | None = None
    ) -> tuple[Block, ...]:
        """Solve a zone.

        Parameters
        ----------
        zone : int
            Its number.
        change_of_gram : sequence of array, optional
            To add to `sums`, one for each of `summed`.

        Returns
        -------
        tuple of Block
            One a clique (of the second step where there are two), float64.
        """
        if self.traits.coefficients is None:
            raise DataError(f"{self.method.entry.name} has no coefficients")
        changed = list(self.sums(zone))
        if change_of_gram is not None:
            changed = [a + b for a, b in zip(changed, change_of_gram, strict=True)]
        mean_row = self.base.n_row - 1
        where, groups = self.zones[zone], self.cliques(zone)
        if self.rows.then is None:
            solver = self._solver(self.method.settings)
            return one_step(solver, where, groups, changed, mean_row)
        first = self._solver(self.method.first or self.method.settings)
        then = restricted(self.rows.then, self._members(zone))
        second = self._solver(self.method.settings)
        blocks = two_steps(first, second, where, (groups, then), changed[0])
        return tuple(b._replace(rows=np.append(b.rows[:-1], mean_row)) for b in blocks)

    def _solver(self, settings: Any) -> Solver:
        assert self.traits.coefficients is not None  # noqa: S101 - `operator` has looked
        core = Core(self.rows.fwhm_px, 1.0, np.ones(1))
        if settings.references.self_subtraction is not None:
            core = Core.of_image(self.groups[0].stamp.image, self.rows.fwhm_px)
        return Solver(self.traits.coefficients, settings, self.rows, core)

    def _with_mean(self, group: Indices) -> Indices:
        return np.append(group, self.base.n_row - 1)

    def solved(self, zone: int) -> tuple[Block, ...]:
        """Operator of a zone in the precision of the pixels; kept."""
        held = self._solved[zone]
        if held is None:
            held = tuple(
                block._replace(matrix=block.matrix.astype(np.float32))
                for block in self.operator(zone)
            )
            self._solved[zone] = held
        return held

    # ---------------------------------------------------------------- residuals

    def residuals(self, count: int = 0) -> Frames:
        """Targets after the subtraction, shape (n_target, side, side), not derotated.

        Parameters
        ----------
        count : int
            Which of `counts`.
        """
        rows = self.rows
        place = np.full(rows.frames.shape[0], -1)
        place[rows.table.targets] = np.arange(rows.table.targets.size)
        flat = np.zeros((rows.table.targets.size, rows.side**2), np.float32)
        if self.linear:
            solved = map_ordered(self.solved, range(len(self.zones)))
            for zone, blocks in zip(self.zones, solved, strict=True):
                columns = self.base.columns(zone.subtraction)
                for block in blocks:
                    values = apply_operator(block.matrix[count, :, :-1], columns[block.rows])
                    values += block.matrix[count, :, -1:]
                    flat[np.ix_(place[block.targets], zone.subtraction)] = values
        elif self.traits.framewise:
            flat[:, self.base.order] = self.run_on(self.base.values)[rows.table.targets]
        else:
            for number, zone in enumerate(self.zones):
                columns = np.ascontiguousarray(self.base.columns(zone.subtraction))
                flat[:, zone.subtraction] = self.run_on(columns, number)[rows.table.targets]
        return flat.reshape(-1, rows.side, rows.side)

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

    def derotated(self, count: int = 0) -> tuple[Frames, NDArray[np.bool_] | None]:
        """Residuals turned to north up, and where they are valid (None: everywhere)."""
        frames = self.residuals(count)
        angles = self.rows.table.rotation.middle_deg[self.rows.table.targets]

        def turn(index: int) -> Frames:
            return np.asarray(rotate_fft(frames[index], float(angles[index])))

        turned = np.stack(map_ordered(turn, range(frames.shape[0])))
        return turned, self._coverage()

    def _coverage(self) -> NDArray[np.bool_] | None:
        common = self.rows.common
        side = common.shape[0]
        y, x = np.mgrid[:side, :side] - side // 2
        if common[np.hypot(x, y) <= min(self.rows.outer_px + 2, side // 2)].all():
            return None
        covered = []
        for angle in self.rows.table.rotation.middle_deg[self.rows.table.targets]:
            dx, dy = _turned(x, y, float(angle))
            ix, iy = np.rint(dx).astype(int) + side // 2, np.rint(dy).astype(int) + side // 2
            inside = (ix >= 0) & (iy >= 0) & (ix < side) & (iy < side)
            covered.append(inside & common[np.clip(iy, 0, side - 1), np.clip(ix, 0, side - 1)])
        return np.stack(covered)

    # ---------------------------------------------------------------- images

    def images(self, count: int = 0) -> Frames:
        """Images of all channels, shape (n_channel, side, side), NaN where not valid."""
        if len(self.rows.channels) > 1:
            raise DataError("images of several channels are not ready")
        turned, valid = self.derotated(count)
        weights = self.channel.frame_weight[:, None, None]
        image = combine_frames(turned, self.method.combination, valid=valid, weights=weights)
        image[~self.mask(valid)] = np.nan
        return image[None]

    def image(self) -> Frames:
        """Image of the first channel, shape (side, side), NaN where not valid."""
        return np.asarray(self.images()[0])

    def by_count(self) -> dict[int, Frames]:
        """Images for each of `counts`, each of shape (n_channel, side, side)."""
        return {count: self.images(k) for k, count in enumerate(self.counts)}

    def mask(self, valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Pixels of the final image that are valid: in the zone, seen by half of the frames."""
        side = self.rows.side
        y, x = np.mgrid[:side, :side] - side // 2
        radius = np.hypot(x, y)
        inside = (radius >= self.rows.inner_px) & (radius <= self.rows.outer_px)
        if valid is not None:
            inside &= 2 * valid.sum(axis=0) >= valid.shape[0]
        return np.asarray(inside, bool)


def _turned(x: Any, y: Any, angle_deg: float) -> tuple[Floats, Floats]:
    """Offsets on the frame that an angle turns to offsets `x`, `y` of the derotated image."""
    angle = np.deg2rad(angle_deg)
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
