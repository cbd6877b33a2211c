"""Pooling against a naive loop, with ties, NaN and windows over the edge."""

import itertools

import numpy as np
import pytest

from tinymed import ops
from tinymed.ops import (
    average_pool1d,
    average_pool2d,
    average_pool2d_backward,
    max_pool1d,
    max_pool1d_backward,
    max_pool2d,
    max_pool2d_backward,
    textbook,
)
from tinymed.ops.pooling import plan_pool, winner_dtype
from tinymed.ops.windows import plan_windows


@pytest.fixture(params=["kernels", "textbook"], autouse=True)
def body(request):
    if request.param == "kernels":
        yield
    else:
        with textbook():
            yield


def naive(x, dy, reduce, pool, strides, padding):
    """Pool one window at a time; return y and, for the upstream gradient dy, dx."""
    windows = plan_windows(x.shape[1:-1], pool, strides, padding)
    y, dx = np.empty((x.shape[0], *windows.counts, x.shape[-1])), np.zeros(x.shape)
    for n, c in itertools.product(range(x.shape[0]), range(x.shape[-1])):
        for place in itertools.product(*map(range, windows.counts)):
            box = [
                range(max(i * s - b, 0), min(i * s - b + k, size))
                for i, s, k, (b, _), size in zip(
                    place, windows.strides, windows.window, windows.pads, windows.image, strict=True
                )
            ]
            pixels = list(itertools.product(*box))
            values = [x[(n, *pixel, c)] for pixel in pixels]
            y[(n, *place, c)] = reduce(values)
            if dy is None:
                continue
            upstream = dy[(n, *place, c)]
            if reduce is np.max:
                dx[(n, *pixels[int(np.argmax(values))], c)] += upstream
            else:
                for pixel in pixels:
                    dx[(n, *pixel, c)] += upstream / len(values)
    return y, dx


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("kind", "reduce"), [("max", np.max), ("average", np.mean)])
@pytest.mark.parametrize(
    ("pool", "strides", "padding"),
    [(2, None, "valid"), (3, 2, "same"), (3, 1, "same"), (2, 3, "valid"), (1, 2, "same")],
)
def test_against_a_naive_loop(axes, kind, reduce, pool, strides, padding):
    rng = np.random.default_rng(axes)
    x = rng.integers(0, 4, (2, *(7, 6, 5)[:axes], 2)).astype(float)  # many ties
    forward, backward = getattr(ops, f"{kind}_pool{axes}d"), getattr(ops, f"{kind}_pool{axes}d_backward")
    y, cache = forward(x, pool, strides, padding)
    dy = rng.standard_normal(y.shape)
    expected, dx = naive(x, dy, reduce, pool, strides or pool, padding)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_allclose(backward(dy, cache), dx, atol=1e-12)


def test_windows_of_two_sizes_are_not_exchanged():
    x = np.arange(24.0).reshape(1, 4, 6, 1)
    assert max_pool2d(x, (1, 3))[0].shape == (1, 4, 2, 1)
    assert average_pool2d(x, (2, 3), strides=(2, 1))[0].shape == (1, 2, 4, 1)


def test_the_first_of_equal_maxima_takes_all():
    x = np.array([3.0, 3.0, 1.0, 3.0]).reshape(1, 4, 1)
    _, cache = max_pool1d(x, 4)
    np.testing.assert_array_equal(max_pool1d_backward(np.ones((1, 1, 1)), cache)[0, :, 0], [1, 0, 0, 0])


def test_nan_stays_nan_and_infinities_count():
    nan, inf = np.nan, np.inf
    x = np.array([1, nan, -inf, -inf, inf, 2, nan, nan]).reshape(1, 8, 1)
    y, cache = max_pool1d(x)
    np.testing.assert_array_equal(y[0, :, 0], [nan, -inf, inf, nan])
    dx = max_pool1d_backward(np.ones((1, 4, 1)), cache)
    np.testing.assert_array_equal(dx[0, :, 0], [0, 1, 1, 0, 1, 0, 1, 0])
    np.testing.assert_array_equal(average_pool1d(x[:, :2])[0], [[[nan]]])


def test_the_edge_does_not_win_over_minus_infinity():
    x = np.full((1, 1, 1, 1), -np.inf)
    y, cache = max_pool2d(x, 3, 1, "same")
    assert y.item() == -np.inf
    assert max_pool2d_backward(np.full((1, 1, 1, 1), 5.0), cache).item() == 5.0


def test_the_edge_does_not_dilute_the_mean():
    x = np.full((1, 3, 3, 1), -1000.0)  # air in Hounsfield units
    y, _ = average_pool2d(x, 2, 1, "same")
    np.testing.assert_array_equal(y, np.full((1, 3, 3, 1), -1000.0))


def test_single_precision_stays_single():
    x = np.ones((1, 5, 5, 2), np.float32)
    for forward, backward in ((max_pool2d, max_pool2d_backward), (average_pool2d, average_pool2d_backward)):
        y, cache = forward(x, 2, 2, "same")
        assert y.dtype == backward(y, cache).dtype == np.float32


def test_the_winner_is_kept_in_a_byte_where_that_is_enough():
    x = np.zeros((1, 300, 1))
    x[0, 299] = 1.0
    y, cache = max_pool1d(x, 300)
    assert cache[0].dtype == np.int32
    assert np.argmax(max_pool1d_backward(np.ones_like(y), cache)) == 299
    assert winner_dtype(plan_pool(x, 256, None, "valid", 1)) == "uint8"


def test_cache_of_one_body_suits_the_other():
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3))
    y, cache = max_pool2d(x)
    with textbook():
        dx = max_pool2d_backward(y, cache)
    np.testing.assert_array_equal(dx, max_pool2d_backward(y, cache))


def test_empty_batch():
    y, cache = max_pool2d(np.empty((0, 4, 4, 2)))
    assert y.shape == (0, 2, 2, 2)
    assert max_pool2d_backward(y, cache).shape == (0, 4, 4, 2)


@pytest.mark.parametrize("forward", [max_pool2d, average_pool2d])
def test_errors_say_what_is_wrong(forward):
    with pytest.raises(ValueError, match=r"does not fit into an image of \(1, 3\)"):
        forward(np.ones((1, 1, 3, 1)))
    with pytest.raises(ValueError, match="4 axes but got shape"):
        forward(np.ones((4, 4, 1)))
    with pytest.raises(ValueError, match="padding must be"):
        forward(np.ones((1, 4, 4, 1)), padding="causal")
