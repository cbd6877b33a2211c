"""Windows: where they lie, what they see, and the way back."""

import itertools

import numpy as np
import pytest

from tinymed.ops import im2col, im2col_backward, textbook
from tinymed.ops.windows import count_windows, pad_image, per_axis, plan_windows, sum_taps, taps


@pytest.fixture(params=["kernels", "textbook"], autouse=True)
def body(request):
    if request.param == "kernels":
        yield
    else:
        with textbook():
            yield


def naive_columns(x, windows):
    """Look every pixel up, one at a time."""
    out = np.zeros((x.shape[0], *windows.counts, *windows.window, x.shape[-1]), x.dtype)
    for n in range(x.shape[0]):
        for place in itertools.product(*map(range, windows.counts)):
            for position in itertools.product(*map(range, windows.window)):
                pixel = [
                    i * s + p * d - before
                    for i, s, p, d, (before, _) in zip(
                        place, windows.strides, position, windows.dilation, windows.pads, strict=True
                    )
                ]
                if all(0 <= at < size for at, size in zip(pixel, windows.image, strict=True)):
                    out[(n, *place, *position)] = x[(n, *pixel)]
    return out.reshape(*out.shape[: len(windows.counts) + 1], -1)


CASES = [
    ((2, 5, 4, 3), (3, 2), 1, "valid", 1),
    ((1, 7, 6, 2), 3, (3, 2), "same", 1),
    ((2, 8, 7, 1), (2, 3), (2, 1), "valid", (3, 2)),
    ((1, 6, 5, 2), (5, 2), 1, "same", 2),
    ((1, 4, 5, 2), 2, 2, ((2, 1), (0, 3)), 1),
    ((3, 6, 2), 3, 2, "causal", 2),
    ((2, 1, 3), 4, 1, "same", 1),
    ((1, 3, 4, 5, 2), (2, 1, 3), (1, 2, 2), "same", 1),
]


@pytest.mark.parametrize(("shape", "window", "strides", "padding", "dilation"), CASES)
def test_columns_hold_what_a_naive_loop_finds(shape, window, strides, padding, dilation):
    x = np.random.default_rng(0).standard_normal(shape)
    columns, windows = im2col(x, window, strides, padding, dilation)
    np.testing.assert_array_equal(columns, naive_columns(x, windows))


@pytest.mark.parametrize(("shape", "window", "strides", "padding", "dilation"), CASES)
def test_backward_is_the_exact_adjoint(shape, window, strides, padding, dilation):
    rng = np.random.default_rng(1)
    x = rng.integers(-9, 9, shape).astype(float)
    columns, cache = im2col(x, window, strides, padding, dilation)
    dcolumns = rng.integers(-9, 9, columns.shape).astype(float)
    dx = im2col_backward(dcolumns, cache)
    assert dx.shape == x.shape
    assert np.sum(columns * dcolumns) == np.sum(x * dx)  # small whole numbers: no rounding at all


@pytest.mark.parametrize(
    ("size", "window", "stride", "before", "after", "count"),
    [(5, 2, 1, 0, 1, 5), (5, 3, 2, 1, 1, 3), (6, 3, 2, 0, 1, 3), (4, 1, 3, 0, 0, 2), (2, 5, 1, 2, 2, 2)],
)
def test_same_padding_is_keras_padding(size, window, stride, before, after, count):
    windows = plan_windows((size,), window, stride, "same")
    assert windows.pads == ((before, after),)
    assert windows.counts == (count,) == (count_windows(size, window, stride, 1, "same"),)


def test_causal_padding_lies_in_front():
    windows = plan_windows((6,), 3, 1, "causal", 2)
    assert windows.pads == ((4, 0),)
    assert windows.counts == (6,)


def test_padding_and_taps():
    x = np.arange(4.0).reshape(1, 4, 1)
    windows = plan_windows((4,), 2, 2, ((1, 1),))
    np.testing.assert_array_equal(pad_image(x, windows, -1.0)[0, :, 0], [-1, 0, 1, 2, 3, -1])
    seen = list(taps(x, windows))
    np.testing.assert_array_equal([tap[0, :, 0] for tap in seen], [[0, 1, 3], [0, 2, 0]])
    np.testing.assert_array_equal(sum_taps(seen, windows), x)


def test_unpadded_image_is_not_copied():
    x = np.ones((1, 3, 1))
    assert pad_image(x, plan_windows((3,), 2)) is x


def test_columns_and_gradient_share_no_memory():
    x = np.ones((1, 2, 2, 1))
    columns, cache = im2col(x, 1)
    assert not np.shares_memory(columns, x)
    assert not np.shares_memory(im2col_backward(columns, cache), columns)


def test_empty_batch():
    columns, cache = im2col(np.empty((0, 4, 4, 2), np.float32), 3)
    assert columns.shape == (0, 2, 2, 18)
    assert im2col_backward(columns, cache).shape == (0, 4, 4, 2)


def test_complex_numbers_pass_through():
    x = np.ones((1, 3, 3, 1)) + 1j
    columns, cache = im2col(x, 2)
    assert columns.dtype == np.complex128
    assert im2col_backward(columns, cache)[0, 1, 1, 0] == 4 + 4j


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3, 3), 4), r"window of \(4, 4\) does not fit into an image of \(3, 3\) .*padding='same'"),
        (((3, 3), 2, 1, "valid", 3), r"\(2, 2\) \(\(4, 4\) with its dilation\) does not fit"),
        (((3, 3), 2, 1, "full"), "padding must be 'valid' or 'same' for 2 spatial axes, got 'full'"),
        (((3, 3), 2, 1, "causal"), "'valid' or 'same'"),
        (((3,), 2, 1, "full"), "'valid', 'same' or 'causal'"),
        (((3, 3), (2, 2, 2)), r"window size needs a positive whole number, or 2 of them, but got \(2, 2, 2\)"),
        (((3, 3), 2, 0), "strides needs a positive whole number"),
        (((3, 3), 1.5), "got 1.5"),
    ],
)
def test_errors_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_windows(*arguments)


def test_per_axis_refuses_names():
    with pytest.raises(ValueError, match="kernel_size"):
        per_axis("33", 2, "kernel_size")
