"""Convolution against SciPy's and against numbers worked out by hand."""

import numpy as np
import pytest
from scipy.signal import correlate

from tinymed import ops
from tinymed.ops import conv1d, conv2d, conv2d_backward, conv3d, textbook


@pytest.fixture(params=["kernels", "textbook"], autouse=True)
def body(request):
    if request.param == "kernels":
        yield
    else:
        with textbook():
            yield


def oracle(x, kernel, mode):
    """Correlate channel by channel with SciPy, stride 1."""
    out = [
        sum(correlate(x[n, ..., c], kernel[..., c, f], mode) for c in range(x.shape[-1]))
        for n in range(x.shape[0])
        for f in range(kernel.shape[-1])
    ]
    out = np.reshape(out, (x.shape[0], kernel.shape[-1], *out[0].shape))
    return np.moveaxis(out, 1, -1)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("padding", "mode"), [("valid", "valid"), ("same", "same")])
def test_against_scipy(axes, padding, mode):
    rng = np.random.default_rng(axes)
    x = rng.standard_normal((2, *(7, 6, 5)[:axes], 3))
    kernel = rng.standard_normal((*(3, 5, 3)[:axes], 3, 4))
    bias = rng.standard_normal(4)
    y, _ = getattr(ops, f"conv{axes}d")(x, kernel, bias, padding=padding)
    np.testing.assert_allclose(y, oracle(x, kernel, mode) + bias, atol=1e-12)


def test_strides_pick_every_other_window():
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 8, 9, 3)), rng.standard_normal((3, 2, 3, 4))
    y, _ = conv2d(x, kernel, strides=(2, 3))
    np.testing.assert_allclose(y, oracle(x, kernel, "valid")[:, ::2, ::3], atol=1e-12)


def test_dilation_is_a_kernel_with_zeros_between():
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((1, 9, 9, 2)), rng.standard_normal((3, 2, 2, 3))
    spread = np.zeros((5, 4, 2, 3))
    spread[::2, ::3] = kernel
    y, _ = conv2d(x, kernel, dilation_rate=(2, 3))
    np.testing.assert_allclose(y, oracle(x, spread, "valid"), atol=1e-12)


def test_groups_see_only_their_channels():
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 5, 5, 4)), rng.standard_normal((3, 3, 2, 6))
    y, cache = conv2d(x, kernel, groups=2)
    dy = rng.standard_normal(y.shape)
    dx, dkernel, _ = conv2d_backward(dy, cache)
    for g in range(2):
        channels, filters = slice(2 * g, 2 * g + 2), slice(3 * g, 3 * g + 3)
        alone, cache = conv2d(x[..., channels], kernel[..., filters])
        np.testing.assert_allclose(y[..., filters], alone, atol=1e-12)
        dx_alone, dkernel_alone, _ = conv2d_backward(dy[..., filters], cache)
        np.testing.assert_allclose(dx[..., channels], dx_alone, atol=1e-12)
        np.testing.assert_allclose(dkernel[..., filters], dkernel_alone, atol=1e-12)


def test_causal_outputs_see_no_later_input():
    x = np.random.default_rng(0).standard_normal((1, 8, 2))
    kernel = np.random.default_rng(1).standard_normal((3, 2, 1))
    later = x.copy()
    later[:, 5:] += 1.0
    y, _ = conv1d(x, kernel, padding="causal", dilation_rate=2)
    z, _ = conv1d(later, kernel, padding="causal", dilation_rate=2)
    np.testing.assert_array_equal(y[:, :5], z[:, :5])
    assert np.all(y[:, 5:] != z[:, 5:])


def test_the_kernel_is_not_flipped():
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1] = 1.0
    kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    y, _ = conv2d(x, kernel, padding="same")
    np.testing.assert_array_equal(y[0, :, :, 0], kernel[::-1, ::-1, 0, 0])  # the image of a point is the kernel, turned


