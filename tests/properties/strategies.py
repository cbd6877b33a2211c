"""Calls of operations, drawn at random: shapes, strides, paddings, dtypes, memory layouts, special values, mistakes."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from tinymed.gradcheck.layouts import LAYOUTS

sizes = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(["float32", "float64"])
layouts = st.sampled_from([None, None, *LAYOUTS])
finite_values = st.sampled_from([None, None, "ties", "zeros"])
"""Weights: one that is NaN or infinite reaches more results in one body than in another (0 times NaN is NaN)."""

odd_values = st.sampled_from([None, None, None, "ties", "NaN", "infinity", "zeros", "large", "denormal"])


@dataclass
class Call:
    """One call: the operation's name, its arrays in order (None for one left out), and its options."""

    op: str
    arrays: list
    options: dict = field(default_factory=dict)
    seed: int = 0

    def __repr__(self):
        shown = [None if a is None else f"{a.dtype}{a.shape} strides {a.strides}" for a in self.arrays]
        return f"{self.op}({', '.join(map(str, shown))}, {self.options}, seed {self.seed})"


def _spoil(x, how, rng):
    """Put special values into an array."""
    if how == "ties":
        return np.round(x)
    if how == "zeros":
        return 0 * x
    if how in ("large", "denormal"):
        return x * np.asarray({"large": 1e4, "denormal": 1e-41}[how], x.dtype)
    if how is not None and x.size:
        x.reshape(-1)[rng.integers(x.size)] = {"NaN": np.nan, "infinity": np.inf}[how]
    return x


@st.composite
def arrays(draw, shape, dtype, odd=odd_values):
    rng = np.random.default_rng(draw(seeds))
    with np.errstate(under="ignore"):
        x = _spoil(rng.standard_normal(shape).astype(dtype), draw(odd), rng)
    layout = draw(layouts)
    return x if layout is None or x.ndim == 0 else LAYOUTS[layout](x)


def _number_or_each(axes, values):
    """Draw one number for all axes, or a tuple of one for each."""
    return st.one_of(values, st.tuples(*[values] * axes))


@st.composite
def dense_calls(draw):
    dtype, lead = draw(dtypes), draw(st.lists(st.integers(0, 4), max_size=3))
    d, u = draw(sizes), draw(sizes)
    wrong = draw(st.sampled_from([0] * 9 + [1]))
    bias = draw(st.one_of(st.none(), arrays((u,), dtype)))
    x, kernel = draw(arrays((*lead, d), dtype)), draw(arrays((d + wrong, u), dtype, finite_values))
    return Call("dense", [x, kernel, bias], seed=draw(seeds))


@st.composite
def window_options(draw, axes, dilation=True):
    options = {
        "strides": draw(_number_or_each(axes, st.integers(1, 3))),
        "padding": draw(st.sampled_from(["valid", "same", "same", "causal"] if axes == 1 else ["valid", "same"])),
    }
    if dilation and draw(st.booleans()):
        options["dilation_rate"] = draw(_number_or_each(axes, st.integers(1, 2)))
    return options


@st.composite
def convolution_calls(draw, axes=None, weights=None):
    axes = axes or draw(st.integers(1, 3))
    dtype = draw(dtypes)
    longest = {1: 9, 2: 7, 3: 4}[axes]
    space = [draw(st.integers(1, longest)) for _ in range(axes)]
    window = [draw(st.integers(1, 3)) for _ in range(axes)]
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    c, f = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    wrong = draw(st.sampled_from([0] * 12 + [1]))
    x = draw(arrays((draw(st.integers(0, 3)), *space, c * groups + wrong), dtype))
    kernel = draw(arrays((*window, c, f), dtype, finite_values if weights is None else weights))
    bias = draw(st.one_of(st.none(), arrays((f,), dtype)))
    options = draw(window_options(axes)) | ({"groups": groups} if groups > 1 else {})
    return Call(f"conv{axes}d", [x, kernel, bias], options, draw(seeds))


