"""Cases of the operations and layers that move numbers: flatten, reshape, permute, repeat, pad, crop."""

from typing import Any

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.shaping import Flatten, Permute, RepeatVector, Reshape

_linear: dict[str, Any] = {"linear": ("x",), "analytic": True}

OP_CASES = [
    OpCase("flatten", {"x": (2, 3, 2, 3)}, **_linear),
    OpCase("flatten", {"x": (1, 5)}, label="rows already", **_linear),
    OpCase("reshape", {"x": (2, 3, 4)}, options={"target_shape": (2, 6)}, **_linear),
    OpCase("reshape", {"x": (2, 12)}, options={"target_shape": (3, -1, 2)}, label="-1 worked out", **_linear),
    OpCase("permute", {"x": (2, 3, 4)}, options={"dims": (2, 1)}, **_linear),
    OpCase("permute", {"x": (2, 3, 4, 2)}, options={"dims": (3, 1, 2)}, label="a cycle of three axes", **_linear),
    OpCase("repeat_vector", {"x": (3, 4)}, options={"n": 3}, **_linear),
    OpCase("repeat_vector", {"x": (1, 1)}, options={"n": 1}, label="once", **_linear),
    OpCase("zero_padding", {"x": (2, 4, 3)}, options={"padding": ((1, 2),)}, label="sequences", **_linear),
    OpCase("zero_padding", {"x": (2, 3, 4, 2)}, options={"padding": ((1, 0), (2, 3))}, label="images", **_linear),
    OpCase(
        "zero_padding",
        {"x": (1, 2, 3, 2, 1)},
        options={"padding": ((1, 1), (0, 2), (0, 0))},
        label="volumes",
        **_linear,
    ),
    OpCase("cropping", {"x": (2, 5, 3)}, options={"cropping": ((1, 2),)}, label="sequences", **_linear),
    OpCase("cropping", {"x": (2, 4, 5, 2)}, options={"cropping": ((1, 0), (2, 2))}, label="images", **_linear),
    OpCase(
        "cropping", {"x": (1, 3, 4, 2, 1)}, options={"cropping": ((1, 1), (0, 2), (0, 0))}, label="volumes", **_linear
    ),
]

LAYER_CASES = [
    LayerCase(lambda: Flatten(), (2, 3, 2, 2)),
    LayerCase(lambda: Reshape((2, -1)), (2, 3, 4)),
    LayerCase(lambda: Permute((2, 1)), (2, 3, 4)),
    LayerCase(lambda: RepeatVector(3), (2, 4)),
]
