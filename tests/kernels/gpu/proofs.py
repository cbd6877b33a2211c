"""What the proofs of the GPU bodies share: which calls are made, and how a body is run beside the textbook."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinymed.kernels.gpu  # noqa: F401  (enters the bodies into the table)
from tests.properties.strategies import Call
from tinymed.gradcheck.cases import op_cases
from tinymed.gradcheck.subject import flat, largest
from tinymed.kernels.gpu.launching import BODIES
from tinymed.kernels.gpu.reading import Source
from tinymed.ops import REGISTRY, textbook

BODY = {function.__name__: body for function, body in BODIES}
"""The body of each function that has one, by the function's name."""

OPERATIONS = sorted({name.removesuffix("_backward") for name in BODY} & set(REGISTRY))
"""Operations whose forward or backward has a body."""

RECURRENT = ("simple_rnn", "lstm", "gru")

CASES = [case for case in op_cases() if case.op in OPERATIONS]
"""The gradient check's cases of these operations."""


def names(case):
    """Return a name for a case in the list of tests."""
    return f"{case.op}-{case.label}".replace(" ", "_") if case.label else case.op


def drawn(case, dtype, seed=1):
    """Return the call that a case describes."""
    arrays = list(case.draw(np.random.default_rng(seed), dtype).values())
    return Call(case.op, arrays, dict(case.options), seed)


# --- large calls: every kernel on more than one block ----------------------------------------------------------------


def _normal(*shapes):
    return lambda rng, dtype: [None if s is None else rng.standard_normal(s).astype(dtype) for s in shapes]


def _probabilities(rng, dtype):
    t = np.eye(3)[rng.integers(0, 3, 400)]
    return [a.astype(dtype) for a in (t, rng.dirichlet(np.ones(3), 400))]


def _classes(rng, dtype):
    return [rng.integers(-1, 40, 30), rng.standard_normal((30, 40)).astype(dtype)]


def _rows(rng, dtype):
    return [rng.integers(0, 7, 300), rng.standard_normal((7, 40)).astype(dtype)][::-1]


def _mask(rng, dtype):
    return [rng.standard_normal((9, 50)).astype(dtype), rng.random((9, 50)) < 0.5]


def _near_thousand(rng, dtype):
    values = [rng.standard_normal(s) for s in ((1500, 40), (40,), (40,))]
    return [(v * 0.2 - (1000 if i == 0 else 0)).astype(dtype) for i, v in enumerate(values)]


def _moments(rng, dtype):
    weights = [rng.standard_normal(40).astype(dtype) for _ in range(3)]
    return [rng.standard_normal((9, 5, 40)).astype(dtype), *weights, rng.random(40).astype(dtype)]


SAME = {"padding": "same"}