@st.composite
def fused_calls(draw):
    call = draw(convolution_calls(2))
    if draw(st.booleans()):
        return Call("conv2d_relu", call.arrays, call.options, call.seed)
    pooling = draw(pooling_calls(2)).options
    options = {
        "pool_size": pooling["pool_size"], "pool_strides": pooling["strides"], "pool_padding": pooling["padding"]
    }  # fmt: skip
    return Call("conv2d_relu_max_pool", call.arrays, call.options | options, call.seed)


@st.composite
def winograd_calls(draw):
    """Draw 3 x 3 windows over enough channels for Winograd's form, whose sums have another order.

    In single precision a rounding may decide which of two values is the maximum, or whether one passes a ReLU: there
    behind these come whole numbers only. Nor is anything NaN or infinite where pooling leaves out a line: only the
    textbook works that line out, and multiplies by its gradient, which is 0 (0 times NaN is NaN).
    """
    op = draw(st.sampled_from(["conv2d", "conv2d_relu", "conv2d_relu_max_pool"]))
    dtype = draw(dtypes)
    whole = dtype == "float32" and op != "conv2d"
    values = st.sampled_from(["ties", "zeros"]) if whole else odd_values
    weights = st.just("ties") if whole else finite_values
    c, f = draw(st.integers(7, 10)), draw(st.integers(7, 10))
    space, padding = [draw(st.integers(3, 9)) for _ in range(2)], draw(st.sampled_from(["valid", "same"]))
    if op == "conv2d_relu_max_pool" and not whole and any(size % 2 for size in space):
        values = st.sampled_from([None, None, "ties", "zeros", "large", "denormal"])
    x = draw(arrays((draw(st.sampled_from([1, 2, 8, 9])), *space, c), dtype, values))
    kernel = draw(arrays((3, 3, c, f), dtype, weights))
    bias = draw(st.one_of(st.none(), arrays((f,), dtype, weights)))
    return Call(op, [x, kernel, bias], {"padding": padding}, draw(seeds))


@st.composite
def im2col_calls(draw):
    axes = draw(st.integers(1, 3))
    space = [draw(st.integers(1, {1: 9, 2: 7, 3: 4}[axes])) for _ in range(axes)]
    x = draw(arrays((draw(st.integers(0, 3)), *space, draw(sizes)), draw(dtypes)))
    window = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    return Call("im2col", [x], {"window": window, **draw(window_options(axes))}, draw(seeds))


@st.composite
def pooling_calls(draw, axes=None):
    kind, axes = draw(st.sampled_from(["max", "average"])), axes or draw(st.integers(1, 3))
    space = [draw(st.integers(1, {1: 10, 2: 8, 3: 5}[axes])) for _ in range(axes)]
    x = draw(arrays((draw(st.integers(0, 3)), *space, draw(sizes)), draw(dtypes)))
    options = {
        "pool_size": draw(_number_or_each(axes, st.integers(1, 3))),
        "strides": draw(st.one_of(st.none(), _number_or_each(axes, st.integers(1, 3)))),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }
    return Call(f"{kind}_pool{axes}d", [x], options, draw(seeds))


@st.composite
def transposed_calls(draw):
    dtype = draw(dtypes)
    x = draw(arrays((draw(st.integers(1, 2)), *(draw(st.integers(1, 4)) for _ in range(2)), draw(sizes)), dtype))
    f = draw(sizes)
    kernel = draw(arrays((draw(st.integers(1, 3)), draw(st.integers(1, 3)), f, x.shape[-1]), dtype, finite_values))
    bias = draw(st.one_of(st.none(), arrays((f,), dtype)))
    return Call("conv2d_transpose", [x, kernel, bias], draw(window_options(2)), draw(seeds))


@st.composite
def normalization_calls(draw):
    """Draw batches, with and without scale and shift, near zero and far from it."""
    dtype = draw(dtypes)
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=2, max_size=4)))
    x = draw(arrays(shape, dtype, st.sampled_from([None, None, "ties", "zeros", "NaN"])))
    wrong = draw(st.sampled_from([0] * 12 + [1]))
    weights = [draw(arrays((shape[-1] + wrong,), dtype, st.none())) if draw(st.booleans()) else None for _ in range(2)]
    options = {"epsilon": draw(st.sampled_from([1e-3, 0.1])), "axis": draw(st.sampled_from([-1, -1, -1, 0]))}
    return Call("batch_norm", [x, *weights], options, draw(seeds))


