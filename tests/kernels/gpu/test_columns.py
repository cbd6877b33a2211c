"""Convolution through columns: made a few images at a time, and only where it is worth it."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import assert_agrees
from tests.properties.strategies import Call
from tinymed import precision
from tinymed.kernels.gpu import columns
from tinymed.ops.windows import plan_windows

pytestmark = pytest.mark.usefixtures("on_host")


def test_columns_are_made_a_few_images_at_a_time(monkeypatch, host_driver):
    monkeypatch.setattr(columns, "_LONG", 8)
    monkeypatch.setattr(columns, "_MANY", 2)
    monkeypatch.setattr(columns, "COLUMNS_BYTES", 2 * 8 * 9 * 27 * 4)  # those of two images
    x, kernel, bias = (np.random.default_rng(0).standard_normal(s) for s in ((5, 8, 9, 3), (3, 3, 3, 4), (4,)))
    for op in ("conv2d", "conv2d_relu", "conv2d_relu_max_pool"):
        for images in (5, 0):
            before = host_driver.launches["im2col"]
            arrays = [a.astype("float32") for a in (x[:images], kernel, bias)]
            assert_agrees(Call(op, arrays, {"padding": "same"}))
            assert host_driver.launches["im2col"] == before + (6 if images and op != "conv2d_relu_max_pool" else 0)


def test_tensor_cores_make_columns_worth_it(host_driver):
    kernel = np.ones((3, 3, 8, 16), np.float32)
    assert not columns.worth_it(kernel, 1)
    precision.set_precision("tf32")
    try:
        assert columns.worth_it(kernel, 1) and not columns.worth_it(kernel, 2)
        assert not columns.worth_it(kernel.astype("float64"), 1)
    finally:
        precision.set_precision("float32")


def test_geometry_puts_signals_and_images_into_three_axes():
    windows = plan_windows((7, 5), (3, 2), (2, 1), "same")
    assert columns.geometry(windows, 4) == (1, 7, 5, 1, 3, 2, 1, 2, 1, 1, 1, 1, 0, 1, 0, 1, 4, 5, 4)


def test_small_kernels_need_no_columns():
    assert columns.worth_it(np.ones((3, 3, 64, 128), np.float32), 1)
    assert not columns.worth_it(np.ones((3, 3, 64, 64), np.float32), 1)
    assert not columns.worth_it(np.ones((3, 3, 3, 128), np.float32), 1)


def test_one_pixel_windows_are_their_own_columns(host_driver):
    before = host_driver.launches["im2col"]
    x = np.arange(2.0 * 9 * 256).reshape(2, 3, 3, 256).astype("float32")
    windows = plan_windows((3, 3), 1)
    y = columns.convolve(x, np.ones((1, 1, 256, 128), np.float32), None, windows, relu=False)
    np.testing.assert_allclose(y[..., 5], x.sum(axis=-1), rtol=1e-6)
    assert host_driver.launches["im2col"] == before
