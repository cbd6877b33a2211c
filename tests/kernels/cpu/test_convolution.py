"""Convolution kernels: the textbook's numbers, the same bits for any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.kernels.cpu import convolution, threads
from tinymed.ops import REGISTRY, conv2d, conv2d_backward, im2col, textbook
from tinymed.ops.windows import plan_windows


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


@st.composite
def problems(draw):
    axes = draw(st.integers(1, 3))
    sizes = st.tuples(*[st.integers(1, 9)] * axes)
    small = st.tuples(*[st.integers(1, 4)] * axes)
    steps = st.tuples(*[st.integers(1, 3)] * axes)
    return {
        "image": (draw(st.integers(1, 3)), *draw(sizes), draw(st.integers(1, 5))),
        "window": draw(small),
        "options": {
            "strides": draw(steps),
            "dilation_rate": draw(steps),
            "padding": draw(st.sampled_from(["valid", "same"])),
        },
        "filters": draw(st.integers(1, 4)),
        "order": draw(st.sampled_from("CF")),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "seed": draw(st.integers(0, 99)),
    }


def gradients(operation, arguments, options, rng_seed):
    """Run forward and backward with a random upstream gradient; return all arrays, or the error's text."""
    try:
        y, cache = operation.forward(*arguments, **options)
    except ValueError as error:
        return str(error)
    dy = np.random.default_rng(rng_seed).standard_normal(y.shape).astype(y.dtype)
    back = operation.backward(dy, cache)
    return [y, *(back if isinstance(back, tuple) else (back,))]


@settings(max_examples=60, deadline=None)
@given(problems())
def test_agrees_with_the_textbook_and_with_itself(problem):
    rng = np.random.default_rng(problem["seed"])
    dtype, axes = problem["dtype"], len(problem["window"])
    x = rng.standard_normal(problem["image"]).astype(dtype, order=problem["order"])
    kernel = rng.standard_normal((*problem["window"], x.shape[-1], problem["filters"])).astype(dtype)
    bias = rng.standard_normal(problem["filters"]).astype(dtype)
    for name, arguments in ((f"conv{axes}d", (x, kernel, bias)), ("im2col", (x, problem["window"]))):
        run = [REGISTRY[name], arguments, problem["options"], problem["seed"]]
        with textbook():
            expected = gradients(*run)
        threads.set_num_threads(1)
        one = gradients(*run)
        threads.set_num_threads(2)
        two = gradients(*run)
        if isinstance(expected, str):
            assert one == two == expected
            continue
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        for a, b, c in zip(expected, one, two, strict=True):
            assert a.dtype == b.dtype == c.dtype
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(1, np.abs(a).max(initial=0)))
            assert b.tobytes() == c.tobytes()


@pytest.mark.parametrize("strides", [1, 2])
def test_many_tiles_give_the_same_bits_for_any_number_of_threads(strides):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 40, 40, 24)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 24, 16)).astype(np.float32)
    results = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        y, cache = conv2d(x, kernel, strides=strides)
        results.append([a.tobytes() for a in (y, *conv2d_backward(y, cache)[:2])])
    assert results[0] == results[1] == results[2]
    with textbook():
        np.testing.assert_allclose(y, conv2d(x, kernel, strides=strides)[0], atol=1e-3)


def test_other_dtypes_go_to_the_textbook():
    x = np.arange(16).reshape(1, 4, 4, 1)
    y, cache = conv2d(x, np.ones((2, 2, 1, 1), int))
    assert y.dtype == np.dtype(int)
    assert conv2d_backward(y, cache)[0].dtype == np.dtype(int)
    assert im2col(x, 2)[0].dtype == np.dtype(int)
    assert conv2d(x.astype(np.float32), np.ones((2, 2, 1, 1)))[0].dtype == np.float64  # mixed


def test_half_precision_is_computed_in_single():
    x = np.full((1, 64, 64, 1), 10.0, np.float16)
    y, _ = conv2d(x, np.full((1, 64, 1, 1), 10.0, np.float16))
    assert y.dtype == np.float16
    assert y[0, 0, 0, 0] == 6400


def test_nan_and_infinity_pass_through():
    x = np.ones((1, 3, 3, 1), np.float32)
    x[0, 0, 0] = np.nan
    x[0, 2, 2] = np.inf
    y, _ = conv2d(x, np.ones((2, 2, 1, 1), np.float32))
    np.testing.assert_array_equal(y[0, :, :, 0], [[np.nan, 4.0], [4.0, np.inf]])


def test_supported():
    single, double = np.ones(1, np.float32), np.ones(1)
    assert convolution.supported(single, None, single)
    assert convolution.supported(double)
    assert not convolution.supported(single, double)
    assert not convolution.supported(double + 1j)


def test_geometry_puts_signals_and_images_into_three_axes():
    windows = plan_windows((7, 5), (3, 2), (2, 1), "same")
    assert convolution.geometry(windows, 4) == (1, 7, 5, 1, 3, 2, 1, 2, 1, 1, 1, 1, 0, 1, 0, 1, 4, 5, 4)


def test_inputs_are_not_changed():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) for s in ((2, 5, 5, 3), (2, 2, 3, 4), (4,))]
    copies = [a.copy() for a in arrays]
    y, cache = conv2d(*arrays)
    before = y.copy()
    conv2d_backward(y, cache)
    for a, b in zip([*arrays, y], [*copies, before], strict=True):
        np.testing.assert_array_equal(a, b)
