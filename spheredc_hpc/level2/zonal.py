"""Zones of a reduction: their pixels, their Gram matrices and what follows from those."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.combine import Combination
from spheredc_hpc.kernels.modes import zone_gram
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.triangle import pack_symmetric, unpack_symmetric
from spheredc_hpc.level2.base import ArrayBase
from spheredc_hpc.level2.coverage import CoveredZone, split_by_coverage
from spheredc_hpc.level2.eligibility import Core
from spheredc_hpc.level2.regions import Zone, ZoneSettings, plan_zones
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.solve import Block, Solver, one_step, restricted, two_steps
from spheredc_hpc.level2.tracks import Companion, groups_of, pieces_of
from spheredc_hpc.level2.traits import LinearSettings, spanned_by_model, traits_of
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
    spectrum : tuple of float, optional
        Contrast in each channel, in any unit, of the companion that limits of self-subtraction
        assume; that of the star's colour if absent. Of no effect on channels by themselves.
    """

    entry: Entry[Any]
    settings: Any
    combination: Combination
    rotation: Literal["fft", "interpolated"] = "fft"
    first: Any = None
    spectrum: tuple[float, ...] | None = None


class Zonal:
    """Rows cut into zones, with the linear maps that take the star away in each.

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
    pixels : list of array of int64
        Subtraction pixels of each zone in the order of the base: fitted ones first.
    """

    def __init__(
        self, source: Channel | Rows, method: Method, companions: Iterable[Companion] = ()
    ) -> None:
        self.rows = source if isinstance(source, Rows) else Rows.of_channel(source)
        self.method = method
        self.traits = traits_of(method.entry.run)
        if not self.linear and not is_numpy_array(self.rows.frames):
            raise ConfigError(
                f"{method.entry.name} has no coefficients: its frames have to be NumPy arrays"
            )
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
            self.parts = split_by_coverage(planned, rows.covered, self._least_channels())
        if not self.parts:
            raise DataError(
                f"{method.entry.name}: no zone is left, nowhere do enough channels have data where "
                "they are subtracted and where they are fitted"
            )
        self.zones = tuple(part.zone for part in self.parts)
        self.pixels = [_fitted_first(zone) for zone in self.zones]
        order = np.concatenate(self.pixels)
        pieces = pieces_of(rows, self.groups, self.companions)
        self.base = ArrayBase(rows.frames, order, centred=self.linear, added=pieces)
        self._solved: list[tuple[Block, ...] | None] = [None] * len(self.zones)
        # Packed, unless they are on a device: they wait in memory as long as the reduction lives.
        self._sums: list[tuple[Array, ...] | None] = [None] * len(self.zones)
        self._solvers: dict[int, Solver] = {}

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
        return restricted(self.rows.groups, self.members(zone))

    def _least_channels(self) -> int:
        """Channels that have to share a pixel, so that the model does not hold all of the rows."""
        rows, settings = self.rows, self.method.settings
        if rows.then is not None:
            settings = self.method.first or settings
        spans = spanned_by_model(settings) + 1
        times = max(group.size for group in rows.groups) / len(rows.channels)
        return max(rows.least_channels, min(math.ceil(spans / times), len(rows.channels)))

    def summed(self, zone: int) -> tuple[Indices, ...]:
        """List the sets of rows that `sums` goes with: the cliques, or all rows for two steps."""
        if self.rows.then is None:
            return self.cliques(zone)
        return (np.flatnonzero(self.members(zone)),)

    def members(self, zone: int) -> NDArray[np.bool_]:
        """Mark the rows of the channels that take part in a zone."""
        return np.isin(self.rows.table.channel, self.parts[zone].channels)

    def sums(self, zone: int) -> tuple[Floats, ...]:
        """Gram matrices of a zone, one for each of `summed`: its rows, the mean row, ones."""
        held = self._sums[zone]
        if held is not None:
            return tuple(unpack_symmetric(one) if one.ndim == 1 else one for one in held)
        columns = self.base.columns(self.zones[zone].optimisation)
        sums = tuple(zone_gram(self.picked(columns, g)) for g in self.summed(zone))
        self._sums[zone] = tuple(pack_symmetric(s) if is_numpy_array(s) else s for s in sums)
        return sums

    def picked(self, columns: Array, group: Indices) -> Array:
        """Rows of a group and the mean row; a view if those are all, in their order."""
        if np.array_equal(group, np.arange(self.base.n_row - 1)):
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
        then = restricted(self.rows.then, self.members(zone))
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
        """Solver of one of the steps; kept, with what it knows of every zone."""
        assert self.traits.coefficients is not None  # noqa: S101 - `operator` has looked
        held = self._solvers.get(id(settings))
        if held is not None:
            return held
        core = Core(self.rows.fwhm_px, 1.0, np.ones(1))
        if settings.references.self_subtraction is not None:
            core = Core.of_image(self.groups[0].stamp.image, self.rows.fwhm_px)
            core = replace(core, contrast=self._contrast())
        solver = Solver(self.traits.coefficients, settings, self.rows, core)
        return self._solvers.setdefault(id(settings), solver)

    def _contrast(self) -> Floats | None:
        """Contrast of the assumed companion in the channels of the rows."""
        spectrum, count = self.method.spectrum, len(self.rows.channels)
        if spectrum is None or count == 1:
            return None
        if len(spectrum) != count:
            raise DataError(f"spectrum of {len(spectrum)} channels for rows of {count}")
        return np.array(spectrum, np.float64)

    def short(self, zone: int) -> float:
        """Share of the targets of a zone to which the rules leave too few references."""
        settings, groups = self.method.settings, self.cliques(zone)
        steps = [(groups, settings)]
        if self.rows.then is not None:
            then = restricted(self.rows.then, self.members(zone))
            steps = [(groups, self.method.first or settings), (then, settings)]
        count = int(np.count_nonzero(self.members(zone) & (self.rows.table.time >= 0)))
        where = self.zones[zone]
        found = [
            sum(self._solver(chosen).short(where, group) for group in members)
            for members, chosen in steps
        ]
        return max(found) / max(count, 1)

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


def _single(matrix: Array) -> Array:
    xp = array_namespace(matrix)
    return xp.astype(matrix, xp.float32)


def _fitted_first(zone: Zone) -> Indices:
    """Subtraction pixels of a zone, those that are also fitted first."""
    fitted = np.isin(zone.subtraction, zone.optimisation, assume_unique=True)
    return np.concatenate([zone.subtraction[fitted], zone.subtraction[~fitted]])
