"""Cases of the operations and layers that make one array of several."""

from typing import Any

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract

_two: dict[str, Any] = {"a": (2, 3, 4), "b": (2, 3, 4)}
_broadcast: dict[str, Any] = {"a": (2, 3, 1, 2), "b": (2, 2), "c": (2, 1, 4, 2)}
# Sums are linear in all their inputs together: each is the offset of the others.
_sum_of_two: dict[str, Any] = {"linear": ("a",), "offsets": ("b",), "analytic": True}
_sum_of_three: dict[str, Any] = {"linear": ("a",), "offsets": ("b", "c"), "analytic": True}

OP_CASES = [
    OpCase("add", _two, **_sum_of_two),
    OpCase("add", _broadcast, label="three that broadcast", **_sum_of_three),
    OpCase("subtract", _two, **_sum_of_two),
    OpCase("subtract", {"a": (2, 3), "b": (2, 1)}, label="broadcast", **_sum_of_two),
    OpCase("multiply", _two, linear=("a", "b"), analytic=True),
    OpCase("multiply", _broadcast, label="three that broadcast", linear=("a", "b", "c"), analytic=True),
    OpCase("multiply", {"a": lambda rng: rng.standard_normal((2, 3)) * 0, "b": (2, 3)}, label="zeros", analytic=True),
    OpCase("average", _two, **_sum_of_two),
    OpCase("average", _broadcast, label="three that broadcast", **_sum_of_three),
    OpCase("maximum", _two),
    OpCase("maximum", _broadcast, label="three that broadcast"),
    OpCase("minimum", _two),
    OpCase("minimum", _broadcast, label="three that broadcast"),
    OpCase("concatenate", {"a": (2, 3, 4), "b": (2, 3, 1), "c": (2, 3, 2)}, **_sum_of_three),
    OpCase("concatenate", {"a": (2, 3, 4), "b": (2, 1, 4)}, options={"axis": 1}, label="axis 1", **_sum_of_two),
]

LAYER_CASES = [
    LayerCase(lambda: Add(), [(2, 3, 4), (2, 3, 4), (2, 3, 4)]),
    LayerCase(lambda: Add(), [(2, 3, 4, 2), (2, 2)], label="broadcast"),
    LayerCase(lambda: Subtract(), [(2, 3), (2, 3)]),
    LayerCase(lambda: Multiply(), [(2, 3), (2, 3), (2, 1)], label="broadcast"),
    LayerCase(lambda: Average(), [(2, 3), (2, 3)]),
    LayerCase(lambda: Maximum(), [(2, 3), (2, 3), (2, 3)]),
    LayerCase(lambda: Minimum(), [(2, 3), (2, 3)]),
    LayerCase(lambda: Concatenate(), [(2, 3, 4), (2, 3, 1)]),
    LayerCase(lambda: Concatenate(axis=1), [(2, 3, 4), (2, 1, 4), (2, 2, 4)], label="axis 1"),
]
