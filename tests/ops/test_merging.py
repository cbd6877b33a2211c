"""Add, subtract, multiply, average, maximum, minimum, concatenate."""

import array_api_strict
import numpy as np
import pytest

from tinymed.ops import REGISTRY
from tinymed.ops.merging import add, add_backward, broadcast_sizes, concatenate, maximum, maximum_backward, multiply

ORACLES = {
    "add": lambda *xs: sum(xs),
    "subtract": lambda a, b: a - b,
    "multiply": lambda *xs: np.prod(np.stack(np.broadcast_arrays(*xs)), axis=0),
    "average": lambda *xs: np.mean(np.stack(np.broadcast_arrays(*xs)), axis=0),
    "maximum": lambda *xs: np.max(np.stack(np.broadcast_arrays(*xs)), axis=0),
    "minimum": lambda *xs: np.min(np.stack(np.broadcast_arrays(*xs)), axis=0),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("shapes", [[(2, 3), (2, 3)], [(2, 3, 1, 4), (2, 4)], [(1,), (3,)], [(2, 1), (2, 5)]])
def test_values_and_gradients(name, shapes):
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal(shape) for shape in shapes]
    aligned = [x.reshape(size) for x, size in zip(xs, broadcast_sizes(shapes), strict=True)]
    operation, oracle = REGISTRY[name], ORACLES[name]
    y, cache = operation.forward(*xs)
    np.testing.assert_allclose(y, oracle(*aligned), rtol=1e-12)
    dy = rng.standard_normal(y.shape)
    gradients = operation.backward(dy, cache)
    for i, (x, dx) in enumerate(zip(xs, gradients, strict=True)):
        direction = rng.standard_normal(x.shape) * 1e-6
        up, down = ([*xs[:i], x + s * direction, *xs[i + 1 :]] for s in (1, -1))
        change = np.vdot(operation.forward(*up)[0] - operation.forward(*down)[0], dy) / 2
        assert np.vdot(dx, direction) == pytest.approx(change, rel=1e-6)
        assert dx.shape == x.shape
        assert not any(np.shares_memory(dx, other) for other in (dy, *xs, *gradients[:i]))


def test_a_product_with_zeros_has_the_right_gradient():
    y, cache = multiply(np.array([0.0, 0.0]), np.array([3.0, 0.0]), np.array([5.0, 7.0]))
    gradients = REGISTRY["multiply"].backward(np.array([1.0, 1.0]), cache)
    np.testing.assert_array_equal(y, [0, 0])
    np.testing.assert_array_equal(gradients, [[15, 0], [0, 0], [0, 0]])


def test_of_equal_values_the_first_gets_the_gradient():
    one = np.array([[1.0, 2.0]])
    for name in ("maximum", "minimum"):
        _, cache = REGISTRY[name].forward(one, one.copy(), one.copy())
        gradients = REGISTRY[name].backward(np.array([[3.0, 4.0]]), cache)
        np.testing.assert_array_equal(gradients[0], [[3, 4]])
        np.testing.assert_array_equal(gradients[1:], np.zeros((2, 1, 2)))


def test_the_gradient_goes_to_the_largest_of_three_and_nan_stays():
    xs = [np.array([1.0, 9.0, 2.0]), np.array([2.0, 3.0, np.nan]), np.array([3.0, 4.0, 0.0])]
    y, cache = maximum(*xs)
    np.testing.assert_array_equal(y, [3, 9, np.nan])
    gradients = maximum_backward(np.array([5.0, 6.0, 0.0]), cache)
    np.testing.assert_array_equal(gradients, [[0, 6, 0], [0, 0, 0], [5, 0, 0]])


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_concatenate(axis):
    rng = np.random.default_rng(1)
    shapes = {-1: [(2, 3, 1), (2, 3, 4)], 0: [(1, 3, 2), (2, 3, 2)], 1: [(2, 2, 2), (2, 1, 2)]}[axis]
    xs = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    y, cache = concatenate(*xs, axis=axis)
    np.testing.assert_array_equal(y, np.concatenate(xs, axis=axis))
    gradients = REGISTRY["concatenate"].backward(y, cache)
    for x, dx in zip(xs, gradients, strict=True):
        np.testing.assert_array_equal(dx, x)
        assert not np.shares_memory(dx, y)


@pytest.mark.parametrize("name", [*ORACLES, "concatenate"])
def test_other_array_libraries_and_devices_give_the_same(name):
    xs = [np.random.default_rng(i).standard_normal((2, 3, 2)).astype(np.float32) for i in range(2)]
    device, host = array_api_strict.Device("device1"), array_api_strict.Device("CPU_DEVICE")
    y, cache = REGISTRY[name].forward(*xs)
    strict_y, strict_cache = REGISTRY[name].forward(*(array_api_strict.asarray(x, device=device) for x in xs))
    strict_gradients = REGISTRY[name].backward(strict_y, strict_cache)
    for strict, plain in zip((strict_y, *strict_gradients), (y, *REGISTRY[name].backward(y, cache)), strict=True):
        assert strict.device == device
        assert plain.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(array_api_strict.asarray(strict, device=host)), plain)


def test_an_empty_batch_and_float16():
    y, cache = add(np.zeros((0, 3)), np.zeros((0, 1)))
    assert [dx.shape for dx in add_backward(y, cache)] == [(0, 3), (0, 1)]
    assert multiply(np.ones((2, 2), np.float16), np.ones((2, 2), np.float16))[0].dtype == np.float16


def test_errors():
    with pytest.raises(ValueError, match="at least two arrays but got 1"):
        add(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"add cannot join shapes .* sizes \(3, 4\) in axis 1"):
        add(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="equally many axes"):
        concatenate(np.zeros((2, 3)), np.zeros((2, 3, 1)))
    with pytest.raises(ValueError, match="axis 2 one of them"):
        concatenate(np.zeros((2, 3)), np.zeros((2, 3)), axis=2)
    with pytest.raises(ValueError, match="equal sizes in axis 0"):
        concatenate(np.zeros((2, 3)), np.zeros((3, 3)))
