"""Steps of a fit whose derivatives are only nearly right, and fits that explain nothing."""

import numpy as np
import pytest

from spheredc_hpc.level2 import forward

TRUTH = np.array([3.2, -1.4, 2e-5, 1e-5])
START = np.array([3.9, -0.8, 1e-5, 1.5e-5])


class Blurred:
    """A spot in two channels; derivatives are some share of the true ones."""

    def __init__(self, share, truth=TRUTH):
        self.share, self.truth, self.evaluations = np.asarray(share, float), truth, 0
        y, x = np.mgrid[-6:7, -6:7].astype(float)
        self.points = np.stack([x.ravel() + 3, y.ravel() - 1])
        self.weight = np.array([1.0, 1.0])

    def image(self, p):
        x, y = self.points
        spot = np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2) / 4)
        return 1e6 * np.concatenate([p[2] * spot, p[3] * spot])

    def all_left(self, p):
        self.evaluations += 1
        return self.image(self.truth) - self.image(p)

    def jacobian(self, p, unit):
        h = np.array([1e-4, 1e-4, 1e-9, 1e-9])
        columns = [(self.image(p - d) - self.image(p + d)) / (2 * d.sum()) for d in np.diag(h)]
        return np.stack(columns, axis=1) * self.share


@pytest.mark.parametrize(
    "share",
    [(1, 1, 1, 1), (0.5, 0.5, 1, 1), (0.45, 1, 0.45, 1), (2, 2, 0.5, 0.5), (0.3, 0.3, 1, 1)],
)
def test_derivatives_that_are_off_by_two_lead_to_the_source(share):
    problem = Blurred(share)
    found, _, converged = forward._minimised(problem, START, (3.9, -0.8), 3.0)
    assert converged
    np.testing.assert_allclose(found[:2], TRUTH[:2], atol=0.01)
    np.testing.assert_allclose(found[2:], TRUTH[2:], rtol=0.01)


def test_a_step_teaches_what_it_has_changed():
    rng = np.random.default_rng(0)
    jacobian, step, change = (rng.standard_normal(shape) for shape in ((20, 3), 3, 20))
    learned = forward._learned(jacobian, step, change)
    np.testing.assert_allclose(learned @ step, change)
    # Directions that the step says nothing about are left alone.
    scale = (jacobian**2).sum(axis=0)
    other = np.linalg.svd((scale * step)[None, :])[2][1:]
    np.testing.assert_allclose(learned @ other.T, jacobian @ other.T, atol=1e-12)


def test_a_step_of_no_effect_teaches_nothing():
    jacobian = np.zeros((4, 2))
    np.testing.assert_array_equal(forward._learned(jacobian, np.ones(2), np.ones(4)), jacobian)


def test_a_source_explains_its_image_and_a_place_beside_it_does_not():
    problem = Blurred((1, 1, 1, 1))
    assert forward._explains(problem, TRUTH, 4.0)
    assert not forward._explains(problem, np.array([6.0, 2.0, 4e-6, 4e-6]), 4.0)
    assert not forward._explains(problem, START * [1, 1, -0.01, -0.01], 4.0)


def test_noise_may_be_left_of_a_faint_source():
    problem = Blurred((1, 1, 1, 1), TRUTH * [1, 1, 0.05, 0.05])
    assert forward._explains(problem, TRUTH * [1, 1, 0.02, 0.02], 4.0)
