"""The loops of convolution, one by one."""

import numpy as np
import pytest

from tinymed.kernels.cpu import tiles
from tinymed.kernels.cpu.convolution import geometry
from tinymed.ops import conv2d, conv2d_backward, textbook
from tinymed.ops.windows import im2col, im2col_backward, plan_windows


@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("options", [{}, {"padding": "same"}, {"strides": 2}, {"dilation_rate": 2, "padding": "same"}])
def test_columns_of_some_windows_and_the_way_back(channels, options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6, 7, channels))
    windows = plan_windows((6, 7), (3, 3), **options)
    shape, size = geometry(windows, channels), 9 * channels
    with textbook():
        wanted = im2col(x, (3, 3), **options)[0].reshape(-1, size)
    last = len(wanted)
    for first, end in ((0, last), (3, 7), (last - 1, last)):
        columns = np.full((end - first) * size, 7.0)
        tiles.fill_columns(x.reshape(-1), columns, first, end, shape)
        np.testing.assert_array_equal(columns.reshape(-1, size), wanted[first:end])
    columns = rng.standard_normal(wanted.shape)
    dx = np.zeros(x.size)
    tiles.add_columns(columns[:5].reshape(-1), dx, 0, 5, shape)
    tiles.add_columns(columns[5:].reshape(-1), dx, 5, last, shape)
    with textbook():
        back = im2col_backward(columns.reshape(3, *windows.counts, size), windows)
    np.testing.assert_allclose(dx.reshape(x.shape), back, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("images", [3, 20])  # a few images, or enough for one pass
@pytest.mark.parametrize("options", [{}, {"padding": "same", "strides": 2}, {"dilation_rate": (1, 2)}])
def test_gradients_of_few_and_many_images(images, options):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((images, 9, 8, 4)), rng.standard_normal((3, 3, 4, 5))
    y, cache = conv2d(x, kernel, np.ones(5), **options)
    dy = rng.standard_normal(y.shape)
    with textbook():
        wanted = conv2d_backward(dy, cache)
    for a, b in zip(conv2d_backward(dy, cache), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
