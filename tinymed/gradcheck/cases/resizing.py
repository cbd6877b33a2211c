"""Cases of upsampling, and of the layers that pad and crop."""

from typing import Any

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.resizing import (
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

_linear: dict[str, Any] = {"linear": ("x",), "analytic": True}

OP_CASES = [
    OpCase("upsampling_nearest", {"x": (2, 4, 3)}, options={"size": (3,)}, label="sequences", **_linear),
    OpCase("upsampling_nearest", {"x": (2, 3, 2, 2)}, options={"size": (2, 3)}, label="images", **_linear),
    OpCase("upsampling_nearest", {"x": (1, 2, 3, 2, 1)}, options={"size": (2, 1, 2)}, label="volumes", **_linear),
    OpCase("upsampling_bilinear", {"x": (2, 3, 4, 2)}, options={"size": (2, 2)}, **_linear),
    OpCase("upsampling_bilinear", {"x": (1, 2, 1, 1)}, options={"size": (3, 4)}, label="one column", **_linear),
    OpCase("upsampling_bilinear", {"x": (2, 5, 3, 1)}, options={"size": (1, 5)}, label="one axis kept", **_linear),
]

LAYER_CASES = [
    LayerCase(lambda: ZeroPadding1D((1, 2)), (2, 4, 3)),
    LayerCase(lambda: ZeroPadding2D(((1, 0), (2, 3))), (2, 3, 4, 2)),
    LayerCase(lambda: ZeroPadding3D(1), (1, 2, 3, 2, 1)),
    LayerCase(lambda: Cropping1D((1, 2)), (2, 5, 3)),
    LayerCase(lambda: Cropping2D(((1, 0), (2, 1))), (2, 4, 5, 2)),
    LayerCase(lambda: Cropping3D(1), (1, 3, 4, 3, 1)),
    LayerCase(lambda: UpSampling1D(3), (2, 4, 3)),
    LayerCase(lambda: UpSampling2D(2), (2, 3, 2, 2)),
    LayerCase(lambda: UpSampling2D((2, 3), interpolation="bilinear"), (2, 3, 2, 2), label="bilinear"),
    LayerCase(lambda: UpSampling3D((1, 2, 2)), (1, 2, 3, 2, 1)),
]