LARGE = [
    ("im2col", _normal((2, 9, 8, 5)), {"window": (3, 2), "strides": (1, 2), **SAME}),
    ("im2col", _normal((2, 90, 20)), {"window": 7}),
    ("conv1d", _normal((3, 100, 2), (4, 2, 3), (3,)), {"padding": "causal", "dilation_rate": 2}),
    ("conv2d", _normal((2, 12, 13, 5), (3, 3, 5, 70), (70,)), {}),
    ("conv2d", _normal((2, 13, 12, 40), (3, 2, 40, 20), (20,)), SAME),
    ("conv2d", _normal((2, 11, 13, 8), (3, 3, 4, 80), None), {"strides": (2, 1), "groups": 2, **SAME}),
    ("conv2d", _normal((2, 9, 10, 70), (2, 2, 70, 130), (130,)), {"strides": 2, **SAME}),
    ("conv2d", _normal((2, 8, 9, 256), (1, 1, 256, 128), (128,)), {}),
    ("conv2d_relu", _normal((2, 9, 8, 64), (3, 3, 64, 129), (129,)), SAME),
    ("conv2d_relu", _normal((2, 9, 10, 3), (3, 3, 3, 33), (33,)), SAME),
    ("conv2d_relu_max_pool", _normal((2, 10, 11, 3), (3, 3, 3, 33), (33,)), SAME),
    ("conv2d_relu_max_pool", _normal((3, 12, 13, 7), (3, 3, 7, 17), None), {}),
    ("conv3d", _normal((2, 5, 6, 7, 2), (3, 2, 2, 2, 18), (18,)), SAME),
    ("conv2d_transpose", _normal((1, 8, 9, 40), (3, 3, 35, 40), (35,)), {"strides": 2, **SAME}),
    ("conv2d_transpose", _normal((1, 12, 9, 4), (3, 3, 18, 4), None), {"strides": (1, 2)}),
    ("max_pool2d", _normal((3, 15, 17, 3)), {"pool_size": (2, 3), "strides": (1, 2), **SAME}),
    ("average_pool2d", _normal((3, 15, 17, 3)), {"pool_size": 3, "strides": 2, **SAME}),
    ("max_pool2d", _normal((1, 40, 40, 1)), {"pool_size": 17, "strides": 16}),
    ("global_max_pool", _normal((3, 30, 40)), {}),
    ("global_average_pool", _normal((3, 30, 40)), {"keepdims": True}),
    ("dense", _normal((40, 30), (30, 20), (20,)), {}),
    ("dense", _normal((3, 200, 33), (33, 7), None), {}),
    ("relu", _normal((5, 70)), {"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.2}),
    ("sigmoid", _normal((5, 70)), {}),
    ("dropout", _mask, {"rate": 0.25}),
    ("softmax", _normal((20, 70)), {}),
    ("softmax", _normal((400, 3)), {}),
    ("log_softmax", _normal((3, 300)), {}),
    ("softmax_crossentropy", _probabilities, {"label_smoothing": 0.1}),
    ("sparse_softmax_crossentropy", _classes, {"ignore_class": -1}),
    ("sigmoid_crossentropy", _probabilities, {}),
    ("binary_crossentropy", _probabilities, {}),
    ("categorical_crossentropy", _probabilities, {}),
    ("mean_squared_error", _normal((400, 3), (400, 3)), {}),
    ("mean_absolute_error", _normal((5, 70), (5, 70)), {}),
    ("batch_norm", _near_thousand, {}),
    ("batch_norm_inference", _moments, {}),
    ("layer_norm", _normal((9, 6, 50), (6, 50), (6, 50)), {"axis": (1, 2)}),
    ("layer_norm", _normal((9, 6, 50), (50,), None), {}),
    ("embedding", _rows, {}),
    ("warp", _normal((3, 20, 21, 3), (3, 20, 21, 2)), {"border": "zeros"}),
    *[
        (name, _normal((35, 3, 4), (4, 50 * gates), (50, 50 * gates), bias), {"activation": "tanh"})
        for name, gates, bias in (("simple_rnn", 1, (50,)), ("lstm", 4, (200,)), ("gru", 3, (2, 150)))
    ],
]


def large_calls(dtype, recurrent=True):
    """Return the large calls of the operations that have bodies."""
    rng = np.random.default_rng(0)
    wanted = [entry for entry in LARGE if entry[0] in OPERATIONS and (recurrent or entry[0] not in RECURRENT)]
    return [Call(name, draw(rng, dtype), options, 0) for name, draw, options in wanted]


# --- the weights of a model --------


def weights_of_a_model(dtype):
    """Return the arguments of each update: lists of forty weights, some of them empty, some large."""
    rng = np.random.default_rng(0)
    sizes = [(3, 3, 2, 4), (4,), (0,), (300,), ()] * 8
    return {
        name: [[rng.random(size).astype(dtype) for size in sizes] for _ in range(count)]
        for name, count in (("sgd_update", 3), ("adam_update", 5), ("rmsprop_update", 5), ("adagrad_update", 3))
    }


# --- running ----------------------------------------------------------------------------------------------------------


def outcome(call, bodies):
    """Run forward and backward, by the bodies for the GPU or by the textbook; return results by name, or the error."""
    operation = REGISTRY[call.op]
    forward, backward = operation.forward.textbook, operation.backward.textbook
    if bodies:
        forward, backward = BODY.get(call.op, forward), BODY.get(f"{call.op}_backward", backward)
    kept = [None if a is None else a.copy() for a in call.arrays]
    with contextlib.nullcontext() if bodies else textbook(), np.errstate(all="ignore"):
        try:
            y, cache = forward(*call.arrays, **call.options)
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            return error
        found = backward(_upstream(y, np.random.default_rng(call.seed)), cache)
    for a, before in zip(call.arrays, kept, strict=True):
        if a is not None:
            np.testing.assert_array_equal(a, before, "an argument was changed")
    gradients = found if isinstance(found, tuple) else (found,)
    outputs = {f"y {i}": part for i, part in enumerate(y)} if isinstance(y, list) else {"y": y}
    return outputs | {f"gradient {i}": g for i, g in enumerate(gradients)}


def _upstream(y, rng):
    if isinstance(y, list):
        return [_upstream(part, rng) for part in y]
    return rng.standard_normal(np.shape(y)).astype(y.dtype)


def assert_same(found, wanted):
    """Compare results, or errors; NaN and infinity must be in the same places."""
    if isinstance(wanted, Exception):
        assert type(found) is type(wanted) and str(found) == str(wanted)
        return
    assert not isinstance(found, Exception), found
    assert set(found) == set(wanted)
    for name, right in wanted.items():
        if right is None:
            assert found[name] is None
            continue
        assert found[name].shape == np.shape(right) and found[name].dtype == right.dtype, name
        a, b = flat(found[name]), flat(right)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), f"NaN in other places: {name}")
        infinite = np.isinf(b)
        np.testing.assert_array_equal(a[infinite], b[infinite], f"other infinities: {name}")
        usual = np.isfinite(b)
        tolerance = (1e-12 if right.dtype == np.float64 else 2e-5) * max(1.0, largest(b))
        np.testing.assert_allclose(a[usual], b[usual], rtol=0, atol=tolerance, err_msg=name)


