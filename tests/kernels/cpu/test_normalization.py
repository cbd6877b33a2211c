"""Batch normalisation kernel: the textbook's numbers, the same bits for any number of threads, exact far from zero."""

import numpy as np
import pytest

from tinymed.kernels.cpu import normalization, threads
from tinymed.ops import batch_norm, batch_norm_backward, textbook


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


def both(x, gamma, beta, dy):
    y, cache = batch_norm(x, gamma, beta)
    return [y, cache.normalized, cache.scale, cache.mean, cache.variance, *batch_norm_backward(dy, cache)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 3), (40, 7, 5, 33), (9000, 1), (3, 2, 9000)], ids=str)
@pytest.mark.parametrize("weights", [(True, True), (True, False), (False, False)], ids=str)
def test_agrees_with_the_textbook_for_any_number_of_threads(shape, dtype, weights):
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(shape[-1]).astype(dtype) if given else None for given in weights)
    with textbook():
        wanted = both(x, gamma, beta, dy)
    threads.set_num_threads(1)
    one = both(x, gamma, beta, dy)
    threads.set_num_threads(3)
    three = both(x, gamma, beta, dy)
    tolerance = 2e-5 if dtype == "float32" else 1e-11
    for a, b, c in zip(wanted, one, three, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype and a.shape == b.shape and b.tobytes() == c.tobytes()
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(np.max(np.abs(a)), 1))


def test_a_small_deviation_far_from_zero():
    rng = np.random.default_rng(0)
    x = (-1000 + 0.2 * rng.standard_normal((64, 20, 20, 3))).astype("float32")
    y, cache = batch_norm(x, epsilon=0.0)
    exact = x.astype("float64")
    np.testing.assert_allclose(cache.variance, exact.var(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(y, (exact - exact.mean(axis=(0, 1, 2))) / exact.std(axis=(0, 1, 2)), atol=2e-6)


def test_nan_stays_in_its_channel():
    x = np.random.default_rng(0).standard_normal((50, 4)).astype("float32")
    x[3, 1] = np.nan
    y, _ = batch_norm(x)
    assert np.isnan(y[:, 1]).all() and np.isfinite(y[:, [0, 2, 3]]).all()


def test_blocks_write_only_their_own_rows():
    x = np.arange(12.0)
    means, squares = np.full((3, 2), -7.0), np.full((3, 2), -7.0)
    normalization.moments(1, 2, x, 2, means, squares)
    np.testing.assert_array_equal(means, [[-7, -7], [5, 6], [-7, -7]])
    np.testing.assert_array_equal(squares, [[-7, -7], [2, 2], [-7, -7]])


def test_what_it_cannot_do_is_left_to_the_textbook():
    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    for axis in (0, 1):
        y, cache = batch_norm(x, axis=axis)
        with textbook():
            wanted, same = batch_norm(x, axis=axis)
            gradient = batch_norm_backward(x, same)[0]
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(batch_norm_backward(x, cache)[0], gradient)
    with pytest.raises(ValueError, match="expects weights of shape"):
        batch_norm(x, np.ones(3))
    with pytest.raises(ValueError, match="at least one value"):
        batch_norm(x[:0])