@st.composite
def elementwise_calls(draw):
    shape = draw(st.lists(st.integers(0, 5), max_size=3))
    x = draw(arrays(tuple(shape), draw(dtypes)))
    return Call(draw(st.sampled_from(["erf", "gelu", "relu", "sigmoid", "tanh"])), [x], seed=draw(seeds))


@st.composite
def masks(draw, N, T):
    """Draw which steps count: none or all left out, a length for each sequence, or any of them."""
    kind = draw(st.sampled_from(["none", "none", "lengths", "any", "nothing counts"]))
    rng = np.random.default_rng(draw(seeds))
    if kind == "none":
        return None
    if kind == "lengths":
        return np.arange(T) < rng.integers(0, T + 1, (N, 1))
    return np.zeros((N, T), bool) if kind == "nothing counts" else rng.random((N, T)) < 0.5


@st.composite
def recurrent_calls(draw):
    """Draw a sequence for one of the recurrent operations; now and then longer batches, since blocks have 16 rows.

    Values stay moderate: a sum of large ones is rounded differently in another order, and a gate passes that on.
    """
    op, dtype = draw(st.sampled_from(["simple_rnn", "lstm", "gru"])), draw(dtypes)
    N = draw(st.sampled_from([0, 1, 1, 2, 3, 3, 16, 17]))
    T = draw(st.sampled_from([0, 1, 1, 2, 3, 5]))
    D, U = draw(sizes), draw(sizes)
    gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[op]
    options = {"activation": draw(st.sampled_from(["tanh", "tanh", "relu", "sigmoid", "linear", "softsign"]))}
    if gates > 1:
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid", "tanh"]))
    if op == "gru":
        options["reset_after"] = draw(st.booleans())
    mask = draw(masks(N, T))
    odd = ["ties", "zeros", None, None] + ([] if mask is not None else ["NaN"])
    wrong = draw(st.sampled_from([None] * 12 + ["x", "kernel", "recurrent_kernel", "h0", "bias"]))

    def shape(name, *axes):
        return (*axes[:-1], axes[-1] + (name == wrong))

    columns = gates * U
    bias_shape = (2, columns) if options.get("reset_after") else (columns,)
    x = draw(arrays(shape("x", N, T, D), dtype, st.sampled_from(odd)))
    kernel = draw(arrays(shape("kernel", D, columns), dtype, finite_values))
    recurrent = draw(arrays(shape("recurrent_kernel", U, columns), dtype, finite_values))
    optional = [shape("bias", *bias_shape), *[shape("h0", N, U)] * (2 if op == "lstm" else 1)]
    optional = [draw(st.one_of(st.none(), arrays(one, dtype, finite_values))) for one in optional]
    scale = None
    if draw(st.sampled_from([False, False, True])):
        scale = (2.0 * (np.random.default_rng(draw(seeds)).random((N, U)) < 0.5)).astype(dtype)
    return Call(op, [x, kernel, recurrent, *optional, mask, scale], options, draw(seeds))


@st.composite
def embedding_calls(draw):
    """Draw rows of a table, repeated ones; now and then a row that is not there, or a number that is not whole."""
    K, D = draw(sizes), draw(sizes)
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=2)))
    wrong = draw(st.sampled_from([0] * 12 + [1, 2]))
    kind = "float32" if wrong == 2 else draw(st.sampled_from(["int32", "int64", "uint8"]))
    ids = np.random.default_rng(draw(seeds)).integers(0, K, shape).astype(kind)
    ids = ids + np.asarray(K, kind) if wrong == 1 else ids
    return Call("embedding", [draw(arrays((K, D), draw(dtypes))), ids], {}, draw(seeds))


