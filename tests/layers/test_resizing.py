"""Zero padding, cropping and upsampling layers."""

import numpy as np
import pytest

from tinymed.layers import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)

LAYERS = [
    pytest.param(lambda: ZeroPadding1D(2), (2, 4, 3), (2, 8, 3), id="pad 1d"),
    pytest.param(lambda: ZeroPadding1D((1, 3)), (2, 4, 3), (2, 8, 3), id="pad 1d pair"),
    pytest.param(lambda: ZeroPadding2D(), (2, 4, 5, 3), (2, 6, 7, 3), id="pad 2d default"),
    pytest.param(lambda: ZeroPadding2D((1, 2)), (2, 4, 5, 3), (2, 6, 9, 3), id="pad 2d per axis"),
    pytest.param(lambda: ZeroPadding2D(((1, 2), (0, 3))), (2, 4, 5, 3), (2, 7, 8, 3), id="pad 2d pairs"),
    pytest.param(lambda: ZeroPadding3D((1, 0, 2)), (1, 2, 3, 4, 1), (1, 4, 3, 8, 1), id="pad 3d"),
    pytest.param(lambda: Cropping1D(), (2, 4, 3), (2, 2, 3), id="crop 1d"),
    pytest.param(lambda: Cropping2D(), (2, 4, 5, 3), (2, 4, 5, 3), id="crop 2d nothing"),
    pytest.param(lambda: Cropping2D(((1, 2), (0, 3))), (2, 4, 5, 3), (2, 1, 2, 3), id="crop 2d"),
    pytest.param(lambda: Cropping3D(1), (1, 3, 3, 4, 1), (1, 1, 1, 2, 1), id="crop 3d"),
    pytest.param(lambda: UpSampling1D(3), (2, 4, 3), (2, 12, 3), id="up 1d"),
    pytest.param(lambda: UpSampling2D(), (2, 4, 5, 3), (2, 8, 10, 3), id="up 2d"),
    pytest.param(lambda: UpSampling2D((1, 3), interpolation="bilinear"), (2, 4, 5, 3), (2, 4, 15, 3), id="bilinear"),
    pytest.param(lambda: UpSampling3D((1, 2, 3)), (1, 2, 3, 4, 1), (1, 2, 6, 12, 1), id="up 3d"),
]


@pytest.mark.parametrize(("make", "shape", "expected"), LAYERS)
def test_shapes_and_backward(make, shape, expected):
    layer = make()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y, cache = layer.forward(x, training=True)
    dx, grads = layer.backward(y, cache)
    assert y.shape == layer.compute_output_shape(shape) == expected
    assert dx.shape == shape
    assert grads == {}
    open_shape = (None, *[None] * (len(shape) - 2), shape[-1])
    assert layer.compute_output_shape(open_shape) == open_shape
    np.testing.assert_array_equal(type(layer).from_config(layer.get_config())(x), y)


def test_cost():
    assert UpSampling2D().flops((None, 2, 2, 1)) == 0
    assert UpSampling2D(interpolation="bilinear").flops((None, 2, 2, 1)) == 6 * 16


def test_errors_name_the_layer_and_the_fix():
    with pytest.raises(ValueError, match=r"p needs padding such as 1, \(1, 1\) or .* but got \(1, 2, 3\)"):
        ZeroPadding2D((1, 2, 3), name="p")
    with pytest.raises(ValueError, match=r"p needs padding such as .*whole numbers >= 0, but got -1"):
        ZeroPadding1D(-1, name="p")
    with pytest.raises(ValueError, match=r"p needs padding such as .* but got 1.5"):
        ZeroPadding1D(1.5, name="p")
    with pytest.raises(ValueError, match=r"c cuts 3 \+ 3 off axis 1, which is only 4 long .*; crop less"):
        Cropping2D(3, name="c").compute_output_shape((None, 4, 8, 1))
    with pytest.raises(ValueError, match=r"c expects \(N, H, W, C\) but got \(4, 4\)"):
        Cropping2D(1, name="c")(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"u needs size such as .* but got 0"):
        UpSampling2D(0, name="u")
    with pytest.raises(ValueError, match=r"u needs size such as .* but got 1.5"):
        UpSampling2D(1.5, name="u")
    with pytest.raises(ValueError, match="u knows interpolation 'nearest' and 'bilinear' but got 'bicubic'"):
        UpSampling2D(interpolation="bicubic", name="u")
    with pytest.raises(ValueError, match=r"channels last with np\.moveaxis"):
        UpSampling3D(data_format="channels_first")
