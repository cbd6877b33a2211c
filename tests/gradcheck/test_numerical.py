import numpy as np
import pytest

from tinymed.gradcheck import numerical


def cube(x):
    return x.ravel() ** 3


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("slopes_along", [numerical.slopes_along, numerical.complex_slopes])
def test_slopes_of_a_cube(slopes_along, rng):
    x, weights = rng.standard_normal((2, 3)), rng.standard_normal(6)
    found = slopes_along(cube, x, weights, rng)
    assert found.directions.shape == (6, 2, 3)  # a small tensor: element by element
    np.testing.assert_allclose(found.values, weights * 3 * x.ravel() ** 2, rtol=1e-9)


def test_large_tensors_are_probed_along_three_directions_with_no_small_component(rng):
    x = rng.standard_normal(500)
    found = numerical.slopes_along(cube, x, np.ones(500), rng)
    assert found.directions.shape == (3, 500)
    assert np.abs(found.directions).min() >= 0.1
    np.testing.assert_allclose(found.values, found.directions @ (3 * x**2), rtol=1e-9)


@pytest.mark.parametrize("position", [0.0, 3e-6, -3e-6])
def test_a_kink_within_reach_is_noticed(position, rng):
    x = np.array([position, 1.0])
    with pytest.raises(numerical.KinkError, match="slopes left and right"):
        numerical.five_points(lambda v: np.abs(v), x, np.ones(2), 1e-5, np.abs(x))


def test_a_kink_out_of_reach_is_not(rng):
    x = np.array([0.5, -1.0])
    np.testing.assert_allclose(numerical.slopes_along(np.abs, x, np.ones(2), rng).values, [1.0, -1.0])


def test_strong_curvature_is_no_kink(rng):
    x = np.array([0.3])
    found = numerical.slopes_along(lambda v: np.sin(20 * v), x, np.ones(1), rng).values
    np.testing.assert_allclose(found, 20 * np.cos(6.0), rtol=1e-8)


def test_values_that_are_not_finite_are_no_derivative(rng):
    with pytest.raises(numerical.KinkError, match="finite"), np.errstate(invalid="ignore"):
        numerical.slopes_along(np.log, np.array([-1.0]), np.ones(1), rng)


def test_the_step_fits_the_tensor(rng):
    """CT values: the size is 1000, but the formula sees a spread of 0.2."""
    x = -1000 + 0.2 * rng.standard_normal(50)
    assert numerical.size_of(x) == pytest.approx(0.2, rel=0.3)
    assert numerical.size_of(np.full(3, 5.0)) == 5.0
    assert numerical.size_of(np.zeros(3)) == 1.0
    f = lambda v: (v - v.mean()) / v.std()  # noqa: E731
    v = rng.standard_normal(50)
    assert numerical.choose_step(f, x, v, f(x)) < 0.01


def test_the_curve_is_a_v_for_a_right_slope_and_flat_for_a_wrong_one(rng):
    x, v, weights = np.array([0.7, -1.2]), np.array([1.0, 0.5]), np.ones(2)
    slope = float(np.sum(3 * x**2 * v))
    right = dict(numerical.step_curve(cube, x, v, weights, slope))
    wrong = dict(numerical.step_curve(cube, x, v, weights, 1.1 * slope))
    errors = list(right.values())
    assert min(errors) < 1e-9 < 1e-6 < min(errors[0], errors[-1])
    assert all(error == pytest.approx(0.1 / 1.1, rel=0.5) for step, error in wrong.items() if step < 1e-2)
