"""Flatten, reshape, permute, repeat, zero padding and cropping."""

import math

import array_api_strict
import numpy as np
import pytest

from tinymed.ops import shaping
from tinymed.ops.shaping import (
    cropping,
    cropping_backward,
    flatten,
    flatten_backward,
    full_shape,
    permute,
    permute_backward,
    repeat_vector,
    repeat_vector_backward,
    reshape,
    reshape_backward,
    zero_padding,
    zero_padding_backward,
)

MOVES = [
    pytest.param(flatten, flatten_backward, (2, 3, 4), (), id="flatten"),
    pytest.param(flatten, flatten_backward, (1, 5), (), id="flatten rows"),
    pytest.param(flatten, flatten_backward, (3,), (), id="flatten numbers"),
    pytest.param(reshape, reshape_backward, (2, 6), ((3, -1),), id="reshape"),
    pytest.param(reshape, reshape_backward, (2, 6), ((6,),), id="reshape to itself"),
    pytest.param(permute, permute_backward, (2, 3, 4, 5), ((3, 1, 2),), id="permute"),
    pytest.param(permute, permute_backward, (2, 3, 4), ((1, 2),), id="permute nothing"),
    pytest.param(repeat_vector, repeat_vector_backward, (2, 3), (4,), id="repeat"),
    pytest.param(zero_padding, zero_padding_backward, (2, 4, 3), (((1, 2),),), id="pad 1d"),
    pytest.param(zero_padding, zero_padding_backward, (2, 3, 4, 3), (((1, 2), (0, 3)),), id="pad 2d"),
    pytest.param(zero_padding, zero_padding_backward, (2, 3, 1, 2, 2), (((0, 0), (2, 1), (0, 1)),), id="pad 3d"),
    pytest.param(cropping, cropping_backward, (2, 4, 3), (((1, 2),),), id="crop 1d"),
    pytest.param(cropping, cropping_backward, (2, 5, 4, 3), (((1, 2), (0, 3)),), id="crop 2d"),
    pytest.param(cropping, cropping_backward, (2, 3, 5, 4, 2), (((0, 0), (1, 2), (0, 0)),), id="crop 3d"),
]


@pytest.mark.parametrize(("forward", "backward", "shape", "options"), MOVES)
def test_backward_is_the_adjoint_and_shares_no_memory(forward, backward, shape, options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    y, cache = forward(x, *options)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = backward(dy, cache)
    assert y.dtype == dx.dtype == np.float32
    assert dx.shape == x.shape
    assert not np.shares_memory(dx, dy)
    assert not np.shares_memory(dx, x)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, dx), rel=1e-4)


@pytest.mark.parametrize(("forward", "backward", "shape", "options"), MOVES)
def test_other_array_libraries_and_devices_give_the_same(forward, backward, shape, options):
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    y, cache = forward(x, *options)
    device = array_api_strict.Device("device1")
    strict_y, strict_cache = forward(array_api_strict.asarray(x, device=device), *options)
    strict_dx = backward(strict_y, strict_cache)
    assert strict_y.device == strict_dx.device == device
    np.testing.assert_array_equal(_host(strict_y), y)
    np.testing.assert_array_equal(_host(strict_dx), backward(y, cache))


def _host(x):
    return np.asarray(array_api_strict.asarray(x, device=array_api_strict.Device("CPU_DEVICE")))


def test_values_agree_with_numpy():
    x = np.random.default_rng(1).standard_normal((2, 4, 5, 3))
    np.testing.assert_array_equal(flatten(x)[0], x.reshape(2, -1))
    np.testing.assert_array_equal(reshape(x, (10, -1))[0], x.reshape(2, 10, 6))
    np.testing.assert_array_equal(permute(x, (3, 1, 2))[0], np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(repeat_vector(x[:, 0, 0], 3)[0], np.stack([x[:, 0, 0]] * 3, axis=1))
    padded = np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)))
    np.testing.assert_array_equal(zero_padding(x, ((1, 2), (3, 0)))[0], padded)
    np.testing.assert_array_equal(cropping(padded, ((1, 2), (3, 0)))[0], x)


def test_views_and_an_empty_batch():
    x = np.zeros((0, 4, 6))
    assert flatten(x)[0].shape == (0, 24)
    assert reshape(x, (8, -1))[0].shape == (0, 8, 3)
    assert zero_padding(x, ((1, 1),))[0].shape == (0, 6, 6)
    backwards = np.arange(6.0).reshape(1, 2, 3)[:, ::-1, ::-1]
    np.testing.assert_array_equal(flatten(backwards)[0], [[5, 4, 3, 2, 1, 0]])


def test_errors_say_what_does_not_fit():
    x = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"shape \(3, 4\) hold 12 values, which cannot become \(5, 2\)"):
        reshape(x, (5, 2))
    with pytest.raises(ValueError, match=r"cannot become \(5, -1\) \(a multiple of 5 values\)"):
        full_shape((3, 4), (5, -1))
    with pytest.raises(ValueError, match="-1 once"):
        full_shape((3, 4), (-1, -1))
    with pytest.raises(ValueError, match="positive sizes"):
        full_shape((3, 4), (0, -1))
    with pytest.raises(ValueError, match=r"axes 1 to 2 once but got \(0, 1\)"):
        permute(x, (0, 1))
    with pytest.raises(ValueError, match=r"\(N, D\) but got shape \(2, 3, 4\)"):
        repeat_vector(x, 2)
    with pytest.raises(ValueError, match="pair for each of 1 axes"):
        zero_padding(x, ((1, 1), (1, 1)))
    with pytest.raises(ValueError, match="at least 0"):
        cropping(x, ((-1, 1),))
    with pytest.raises(ValueError, match="leaves nothing"):
        shaping.cropping(x, ((1, 2),))
