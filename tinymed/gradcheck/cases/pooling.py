"""Cases of pooling. Maxima have kinks where values tie: the draws are permutations, whose values lie well apart."""

import math
from typing import Any

import numpy as np

from tinymed.gradcheck.case import Draw, LayerCase, OpCase
from tinymed.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)


def _apart(*shape: int) -> Draw:
    """Draw values between -1 and 1, no two of them nearer than their mean distance."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.reshape(rng.permutation(np.linspace(-1.0, 1.0, math.prod(shape))), shape)

    return draw


def _max_cases() -> list[OpCase]:
    overlap = {"pool_size": 3, "strides": 2, "padding": "same"}
    return [
        OpCase("max_pool1d", {"x": _apart(2, 7, 3)}),
        OpCase("max_pool1d", {"x": _apart(2, 7, 3)}, options=overlap, label="overlapping, same"),
        OpCase("max_pool2d", {"x": _apart(2, 4, 6, 3)}),
        OpCase("max_pool2d", {"x": _apart(2, 5, 7, 1)}, options=overlap, label="overlapping, same, one channel"),
        OpCase(
            "max_pool2d",
            {"x": _apart(1, 5, 5, 2)},
            options={"pool_size": (1, 3), "strides": (3, 1)},
            label="gaps between windows",
        ),
        OpCase("max_pool3d", {"x": _apart(1, 2, 4, 3, 2)}),
        OpCase("max_pool3d", {"x": _apart(2, 3, 4, 3, 1)}, options=overlap, label="overlapping, same"),
    ]


def _average_cases() -> list[OpCase]:
    overlap: dict[str, Any] = {
        "options": {"pool_size": 3, "strides": 2, "padding": "same"},
        "label": "overlapping, same",
    }
    linear: dict[str, Any] = {"linear": ("x",), "analytic": True}
    return [
        OpCase("average_pool1d", {"x": (2, 7, 3)}, **linear),
        OpCase("average_pool1d", {"x": (2, 7, 3)}, **overlap, **linear),
        OpCase("average_pool2d", {"x": (2, 4, 6, 3)}, **linear),
        OpCase("average_pool2d", {"x": (2, 5, 7, 1)}, **overlap, **linear),
        OpCase(
            "average_pool2d",
            {"x": (1, 5, 5, 2)},
            options={"pool_size": (1, 3), "strides": (3, 1)},
            label="gaps between windows",
            **linear,
        ),
        OpCase("average_pool3d", {"x": (1, 2, 4, 3, 2)}, **linear),
        OpCase("average_pool3d", {"x": (2, 3, 4, 3, 1)}, **overlap, **linear),
    ]


OP_CASES = [
    *_max_cases(),
    *_average_cases(),
    OpCase("global_max_pool", {"x": _apart(2, 3, 4, 2)}),
    OpCase("global_max_pool", {"x": _apart(2, 5, 1)}, options={"keepdims": True}, label="one axis, axes kept"),
    OpCase("global_average_pool", {"x": (2, 3, 4, 2)}, linear=("x",), analytic=True),
    OpCase(
        "global_average_pool",
        {"x": (1, 2, 3, 2, 2)},
        options={"keepdims": True},
        linear=("x",),
        analytic=True,
        label="three axes, axes kept",
    ),
]

LAYER_CASES = [
    LayerCase(lambda: MaxPooling1D(), (2, 5, 3), draw=_apart(2, 5, 3)),
    LayerCase(lambda: MaxPooling2D(3, strides=2, padding="same"), (2, 5, 4, 2), draw=_apart(2, 5, 4, 2), label="same"),
    LayerCase(lambda: MaxPooling3D(), (1, 2, 5, 4, 2), draw=_apart(1, 2, 5, 4, 2)),
    LayerCase(lambda: AveragePooling1D(3, strides=1, padding="same"), (2, 5, 3), label="same"),
    LayerCase(lambda: AveragePooling2D(), (2, 5, 4, 2)),
    LayerCase(lambda: AveragePooling3D((1, 2, 2)), (1, 2, 4, 4, 2)),
    LayerCase(lambda: GlobalMaxPooling1D(), (2, 4, 3), draw=_apart(2, 4, 3)),
    LayerCase(lambda: GlobalMaxPooling2D(), (2, 4, 3, 2), draw=_apart(2, 4, 3, 2)),
    LayerCase(lambda: GlobalMaxPooling3D(keepdims=True), (1, 2, 3, 2, 2), draw=_apart(1, 2, 3, 2, 2)),
    LayerCase(lambda: GlobalAveragePooling1D(), (2, 4, 3)),
    LayerCase(lambda: GlobalAveragePooling2D(keepdims=True), (2, 4, 3, 2), label="axes kept"),
    LayerCase(lambda: GlobalAveragePooling3D(), (1, 2, 3, 2, 2)),
]
