import numpy as np
import pytest

from tests.gradcheck.operations import rows
from tinymed.gradcheck.adapters import subject_of_op
from tinymed.gradcheck.case import OpCase
from tinymed.ops.registry import Operation, _dispatching


def halve(x):
    return x / 2, None


def operation(body):
    made = Operation("halve", _dispatching(halve))
    made.backward = _dispatching(lambda dy, cache: dy / 2)
    if body is not None:
        made.forward.register(np.ndarray)(body)
    return made


def findings(body):
    return rows("agreement", subject_of_op(OpCase("halve", {"x": (3, 4)}), operation(body)))


def test_bodies_that_agree_pass_in_both_precisions():
    found = findings(lambda x: (x * 0.5, None))
    assert len(found) == 4 and all(row.ok for row in found)


def test_without_a_fast_body_there_is_nothing_to_compare():
    assert findings(None) == []


@pytest.mark.parametrize(
    "body",
    [
        lambda x: (x * 0.5 + 1e-9 * (x.dtype == np.float64), None),
        lambda x: (x[:2] * 0.5, None),
        lambda x: (np.where(x > 0, x, np.nan) * 0.5, None),
    ],
)
def test_bodies_that_differ_fail(body):
    assert not all(row.ok for row in findings(body))
