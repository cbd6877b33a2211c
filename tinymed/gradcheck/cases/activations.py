"""Cases of the activations, as operations and as layers."""

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.activations import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax

_SMOOTH = ("elu", "gelu", "mish", "selu", "sigmoid", "silu", "softplus", "softsign")
_PIECEWISE = ("hard_sigmoid", "leaky_relu", "relu", "relu6")

OP_CASES = [
    OpCase("linear", {"x": (3, 4)}, linear=("x",), analytic=True),
    OpCase("tanh", {"x": (3, 4)}, analytic=True),
    OpCase("exponential", {"x": (3, 4)}, analytic=True),
    OpCase("erf", {"x": lambda rng: 2.0 * rng.standard_normal((4, 5))}),
    *(OpCase(name, {"x": (3, 4)}) for name in _SMOOTH),
    *(OpCase(name, {"x": (3, 4)}) for name in _PIECEWISE),
    *(OpCase(name, {"x": lambda rng: 5.0 * rng.standard_normal((2, 3, 4))}, label="wide") for name in _PIECEWISE),
    OpCase("elu", {"x": (3, 4)}, options={"alpha": 0.3}, label="alpha 0.3"),
    OpCase("gelu", {"x": (3, 4)}, options={"approximate": True}, label="approximate"),
    OpCase("leaky_relu", {"x": (3, 4)}, options={"negative_slope": 0.05}, label="slope 0.05"),
    OpCase("relu", {"x": (3, 4)}, options={"max_value": 0.5}, label="limit"),
    OpCase("relu", {"x": (3, 4)}, options={"negative_slope": 0.1, "max_value": 0.5}, label="slope and limit"),
    OpCase("relu", {"x": (3, 4)}, options={"threshold": 0.4}, label="threshold"),
    OpCase(
        "relu",
        {"x": (3, 4)},
        options={"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.4},
        label="slope, limit and threshold",
    ),
    OpCase("prelu", {"x": (3, 2, 4), "alpha": (2, 4)}),
    OpCase("prelu", {"x": (3, 2, 4), "alpha": (1, 4)}, label="shared axis"),
    OpCase("softmax", {"x": (3, 4)}, analytic=True),
    OpCase("softmax", {"x": (3, 1)}, label="one class"),
    OpCase("softmax", {"x": (2, 3, 4)}, options={"axis": 1}, label="axis 1"),
    OpCase("softmax", {"x": (2, 3, 4)}, options={"axis": (1, 2)}, label="two axes"),
    OpCase("log_softmax", {"x": (3, 4)}, analytic=True),
    OpCase("log_softmax", {"x": (2, 3, 4)}, options={"axis": 1}, label="axis 1"),
]

LAYER_CASES = [
    LayerCase(lambda: Activation("tanh"), (3, 4), label="tanh"),
    LayerCase(lambda: Activation("softmax"), (3, 4), label="softmax"),
    LayerCase(lambda: Activation("linear"), (3, 4), label="linear"),
    LayerCase(lambda: ReLU(), (2, 3, 4)),
    LayerCase(lambda: ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), (3, 4), label="all arguments"),
    LayerCase(lambda: LeakyReLU(0.2), (3, 4)),
    LayerCase(lambda: ELU(0.7), (3, 4)),
    LayerCase(lambda: PReLU(alpha_initializer="ones"), (3, 4)),
    LayerCase(lambda: PReLU(alpha_initializer="ones", shared_axes=[1, 2]), (2, 3, 3, 4), label="a slope per channel"),
    LayerCase(lambda: Softmax(), (2, 3, 4)),
    LayerCase(lambda: Softmax(axis=1), (2, 3, 4), label="axis 1"),
    LayerCase(lambda: Softmax(axis=[1, 2]), (2, 3, 4), label="two axes"),
]
