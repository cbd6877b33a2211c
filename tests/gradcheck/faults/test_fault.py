import numpy as np
import pytest

from tinymed import losses
from tinymed.gradcheck.case import LossCase, OpCase
from tinymed.gradcheck.faults.fault import Call, faulty, fresh, kernel_fault, layer_fault, loss_fault, op_fault
from tinymed.layers import Dense
from tinymed.ops import REGISTRY

TANH = [OpCase("tanh", {"x": (3, 4)})]


def half(dy, call):
    return 0.5 * call.right(dy)


def test_a_wrong_backward_takes_the_right_ones_place():
    operation = faulty(REGISTRY["tanh"], backward=half)
    y, cache = operation.forward(np.array([0.5]))
    np.testing.assert_allclose(y, np.tanh(0.5))
    np.testing.assert_allclose(operation.backward(np.ones(1), cache), 0.5 * (1 - np.tanh(0.5) ** 2))
    assert REGISTRY["tanh"].forward is not operation.forward


def test_a_wrong_forward_too():
    operation = faulty(REGISTRY["tanh"], forward=lambda call: call.y + 1)
    assert operation.forward(np.zeros(1))[0] == 1.0


def test_a_call_knows_its_arguments_and_can_be_made_again():
    call = Call(REGISTRY["leaky_relu"], {"x": np.array([-1.0]), "negative_slope": 0.5})
    assert call["negative_slope"] == 0.5 and call.y == -0.5
    assert call.right(np.ones(1)) == 0.5
    assert call.at(negative_slope=0.1).right(np.ones(1)) == 0.1
    several = Call(REGISTRY["add"], {"xs": (np.ones(2), np.ones(2))})
    np.testing.assert_array_equal(several.y, 2)


def test_the_right_thing_is_not_caught():
    assert op_fault("tanh", "nothing", "", "gradient").catch() is None
    assert op_fault("tanh", "nothing", "", "gradient", cases=TANH).catch() is None
    assert kernel_fault("max_pool2d", "nothing", "", lambda right: right).catch() is None
    assert layer_fault("Dense", "nothing", "", "gradient", "", lambda: Dense(2), (3, 4)).catch() is None
    case = lambda: LossCase(losses.MeanSquaredError, (3, 2), (3, 2))  # noqa: E731
    assert loss_fault("MeanSquaredError", "nothing", "", "gradient", "", case).catch() is None


def test_only_the_named_check_counts():
    assert op_fault("tanh", "", "", "gradient", backward=half, cases=TANH).catch().check == "gradient"
    assert op_fault("tanh", "", "", "mutation", backward=half, cases=TANH).catch() is None


def test_a_mistake_that_merely_crashes_is_not_caught():
    def crashes(dy, call):
        return call["nothing"]

    assert op_fault("tanh", "", "", "gradient", backward=crashes, cases=TANH).catch() is None


def test_all_findings_are_there_to_be_seen():
    rows = list(op_fault("tanh", "", "", "gradient", backward=half, cases=TANH).findings())
    assert {"gradient", "mutation", "layouts"} <= {row.check for row in rows}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fresh_arrays(dtype):
    zeros = fresh((2, 3), np.ones(1, dtype))
    assert zeros.shape == (2, 3) and zeros.dtype == dtype and not zeros.any()
