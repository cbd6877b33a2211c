import inspect

import numpy as np
import pytest

from tests.gradcheck.faults.zoo import caught, named
from tinymed.gradcheck.faults import recurrent
from tinymed.gradcheck.faults.fault import Call
from tinymed.ops import REGISTRY


@pytest.mark.parametrize("fault", named(recurrent.FAULTS))
def test_each_mistake_is_caught_by_the_named_check(fault):
    caught(fault)


def gradients(op, labels, wrong):
    """Return the right gradients, and those that the mistakes' tools give when nothing is wrong."""
    case = next(case for case in recurrent.OP_CASES if case.op == op and case.label == labels)
    arrays = case.draw(np.random.default_rng(0))
    parameters = inspect.signature(REGISTRY[op].forward).parameters.values()
    left_out = {p.name: p.default for p in parameters if p.name not in arrays}
    call = Call(REGISTRY[op], {**arrays, **left_out, **case.options})
    rng = np.random.default_rng(1)
    dy = [rng.standard_normal(part.shape) for part in call.y] if op == "lstm" else rng.standard_normal(call.y.shape)
    return call.right(dy), wrong(dy, call)


@pytest.mark.parametrize("op", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "label", ["initial state and bias", "masked at the start, inside and at the end", "dropout and mask"]
)
def test_step_by_step_without_a_mistake_is_right(op, label):
    right, found = gradients(op, label, lambda dy, call: recurrent._through_time(dy, call, recurrent._all))
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_the_lstm_by_its_formulas_without_a_mistake_is_right():
    right, found = gradients("lstm", "initial state and bias", lambda dy, call: recurrent._lstm(dy, call, "nothing"))
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
