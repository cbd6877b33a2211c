"""Cases of im2col, convolution and transposed convolution."""

from typing import Any

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.convolution import Conv1D, Conv2D, Conv2DTranspose, Conv3D

_columns: dict[str, Any] = {"linear": ("x",), "analytic": True}
_linear: dict[str, Any] = {"linear": ("x", "kernel"), "offsets": ("bias",), "analytic": True}

OP_CASES = [
    OpCase("im2col", {"x": (2, 5, 4, 3)}, options={"window": (3, 2)}, **_columns),
    OpCase(
        "im2col",
        {"x": (2, 7, 5, 1)},
        options={"window": 3, "strides": (3, 2), "padding": "same"},
        label="stride does not divide, one channel",
        **_columns,
    ),
    OpCase(
        "im2col",
        {"x": (1, 7, 6, 2)},
        options={"window": (2, 3), "padding": ((2, 1), (0, 3)), "dilation_rate": 2},
        label="dilation, uneven padding",
        **_columns,
    ),
    OpCase(
        "im2col",
        {"x": (2, 6, 2)},
        options={"window": 3, "padding": "causal", "dilation_rate": 2},
        label="one axis, causal",
        **_columns,
    ),
    OpCase(
        "im2col",
        {"x": (1, 3, 4, 3, 2)},
        options={"window": (1, 2, 3), "strides": (2, 1, 1), "padding": "same"},
        label="three axes",
        **_columns,
    ),
    OpCase("conv1d", {"x": (2, 7, 3), "kernel": (3, 3, 4), "bias": (4,)}, **_linear),
    OpCase(
        "conv1d",
        {"x": (1, 6, 2), "kernel": (2, 2, 3)},
        options={"padding": "causal", "dilation_rate": 2},
        label="causal, dilation",
        **_linear,
    ),
    OpCase("conv1d", {"x": (2, 1, 2), "kernel": (3, 2, 1)}, options={"padding": "same"}, label="length one", **_linear),
    OpCase("conv2d", {"x": (2, 5, 6, 3), "kernel": (3, 2, 3, 4), "bias": (4,)}, **_linear),
    OpCase(
        "conv2d",
        {"x": (1, 5, 7, 1), "kernel": (3, 3, 1, 2), "bias": (2,)},
        options={"strides": 2, "padding": "same"},
        label="stride does not divide, one channel",
        **_linear,
    ),
    OpCase(
        "conv2d",
        {"x": (2, 6, 5, 2), "kernel": (2, 3, 2, 3)},
        options={"dilation_rate": (3, 2), "padding": "same"},
        label="dilation",
        **_linear,
    ),
    OpCase(
        "conv2d",
        {"x": (2, 7, 6, 2), "kernel": (3, 2, 2, 3)},
        options={"strides": (3, 2), "dilation_rate": 2},
        label="strides and dilation",
        **_linear,
    ),
    OpCase(
        "conv2d",
        {"x": (2, 4, 3, 6), "kernel": (2, 3, 2, 9), "bias": (9,)},
        options={"groups": 3, "padding": "same"},
        label="three groups",
        **_linear,
    ),
    OpCase("conv2d", {"x": (3, 4, 4, 5), "kernel": (1, 1, 5, 2), "bias": (2,)}, label="1 x 1", **_linear),
    OpCase(
        "conv2d",
        {"x": (1, 2, 8, 2), "kernel": (5, 2, 2, 1)},
        options={"padding": "same"},
        label="kernel higher than the image",
        **_linear,
    ),
    OpCase("conv3d", {"x": (2, 3, 4, 3, 2), "kernel": (2, 2, 3, 2, 3), "bias": (3,)}, **_linear),
    OpCase(
        "conv3d",
        {"x": (1, 3, 5, 4, 2), "kernel": (3, 2, 1, 1, 2)},
        options={"strides": (1, 2, 3), "padding": "same", "groups": 2},
        label="strides, two groups",
        **_linear,
    ),
    OpCase("conv2d_transpose", {"x": (2, 3, 4, 3), "kernel": (3, 2, 4, 3), "bias": (4,)}, **_linear),
    OpCase(
        "conv2d_transpose",
        {"x": (2, 3, 4, 2), "kernel": (3, 3, 1, 2), "bias": (1,)},
        options={"strides": 2, "padding": "same"},
        label="twice the size",
        **_linear,
    ),
    OpCase(
        "conv2d_transpose",
        {"x": (1, 3, 2, 2), "kernel": (2, 1, 3, 2)},
        options={"strides": (3, 2)},
        label="stride larger than the kernel",
        **_linear,
    ),
    OpCase(
        "conv2d_transpose",
        {"x": (1, 3, 2, 2), "kernel": (3, 4, 2, 2)},
        options={"strides": (3, 2), "padding": "same", "output_padding": (2, 0)},
        label="output padding",
        **_linear,
    ),
    OpCase(
        "conv2d_transpose",
        {"x": (2, 4, 3, 1), "kernel": (2, 3, 2, 1)},
        options={"dilation_rate": 2, "padding": "same"},
        label="dilation",
        **_linear,
    ),
    OpCase("conv2d_relu", {"x": (2, 5, 6, 3), "kernel": (3, 2, 3, 4), "bias": (4,)}),
    OpCase(
        "conv2d_relu",
        {"x": (1, 7, 6, 2), "kernel": (2, 3, 2, 3)},
        options={"strides": (2, 3), "padding": "same"},
        label="stride does not divide, no bias",
    ),
    OpCase(
        "conv2d_relu",
        {"x": (2, 6, 5, 2), "kernel": (2, 2, 1, 4), "bias": (4,)},
        options={"groups": 2, "dilation_rate": 2},
        label="groups, dilation",
    ),
    OpCase("conv2d_relu_max_pool", {"x": (9, 6, 7, 2), "kernel": (3, 2, 2, 3), "bias": (3,)}, label="a line left over"),
    OpCase(
        "conv2d_relu_max_pool",
        {"x": (2, 7, 6, 2), "kernel": (2, 3, 2, 3)},
        options={"padding": "same", "pool_size": 3, "pool_strides": (1, 2), "pool_padding": "same"},
        label="windows overlap, no bias",
    ),
]

LAYER_CASES = [
    LayerCase(lambda: Conv1D(3, 3, padding="causal", dilation_rate=2), (2, 6, 2), label="causal"),
    LayerCase(lambda: Conv1D(2, 4, strides=3, activation="tanh"), (2, 9, 3), label="strides, tanh"),
    LayerCase(lambda: Conv2D(4, 3), (2, 5, 4, 3)),
    LayerCase(lambda: Conv2D(3, (2, 3), strides=2, padding="same", activation="relu"), (2, 5, 4, 2), label="relu"),
    LayerCase(lambda: Conv2D(4, 2, groups=2, use_bias=False), (1, 4, 3, 2), label="groups, no bias"),
    LayerCase(lambda: Conv3D(2, 2, padding="same", activation="sigmoid"), (1, 2, 3, 3, 2), label="sigmoid"),
    LayerCase(lambda: Conv2DTranspose(2, 3, strides=2, padding="same"), (2, 3, 2, 3)),
    LayerCase(
        lambda: Conv2DTranspose(1, (3, 2), strides=(2, 3), output_padding=1, activation="tanh", use_bias=False),
        (1, 2, 3, 2),
        label="output padding, tanh, no bias",
    ),
]
