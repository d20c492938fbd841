"""Time of the small solves of a zone, against a loop over LAPACK in the same run."""

import time

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from spheredc_hpc.kernels.coefficients import (
    positive_coefficients,
    ridge_coefficients,
    thresholded_coefficients,
    truncated_coefficients,
)
from spheredc_hpc.kernels.parallel import worker_threads

REPEATS = 5


def zone(n, n_allowed=None):
    """Gram matrix, targets and masks of a zone: 3 to a third of the rows are excluded."""
    rng = np.random.default_rng(n)
    drift = np.cumsum(rng.standard_normal((n, 800)), axis=0)
    rows = 0.1 * drift + 0.3 * rng.standard_normal((n, 800))
    rows -= rows.mean(axis=0)
    index = np.arange(n)
    if n_allowed is None:
        width = np.linspace(3, n / 3, n)[:, np.newaxis] / 2
        allowed = np.abs(index[:, np.newaxis] - index) > width
    else:
        allowed = np.zeros((n, n), dtype=bool)
        for i in index:
            allowed[i, rng.choice(np.delete(index, i), n_allowed, replace=False)] = True
    return rows, rows @ rows.T, index, allowed


def each(solve, gram, targets, allowed):
    """Loop over targets, as the packages do."""
    for i in targets:
        used = np.flatnonzero(allowed[i])
        solve(gram[np.ix_(used, used)], gram[used, i])


def by_eigh(counts):
    def solve(matrix, right):
        values, vectors = np.linalg.eigh(matrix)
        for count in counts:
            basis = vectors[:, -count:]
            basis @ (basis.T @ right / values[-count:])

    return solve


def by_ridge(matrix, right):
    shifted = matrix + 0.01 * np.mean(np.diag(matrix)) * np.eye(len(right))
    scipy.linalg.cho_solve(scipy.linalg.cho_factor(shifted), right)


def by_lstsq(matrix, right):
    scipy.linalg.lstsq(matrix, right, cond=1e-4)


CASES = {
    "KLIP-5, n=60": (60, None, lambda *a: truncated_coefficients(*a, [5]), by_eigh([5])),
    "KLIP-5, n=120": (120, None, lambda *a: truncated_coefficients(*a, [5]), by_eigh([5])),
    "KLIP-5, 20, n=120": (
        120,
        None,
        lambda *a: truncated_coefficients(*a, [5, 20]),
        by_eigh([5, 20]),
    ),
    "KLIP-5, 20, 50, 150 of 468": (
        468,
        150,
        lambda *a: truncated_coefficients(*a, [5, 20, 50]),
        by_eigh([5, 20, 50]),
    ),
    "LOCI truncated, n=60": (
        60,
        None,
        lambda *a: thresholded_coefficients(*a, tolerance=1e-4),
        by_lstsq,
    ),
    "LOCI ridge, n=60": (
        60,
        None,
        lambda *a: ridge_coefficients(*a, strength=0.01),
        by_ridge,
    ),
}


def best(work):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.slow
def test_small_solves_are_timed_against_a_loop_over_lapack(record_property, capsys):
    lines = [f"{'ms per target':30}{'batch':>10}{'loop':>10}{'ratio':>8}"]
    with worker_threads(1):
        for name, (n, n_allowed, ours, theirs) in CASES.items():
            _, gram, targets, allowed = zone(n, n_allowed)
            few = targets[:: max(1, n // 60)]
            ours(gram, targets, allowed)
            batch = best(lambda run=ours, a=(gram, targets, allowed): run(*a)) / n
            loop = best(lambda run=theirs, a=(gram, few, allowed): each(run, *a)) / few.size
            record_property(name, (batch, loop))
            lines.append(f"{name:30}{1e3 * batch:10.4f}{1e3 * loop:10.4f}{loop / batch:8.1f}")
        rows, gram, targets, allowed = zone(60)
        rows = rows + 3
        gram = rows @ rows.T
        positive_coefficients(gram, targets, allowed)
        batch = best(lambda: positive_coefficients(gram, targets, allowed)) / 60
        loop = best(
            lambda: [scipy.optimize.nnls(rows[allowed[i]].T, rows[i]) for i in targets]
        ) / len(targets)
        lines.append(
            f"{'positive, n=60, 800 px':30}{1e3 * batch:10.4f}{1e3 * loop:10.4f}{loop / batch:8.1f}"
        )
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201
