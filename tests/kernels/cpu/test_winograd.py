"""Winograd's convolution: the textbook's numbers with rounding that is bounded, and plain products for infinities."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.kernels.cpu import threads, winograd
from tinymed.ops import (
    conv2d,
    conv2d_backward,
    conv2d_relu,
    conv2d_relu_backward,
    conv2d_relu_max_pool,
    conv2d_relu_max_pool_backward,
    textbook,
)
from tinymed.ops.windows import plan_windows

PAIRS = [
    (conv2d, conv2d_backward),
    (conv2d_relu, conv2d_relu_backward),
    (conv2d_relu_max_pool, conv2d_relu_max_pool_backward),
]


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


@pytest.fixture
def used(monkeypatch):
    """Record which functions of the module gave a result."""
    seen = []

    def spy(name, real, *args):
        found = real(*args)
        seen.append((name, found is not None))
        return found

    for name in ("convolve", "convolve_and_pool", "gradients"):
        monkeypatch.setattr(winograd, name, functools.partial(spy, name, getattr(winograd, name)))
    return seen


def problem(seed, images=9, size=(9, 8), channels=8, filters=9, dtype="float64"):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((images, *size, channels)).astype(dtype)
    kernel = rng.standard_normal((3, 3, channels, filters)).astype(dtype)
    return x, kernel, rng.standard_normal(filters).astype(dtype)


def all_arrays(pair, x, kernel, bias, padding, input_gradient=True):
    y, cache = pair[0](x, kernel, bias, padding=padding)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    return [y, *pair[1](dy, cache, input_gradient)]


@settings(max_examples=60, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    images=st.integers(1, 18),
    size=st.tuples(st.integers(6, 13), st.integers(6, 13)),
    channels=st.integers(8, 19),
    filters=st.integers(8, 19),
    padding=st.sampled_from(["valid", "same"]),
    bias=st.booleans(),
    input_gradient=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_agrees_with_the_textbook(pair, images, size, channels, filters, padding, bias, input_gradient, dtype):
    x, kernel, offset = problem(images, images, size, channels, filters)
    if dtype == "float32":  # whole numbers: no rounding may decide which of two equal values is the maximum
        x, kernel, offset = (np.rint(3 * a).astype(dtype) for a in (x, kernel, offset))
    arguments = (pair, x, kernel, offset if bias else None, padding, input_gradient)
    found = all_arrays(*arguments)
    with textbook():
        wanted = all_arrays(*arguments)
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max()))


def test_is_what_runs(used):
    x, kernel, bias = problem(0)
    for pair in PAIRS:
        all_arrays(pair, x, kernel, bias, "valid")
    assert used == [
        ("convolve", True), ("gradients", True), ("convolve", True), ("gradients", True),
        ("convolve_and_pool", True), ("gradients", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "window, options, channels, filters, size, fits",
    [
        ((3, 3), {}, 8, 8, (6, 6), True),
        ((3, 3), {"padding": "same"}, 8, 8, (4, 4), True),
        ((3, 3), {"strides": 2}, 8, 8, (9, 9), False),
        ((3, 3), {"dilation_rate": 2}, 8, 8, (9, 9), False),
        ((5, 5), {}, 8, 8, (9, 9), False),
        ((3, 3), {}, 3, 32, (9, 9), False),
        ((3, 3), {}, 32, 4, (9, 9), False),
        ((3, 3), {}, 8, 8, (5, 5), False),
    ],
)
def test_where_it_is_used(window, options, channels, filters, size, fits):
    windows = plan_windows(size, window, **options)
    kernel = np.ones((*window, channels, filters))
    assert winograd.fits(np.ones((2, *size, channels)), kernel, windows) == fits


def test_rounding_in_single_precision_is_bounded():
    """Against double precision, relative to the largest value: below 2e-6, as plain products are."""
    for seed, (channels, filters) in enumerate([(8, 8), (32, 64), (64, 128)]):
        x, kernel, bias = problem(seed, 8, (15, 14), channels, filters)
        x += 3  # images are not centred
        arguments = [a.astype("float32") for a in (x, kernel, bias)]
        found = all_arrays(PAIRS[0], *arguments, "same")
        with textbook():
            wanted = all_arrays(PAIRS[0], *[a.astype("float64") for a in arguments], "same")
            plain = all_arrays(PAIRS[0], *arguments, "same")
        for a, b, c in zip(found, wanted, plain, strict=True):
            largest = np.abs(b).max()
            assert np.abs(a - b).max() < 2e-6 * largest
            assert np.abs(c - b).max() < 2e-6 * largest


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_infinity_stays_where_it_belongs(pair, value, used):
    x, kernel, bias = problem(3, dtype="float32")
    x[2, 4, 5, 1] = value
    with np.errstate(all="ignore"):
        found = all_arrays(pair, x, kernel, bias, "valid")
        with textbook():
            wanted = all_arrays(pair, x, kernel, bias, "valid")
    assert ("gradients", False) in used or not any(worked for name, worked in used if name != "gradients")
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(np.isnan(a), np.isnan(b))
        assert np.array_equal(np.isinf(a), np.isinf(b))


def test_same_bits_for_any_number_of_threads():
    x, kernel, bias = problem(5, 17, (12, 11), 16, 24, "float32")
    for pair in PAIRS:
        results = []
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            results.append(all_arrays(pair, x, kernel, bias, "same"))
        for other in results[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_way_back_of_a_kernel_is_the_transpose():
    rng = np.random.default_rng(0)
    kernel, du = rng.standard_normal((3, 3, 4, 5)), rng.standard_normal((16, 4, 5))
    there = np.sum(winograd.transform_kernel(kernel) * du)
    assert there == pytest.approx(np.sum(kernel * winograd.transform_kernel_back(du)), rel=1e-12)