@st.composite
def warp_calls(draw):
    """Draw images and how far to look beside each pixel: near, far outside, or along whole pixels."""
    dtype, wrong = draw(dtypes), draw(st.sampled_from([0] * 12 + [1]))
    shape = (draw(st.integers(0, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    x = draw(arrays((*shape, draw(sizes)), dtype, st.sampled_from([None, None, "ties", "zeros", "NaN", "large"])))
    far = draw(st.sampled_from([0.3, 2.0, 20.0]))
    displacement = draw(arrays((*shape, 2 + wrong), dtype, finite_values)) * np.asarray(far, dtype)
    return Call("warp", [x, displacement], {"border": draw(st.sampled_from(["clamp", "zeros"]))}, draw(seeds))


@st.composite
def information_calls(draw):
    """Draw pairs of images with values from 0 to 1, and beyond.

    Nine pixels or more, and in single precision many bins: where the images say next to nothing about each other, the
    result is what rounding leaves of a sum of terms of both signs.
    """
    wrong = draw(st.sampled_from([0] * 12 + [1]))
    bins = draw(st.sampled_from([3, 4, 5, 16, 32]))
    dtype = draw(dtypes) if bins > 5 else "float64"
    shape = (draw(st.integers(1, 3)), draw(st.integers(3, 6)), draw(st.integers(3, 6)), draw(st.integers(1, 2)))
    y_true, y_pred = (draw(arrays((*shape[:-1], shape[-1] + extra), dtype, st.none())) for extra in (0, wrong))
    scaled = [y * np.asarray(0.3, dtype) + np.asarray(0.5, dtype) for y in (y_true, y_pred)]
    return Call("mutual_information", scaled, {"bins": bins}, draw(seeds))


calls = st.one_of(
    dense_calls(), convolution_calls(), convolution_calls(2), winograd_calls(), fused_calls(), im2col_calls(),
    pooling_calls(), pooling_calls(), transposed_calls(), elementwise_calls(), recurrent_calls(), recurrent_calls(),
    embedding_calls(), warp_calls(), information_calls(), normalization_calls(),
)  # fmt: skip
"""Any of them."""

sequence_calls = st.one_of(recurrent_calls(), recurrent_calls(), recurrent_calls(), embedding_calls())
"""What runs over sequences."""

DRAWN = {
    "dense", "conv1d", "conv2d", "conv3d", "conv2d_relu", "conv2d_relu_max_pool", "im2col", "max_pool1d", "max_pool2d",
    "max_pool3d", "average_pool1d", "average_pool2d", "average_pool3d", "conv2d_transpose", "erf", "gelu", "relu",
    "sigmoid", "tanh", "simple_rnn", "lstm", "gru", "embedding", "warp", "mutual_information", "batch_norm",
    "sgd_update", "adam_update", "rmsprop_update", "adagrad_update",
}  # fmt: skip
"""The operations and updates that are drawn."""


@st.composite
def update_calls(draw):
    """Draw an optimizer's step: name, arrays, options."""
    name = draw(st.sampled_from(["sgd_update", "adam_update", "rmsprop_update", "adagrad_update"]))
    shape, dtype = tuple(draw(st.lists(st.integers(0, 6), max_size=3))), draw(dtypes)
    odd = st.sampled_from([None, None, "NaN", "infinity", "zeros", "ties"])
    param, grad = draw(arrays(shape, dtype, odd)), draw(arrays(shape, dtype, odd))
    slots = [abs(draw(arrays(shape, dtype, st.none()))) for _ in range(3)]
    optional = {"sgd_update": [0], "adam_update": [2], "rmsprop_update": [1, 2], "adagrad_update": []}[name]
    count = {"sgd_update": 1, "adam_update": 3, "rmsprop_update": 3, "adagrad_update": 1}[name]
    given = [None if i in optional and draw(st.booleans()) else slots[i] for i in range(count)]
    options = {
        "learning_rate": draw(st.sampled_from([0.0, 0.01, 1.0])),
        "weight_decay": draw(st.sampled_from([0, 0.1])),
    }
    if name == "adam_update":
        options["step"] = draw(st.integers(1, 50))
    if name in ("sgd_update", "rmsprop_update") and draw(st.booleans()):
        options["momentum"] = 0.9
    if name == "sgd_update":
        options["nesterov"] = draw(st.booleans())
    return Call(name, [param, grad, *given], options)