def assert_agrees(call):
    """Run a call by the bodies for the GPU and by the textbook's, and compare."""
    assert_same(outcome(call, bodies=True), outcome(call, bodies=False))


# --- recording --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Launched:
    """What was launched: enough to compile it, and to tell whether it fits on a multiprocessor."""

    source: Source
    options: tuple[str, ...]
    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int


@dataclass
class Recorder:
    """A driver that computes nothing and keeps what was launched."""

    launched: list[Launched] = field(default_factory=list)

    def empty(self, shape: tuple[int, ...], dtype: Any, like: Any) -> np.ndarray:
        """Return zeros, since nothing will be written."""
        return np.zeros(shape, dtype)

    def launch(self, source, kernel, options, grid, block, arguments, shared_bytes):
        """Keep what was launched."""
        self.launched.append(Launched(source, options, kernel, grid, block, shared_bytes))

    def largest_grids(self):
        """Return the largest number of blocks of each kernel."""
        grids = {}
        for one in self.launched:
            grids[one.kernel] = max(grids.get(one.kernel, 0), math.prod(one.grid))
        return grids


# --- on a card --------------------------------------------------------------------------------------------------------


def outcome_on(call, to_device, to_host):
    """Run forward and backward as a program does, on arrays of a device; return results by name, in main memory."""
    operation = REGISTRY[call.op]
    y, cache = operation.forward(*[None if a is None else to_device(a) for a in call.arrays], **call.options)
    upstream = _upstream(y, np.random.default_rng(call.seed))
    found = operation.backward([to_device(u) for u in upstream] if isinstance(y, list) else to_device(upstream), cache)
    gradients = found if isinstance(found, tuple) else (found,)
    outputs = {f"y {i}": part for i, part in enumerate(y)} if isinstance(y, list) else {"y": y}
    outputs |= {f"gradient {i}": g for i, g in enumerate(gradients)}
    return {name: None if a is None else to_host(a) for name, a in outputs.items()}
