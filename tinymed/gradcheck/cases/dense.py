"""Cases of the fully connected operation."""

from typing import Any

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.core import Dense

_linear: dict[str, Any] = {"linear": ("x", "kernel"), "offsets": ("bias",), "analytic": True}

OP_CASES = [
    OpCase("dense", {"x": (5, 4), "kernel": (4, 3), "bias": (3,)}, **_linear),
    OpCase("dense", {"x": (1, 4), "kernel": (4, 1), "bias": (1,)}, label="one sample, one unit", **_linear),
    OpCase("dense", {"x": (2, 3, 4), "kernel": (4, 5)}, label="three axes, no bias", **_linear),
]

LAYER_CASES = [
    LayerCase(lambda: Dense(3), (5, 4)),
    LayerCase(lambda: Dense(3, activation="tanh", use_bias=False), (5, 4), label="tanh, no bias"),
    LayerCase(lambda: Dense(4, activation="softmax"), (2, 3, 5), label="softmax, three axes"),
]
