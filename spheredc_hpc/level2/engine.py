"""Subtraction, derotation and combination of rows, and exact repetitions of it.

A repetition is the whole reduction of changed rows: companions added to or taken out of
the frames. It is needed over the whole image (throughput) or about one position (forward
models); the second costs a hundredth of the first, because the traits of the algorithm tell
what a change does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.combine import Combination, combine_frames
from spheredc_hpc.kernels.modes import apply_operator, zone_gram
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.level2.base import ArrayBase
from spheredc_hpc.level2.eligibility import Core, allowed_rows
from spheredc_hpc.level2.linear import centred_gram, centring, residual_matrices
from spheredc_hpc.level2.regions import Zone, ZoneSettings, plan_zones
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.tracks import Companion, add_companions, groups_of
from spheredc_hpc.level2.traits import LinearSettings, Problem, traits_of
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
    """

    entry: Entry[Any]
    settings: Any
    combination: Combination
    rotation: Literal["fft", "interpolated"] = "fft"


class Block(NamedTuple):
    """Residuals of some targets of a zone as a linear map of some rows.

    Attributes
    ----------
    targets : array of int64, shape (n_target,)
        Rows that get a residual.
    rows : array of int64, shape (n,)
        Rows of the base from which it is made; the last one is the mean row.
    matrix : array, shape (n_count, n_target, n + 1)
        Residuals are ``matrix[..., :-1] @ base[rows] + matrix[..., -1:]``.
    """

    targets: Indices
    rows: Indices
    matrix: NDArray[Any]


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
        self.zones = plan_zones(
            rows.zone, rows.inner_px, rows.outer_px, rows.fwhm_px, zoned, rows.common
        )
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

    def sums(self, zone: int) -> tuple[Floats, ...]:
        """Gram matrices of a zone, one a clique: its rows, the mean row, ones."""
        held = self._sums[zone]
        if held is None:
            columns = self.base.columns(self.zones[zone].optimisation)
            held = tuple(zone_gram(columns, self._with_mean(g)) for g in self.rows.groups)
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
            To add to `sums`, one a clique.

        Returns
        -------
        tuple of Block
            One a clique, float64.
        """
        if self.traits.coefficients is None:
            raise DataError(f"{self.method.entry.name} has no coefficients")
        found = []
        changes: Sequence[Floats | None] = change_of_gram or [None] * len(self.rows.groups)
        for group, sums, change in zip(self.rows.groups, self.sums(zone), changes, strict=True):
            changed = sums if change is None else sums + change
            found.append(self._block(self.zones[zone], group, changed))
        return tuple(found)

    def _block(self, zone: Zone, group: Indices, sums: Floats) -> Block:
        settings, solve = self.method.settings, self.traits.coefficients
        assert solve is not None  # noqa: S101 - `operator` has looked
        table = self.rows.table.of(group)
        lift = centring(sums, settings.centre)
        gram = centred_gram(sums, lift)
        core = Core(self.rows.fwhm_px, 1.0, np.ones(1))
        if settings.references.self_subtraction is not None:
            core = Core.of_image(self.groups[0].stamp.image, self.rows.fwhm_px)
        allowed = allowed_rows(table, zone, gram, core, settings.references).allowed
        targets = table.targets
        found = solve(Problem(gram, targets, allowed), settings)
        matrix = residual_matrices(found, targets, lift)
        return Block(group[targets], self._with_mean(group), matrix)

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
        elif self.traits.pixelwise or self.traits.framewise:
            flat[:, self.base.order] = self.run_on(self.base.values)
        else:
            for zone in self.zones:
                columns = np.ascontiguousarray(self.base.columns(zone.subtraction))
                flat[:, zone.subtraction] = self.run_on(columns)
        return flat.reshape(-1, rows.side, rows.side)

    def run_on(self, columns: Frames) -> Frames:
        """Run the algorithm as it is on rows of some pixels."""
        run, settings = self.method.entry.run, self.method.settings
        if not self.traits.framewise:
            return np.asarray(run(columns, None, settings), np.float32)
        side = self.rows.side
        whole = np.zeros((columns.shape[0], side * side), np.float32)
        whole[:, self.base.order] = columns
        found = run(whole.reshape(-1, side, side), None, settings)
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