def test_gradients_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
    kernel = np.array([10.0, 20.0]).reshape(1, 2, 1, 1)
    y, cache = conv2d(x, kernel, np.array([0.5]))
    np.testing.assert_array_equal(y.ravel(), [50.5, 110.5])
    dx, dkernel, dbias = conv2d_backward(np.array([1.0, -2.0]).reshape(1, 2, 1, 1), cache)
    np.testing.assert_array_equal(dx.ravel(), [10.0, 20.0, -20.0, -40.0])
    np.testing.assert_array_equal(dkernel.ravel(), [1.0 - 6.0, 2.0 - 8.0])
    np.testing.assert_array_equal(dbias, [-1.0])


def test_input_gradient_is_left_out_on_request():
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((1, 4, 4, 2)), rng.standard_normal((2, 2, 2, 3))
    y, cache = conv2d(x, kernel)
    dx, dkernel, dbias = conv2d_backward(y, cache, input_gradient=False)
    assert dx is None
    assert dbias is None
    np.testing.assert_allclose(dkernel, conv2d_backward(y, cache)[1])


def test_columns_are_not_kept():
    x = np.ones((1, 16, 16, 4))
    _, cache = conv2d(x, np.ones((5, 5, 4, 2)))
    kept = sum(item.nbytes for item in cache if isinstance(item, np.ndarray))
    assert kept == x.nbytes + 5 * 5 * 4 * 2 * 8


@pytest.mark.parametrize("layout", ["fortran", "reversed", "strided"])
def test_any_memory_layout(layout):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((2, 3, 3, 4))
    other = {
        "fortran": np.asfortranarray(x),
        "reversed": x[:, ::-1].copy()[:, ::-1],
        "strided": np.repeat(x, 2, axis=2)[:, :, ::2],
    }[layout]
    y, cache = conv2d(x, kernel)
    z, cache_of_other = conv2d(other, np.asfortranarray(kernel))
    np.testing.assert_allclose(z, y, rtol=1e-12)
    dy = np.asfortranarray(rng.standard_normal(y.shape))
    for a, b in zip(conv2d_backward(dy, cache)[:2], conv2d_backward(dy, cache_of_other)[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_single_precision_stays_single():
    x, kernel, bias = (np.ones(s, np.float32) for s in ((1, 4, 4, 2), (3, 3, 2, 3), (3,)))
    y, cache = conv2d(x, kernel, bias, strides=2, padding="same")
    assert [a.dtype for a in (y, *conv2d_backward(y, cache))] == [np.float32] * 4


def test_complex_numbers_pass_through():
    y, _ = conv2d(np.full((1, 2, 2, 1), 1j), np.ones((2, 2, 1, 1)))
    assert y.item() == 4j


def test_empty_batch():
    y, cache = conv2d(np.empty((0, 5, 5, 2)), np.ones((3, 3, 2, 4)), np.ones(4))
    assert y.shape == (0, 3, 3, 4)
    dx, dkernel, dbias = conv2d_backward(y, cache)
    assert dx.shape == (0, 5, 5, 2)
    assert not dkernel.any()
    assert not dbias.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv2d(np.ones((1, 4, 4, 3)), np.ones((2, 2, 2, 5))),
            r"conv2d expects x with 2 channels last.*4, 4, 3",
        ),
        (lambda: conv2d(np.ones((1, 4, 4, 3)), np.ones((2, 2, 2, 4)), groups=2), "4 channels in 2 groups of 2"),
        (lambda: conv2d(np.ones((1, 4, 4, 4)), np.ones((2, 2, 2, 5)), groups=2), "cannot divide 5 filters into 2"),
        (lambda: conv2d(np.ones((4, 4, 3)), np.ones((2, 2, 3, 5))), "conv2d expects x and kernel with 4 axes"),
        (lambda: conv3d(np.ones((1, 4, 4, 3)), np.ones((2, 2, 3, 5))), "conv3d expects x and kernel with 5 axes"),
        (lambda: conv1d(np.ones((1, 4, 3)), np.ones((5, 3, 1))), "does not fit"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
