"""The same calls on a real GPU, against the textbook on the processor: ``python -m pytest -m gpu``."""

import numpy as np
import pytest

from tests.kernels.gpu import proofs
from tests.kernels.gpu.proofs import BODY, CASES, assert_same, drawn, outcome, outcome_on
from tests.properties.strategies import Call
from tinymed.ops import UPDATES

DTYPES = ["float32", "float64"]

REALISTIC = {
    "first layer": ("conv2d_relu_max_pool", [(32, 64, 64, 3), (3, 3, 3, 32), (32,)], {}),
    "second layer": ("conv2d_relu_max_pool", [(32, 31, 31, 32), (3, 3, 32, 64), (64,)], {}),
    "many filters": ("conv2d_relu", [(8, 28, 28, 128), (3, 3, 128, 128), (128,)], {"padding": "same"}),
    "volume": ("conv3d", [(2, 16, 32, 32, 4), (3, 3, 3, 4, 16), (16,)], {"padding": "same"}),
    "twice the size": ("conv2d_transpose", [(8, 16, 16, 64), (3, 3, 32, 64), (32,)], {"strides": 2, "padding": "same"}),
    "dense": ("dense", [(256, 4096), (4096, 128), (128,)], {}),
    "channels": ("batch_norm", [(64, 32, 32, 64), (64,), (64,)], {}),
    "pixels": ("softmax", [(8, 64, 64, 4)], {}),
    "sequence": ("lstm", [(32, 100, 16), (16, 256), (64, 256), (256,)], {}),
}
"""Sizes of real networks, which fill the card."""


def on_card(call):
    cupy = pytest.importorskip("cupy")
    return outcome_on(call, cupy.asarray, cupy.asnumpy)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=proofs.names)
def test_cases_of_the_gradient_check(case, dtype):
    assert_same(on_card(drawn(case, dtype)), outcome(drawn(case, dtype), bodies=False))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_calls(dtype):
    for call in proofs.large_calls(dtype):
        assert_same(on_card(call), outcome(call, bodies=False))


@pytest.mark.gpu
@pytest.mark.parametrize("name", REALISTIC)
def test_realistic_sizes(name):
    """In double precision, where sums of any order agree to many digits; and the same bits at every run."""
    op, shapes, options = REALISTIC[name]
    rng = np.random.default_rng(0)
    call = Call(op, [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in shapes], options, 0)
    first = on_card(call)
    wanted = outcome(call, bodies=False)
    for key, value in first.items():
        if value is not None:
            np.testing.assert_allclose(value, wanted[key], rtol=0, atol=1e-10 * max(1, np.abs(wanted[key]).max()))
    single = Call(op, [a.astype("float32") for a in call.arrays], options, 0)
    runs = [on_card(single) for _ in range(3)]
    for key, value in runs[0].items():
        if value is not None:
            assert all(run[key].tobytes() == value.tobytes() for run in runs)
            np.testing.assert_allclose(value, wanted[key], rtol=0, atol=3e-5 * max(1, np.abs(wanted[key]).max()))


@pytest.mark.gpu
@pytest.mark.parametrize("name", sorted(UPDATES))
def test_all_weights_in_one_launch(name):
    cupy = pytest.importorskip("cupy")
    arrays = proofs.weights_of_a_model("float32")[name]
    wanted = [UPDATES[name].textbook(*one, weight_decay=0.1) for one in zip(*arrays, strict=True)]
    found = UPDATES[name](*[[cupy.asarray(a) for a in column] for column in arrays], weight_decay=0.1)
    for column, right in zip(found, zip(*wanted, strict=True), strict=True):
        for a, b in zip(column, right, strict=True):
            np.testing.assert_allclose(cupy.asnumpy(a), b, rtol=2e-5)


def test_the_same_calls_without_a_card():
    """What is done on a card, done on the processor: the calls themselves are right."""
    for case in CASES:
        if case.op in ("conv2d", "max_pool2d", "lstm"):
            call = drawn(case, "float64")
            assert_same(outcome_on(call, np.asarray, np.asarray), outcome(call, bodies=False))
    assert {op for op, _, _ in REALISTIC.values()} <= set(BODY)
