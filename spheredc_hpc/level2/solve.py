"""From the sums of a zone to the linear maps that give its residuals, in one step or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.level2.eligibility import Core, allowed_rows
from spheredc_hpc.level2.linear import centred_gram, centring, residual_matrices
from spheredc_hpc.level2.regions import Zone
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.traits import Coefficients, LinearSettings, Problem

Array = Any
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Block(NamedTuple):
    """Residuals of some targets of a zone as a linear map of some rows.

    Attributes
    ----------
    targets : array of int64, shape (n_target,)
        Rows that get a residual.
    rows : array of int64, shape (n,)
        Rows of the base from which it is made; the last one is the mean row.
    matrix : array, shape (n_count, [n_change,] n_target, n + 1)
        Residuals are ``matrix[..., :-1] @ base[rows] + matrix[..., -1:]``.
    """

    targets: Indices
    rows: Indices
    matrix: NDArray[Any]


@dataclass(frozen=True)
class Solver:
    """A linear method on given rows.

    Attributes
    ----------
    coefficients : callable
        Of the method.
    settings : LinearSettings
        Its settings.
    rows : Rows
        Rows, their table and who may see whom.
    core : Core
        Width of a companion and its overlap with a displaced copy.
    """

    coefficients: Coefficients
    settings: LinearSettings
    rows: Rows
    core: Core
    _kept: dict[tuple[float, bytes], NDArray[np.bool_]] = field(default_factory=dict)

    def matrix(self, zone: Zone, group: Indices, sums: Floats) -> tuple[Indices, Floats]:
        """Solve for the targets of one clique.

        Parameters
        ----------
        zone : Zone
            Where.
        group : array of int64, shape (n,)
            Rows of the clique.
        sums : array of float64, shape (n + 2, n + 2) or (n_change, n + 2, n + 2)
            Gram matrix of these rows of the base, the mean row and ones; or several.

        Returns
        -------
        targets : array of int64
            Which members of the clique are targets.
        matrix : array of float64, shape (n_count, [n_change,] n_target, n + 2)
            From base and ones to their residuals.
        """
        table, own = self.rows.table.of(group), self.rows.own
        xp = array_namespace(sums)
        serving = None if own else xp.asarray(table.time < 0)
        lift = centring(sums, self.settings.centre, serving)
        gram = centred_gram(sums, lift)
        targets, allowed = table.targets, self._allowed(group, zone, gram)
        given = xp.asarray(targets)
        found = self.coefficients(Problem(gram, given, allowed), self.settings)
        return targets, residual_matrices(found, given, lift)

    def short(self, zone: Zone, group: Indices) -> int:
        """Count the targets of a clique to which the rules leave too few references."""
        # How many of those that are left are used is another question, for the Gram matrix.
        rules = self.settings.references.model_copy(update={"max_references": None})
        table = self.rows.table.of(group)
        nothing = np.zeros((0, 0))
        return allowed_rows(table, zone, nothing, self.core, rules, own=self.rows.own).short

    def _allowed(self, group: Indices, zone: Zone, gram: Array) -> Array:
        """Rows that may serve, in the library and with the leading axes of a Gram matrix."""
        xp, rules = array_namespace(gram), self.settings.references
        table = self.rows.table.of(group)

        def decided(seen: Floats) -> NDArray[np.bool_]:
            return allowed_rows(table, zone, seen, self.core, rules, own=self.rows.own).allowed

        if rules.max_references is None:
            # Geometry alone decides: the same for every change of the zone.
            key = (zone.radius_px, group.tobytes())
            if key not in self._kept:
                self._kept[key] = decided(np.zeros((0, 0)))
            allowed = xp.asarray(self._kept[key])
            return xp.broadcast_to(allowed, (*gram.shape[:-2], *allowed.shape))
        seen = as_numpy(gram)
        found = decided(seen) if gram.ndim == 2 else np.stack([decided(each) for each in seen])
        return xp.asarray(found)


def one_step(
    solver: Solver, zone: Zone, groups: Sequence[Indices], sums: Sequence[Floats], mean_row: int
) -> tuple[Block, ...]:
    """Solve every clique of a zone.

    Parameters
    ----------
    solver : Solver
        Method and rows.
    zone : Zone
        Where.
    groups : sequence of int arrays
        Cliques.
    sums : sequence of array
        Their sums, see `Solver.matrix`.
    mean_row : int
        Row of the base that holds the mean of all.

    Returns
    -------
    tuple of Block
        One a clique.
    """
    blocks = []
    for group, total in zip(groups, sums, strict=True):
        targets, matrix = solver.matrix(zone, group, total)
        blocks.append(Block(group[targets], np.append(group, mean_row), matrix))
    return tuple(blocks)


def two_steps(
    first: Solver,
    second: Solver,
    zone: Zone,
    steps: tuple[Sequence[Indices], Sequence[Indices]],
    sums: Floats,
) -> tuple[Block, ...]:
    """Subtract in the cliques of one step, then from its residuals in those of another.

    Parameters
    ----------
    first, second : Solver
        The methods of the two steps. Of the first, only the main mode count counts.
    zone : Zone
        Where.
    steps : (sequence of int arrays, sequence of int arrays)
        Cliques of the steps; each step has every row of the zone in one clique.
    sums : array of float64, shape (n + 2, n + 2)
        Gram matrix of all rows of the zone (in the order of their numbers), the mean row, ones.

    Returns
    -------
    tuple of Block
        One a clique of the second step; the whole map from the frames to its residuals. The
        last number of `rows` is -1, the mean row.

    Notes
    -----
    With residuals ``R1 = M1 B`` of the base `B`, the second step needs ``M1 (B B^T) M1^T``
    only: no residual is made, and no pixel is interpolated a second time between the steps.
    """
    rows = np.sort(np.concatenate([np.asarray(group) for group in steps[0]]))
    n = rows.size
    ends = np.array([n, n + 1])
    carried = np.zeros((n + 2, n + 2))
    carried[n + 1, n + 1] = 1.0
    for group in steps[0]:
        local = np.searchsorted(rows, group)
        part = np.append(local, ends)
        targets, matrix = first.matrix(zone, group, sums[np.ix_(part, part)])
        carried[np.ix_(local[targets], part)] = matrix[0]
    left = carried @ sums @ carried.T
    left = 0.5 * (left + left.T)
    blocks = []
    for group in steps[1]:
        local = np.searchsorted(rows, group)
        part = np.append(local, ends)
        targets, matrix = second.matrix(zone, group, left[np.ix_(part, part)])
        blocks.append(Block(group[targets], np.append(rows, -1), matrix @ carried[part]))
    return tuple(blocks)


def restricted(groups: Sequence[Indices], members: NDArray[np.bool_]) -> tuple[Indices, ...]:
    """Cliques less the rows that are no `members` (one flag a row); empty ones are left out."""
    kept = (group[members[group]] for group in groups)
    return tuple(group for group in kept if group.size)
