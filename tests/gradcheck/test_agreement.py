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


def test_a_point_at_which_the_textbook_has_lost_digits_is_drawn_again():
    """Near zero the difference of two large numbers is rounding only; the fast body has other rounding, no mistake."""

    def near_one(rng):
        return 1 + 10.0 ** rng.uniform(-9, 0, (2,))

    made = Operation("halve", _dispatching(lambda x: ((x * x - 1) / 2, x)))
    made.backward = _dispatching(lambda dy, x: dy * x)
    made.forward.register(np.ndarray)(lambda x: ((x - 1) * (x + 1) / 2, x))
    found = rows("agreement", subject_of_op(OpCase("halve", {"x": near_one}), made))
    assert all(row.ok for row in found)
    made.forward.register(np.ndarray)(lambda x: ((x - 1) * (x + 1) / 2 + 1e-3, x))
    assert not all(row.ok for row in rows("agreement", subject_of_op(OpCase("halve", {"x": near_one}), made)))
