"""Convolution, ReLU and maximum in one pass: the textbook's numbers, the same bits for any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.kernels.cpu import fused, threads
from tinymed.ops import conv2d_relu_max_pool, conv2d_relu_max_pool_backward, textbook


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


def problem(seed, dtype="float64", shape=(9, 8, 7, 3), window=(3, 2), filters=4):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    kernel = rng.standard_normal((*window, shape[-1], filters)).astype(dtype)
    return x, kernel, rng.standard_normal(filters).astype(dtype)


def all_arrays(x, kernel, bias, input_gradient=True, **options):
    y, cache = conv2d_relu_max_pool(x, kernel, bias, **options)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    return [y, *conv2d_relu_max_pool_backward(dy, cache, input_gradient)]


def assert_same(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(7, 19),
    size=st.tuples(st.integers(2, 11), st.integers(2, 11)),
    channels=st.integers(1, 5),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    filters=st.integers(1, 18),
    options=st.fixed_dictionaries(
        {
            "strides": st.integers(1, 3),
            "dilation_rate": st.integers(1, 2),
            "padding": st.sampled_from(["valid", "same"]),
            "pool_size": st.sampled_from([2, (2, 2), 3]),
            "pool_strides": st.sampled_from([None, 2, 1]),
        }
    ),
    bias=st.booleans(),
    input_gradient=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_agrees_with_the_textbook_and_with_itself(
    images, size, channels, window, filters, options, bias, input_gradient, dtype
):
    x, kernel, offset = problem(images, dtype, (images, *size, channels), window, filters)
    arguments = (x, kernel, offset if bias else None, input_gradient)
    try:
        with textbook():
            wanted = all_arrays(*arguments, **options)
    except ValueError as error:
        with pytest.raises(ValueError) as found:
            all_arrays(*arguments, **options)
        assert str(found.value) == str(error)
        return
    assert_same(all_arrays(*arguments, **options), wanted, 1e-12 if dtype == "float64" else 1e-5)


def test_the_kernel_is_used_where_it_can_be():
    x, kernel, bias = problem(0)
    kept = conv2d_relu_max_pool(x, kernel, bias)[1]
    assert isinstance(kept, fused._Kept)
    assert kept.winner.dtype == np.uint8
    for options in ({"pool_size": 3}, {"pool_strides": 1}, {"pool_padding": "same"}, {"dilation_rate": 7}):
        try:
            _, cache = conv2d_relu_max_pool(x, kernel, bias, **options)
        except ValueError:
            continue
        assert not isinstance(cache, fused._Kept)
    assert not isinstance(conv2d_relu_max_pool(x[:1], kernel, bias)[1], fused._Kept)


def test_same_bits_for_any_number_of_threads():
    arrays = problem(0, "float32", (33, 40, 37, 24), (3, 3), 16)
    results = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        results.append([a.tobytes() for a in all_arrays(*arrays)])
    assert results[0] == results[1] == results[2]


def test_of_equal_values_the_first_wins_and_nan_before_all():
    x = np.zeros((8, 2, 4, 1), np.float32)
    x[:, 0, 1] = x[:, 1, 0] = 5
    x[:, 1, 3] = np.nan
    one = np.ones((1, 1, 1, 1), np.float32)
    y, cache = conv2d_relu_max_pool(x, one)
    assert cache.winner[0, 0, :, 0].tolist() == [1, 3]
    np.testing.assert_array_equal(y[3, 0, :, 0], [5, np.nan])
    dx, _, dbias = conv2d_relu_max_pool_backward(np.ones_like(y), cache)
    assert dbias is None
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 1, 0, 0], [0, 0, 0, 0]])  # NaN > 0 is false


def test_infinity_passes():
    x = np.zeros((8, 2, 2, 1), np.float32)
    x[:, 1, 1] = np.inf
    y, _ = conv2d_relu_max_pool(x, np.ones((1, 1, 1, 1), np.float32))
    assert (y == np.inf).all()


def test_a_line_and_a_column_left_over_receive_zeros():
    x = np.ones((8, 5, 5, 1), np.float32)
    y, cache = conv2d_relu_max_pool(x, np.ones((1, 1, 1, 2), np.float32))
    assert y.shape == (8, 2, 2, 2)
    dx, _, _ = conv2d_relu_max_pool_backward(np.ones_like(y), cache)
    assert dx[0, :, :, 0].tolist() == [[2, 0, 2, 0, 0], [0] * 5, [2, 0, 2, 0, 0], [0] * 5, [0] * 5]


def test_inputs_are_not_changed():
    arrays = problem(0)
    copies = [a.copy() for a in arrays]
    all_arrays(*arrays)
    for a, b in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_any_memory_layout():
    x, kernel, bias = problem(0)
    assert_same(all_arrays(np.asfortranarray(x), np.asfortranarray(kernel), bias[::1]), all_arrays(x, kernel, bias), 0)
