import math
from decimal import Decimal

import pytest

from tinymed.gradcheck import updates
from tinymed.optimizers import SGD, Optimizer, schedules


@pytest.mark.parametrize("name", updates.optimizer_classes())
def test_optimizers_follow_their_formulas(name):
    rows = list(updates.check_optimizer(updates.optimizer_classes()[name]))
    assert len(rows) == len(updates.SETTINGS[name])
    assert all(row.ok for row in rows), [row for row in rows if not row.ok]


@pytest.mark.parametrize("name", updates.schedule_classes())
def test_schedules_follow_their_formulas(name):
    rows = list(updates.check_schedule(updates.schedule_classes()[name]))
    assert rows and all(row.ok for row in rows), [row for row in rows if not row.ok]


def test_a_step_that_is_wrong_in_the_tenth_digit_is_found():
    class Hasty(SGD):
        def step(self, param, grad, slots, learning_rate):
            super().step(param, grad, slots, learning_rate * (1 + 1e-10))

    assert not any(row.ok for row in updates.check_optimizer(Hasty))


def test_an_optimizer_without_a_formula_is_not_covered():
    class New(Optimizer):
        pass

    (row,) = updates.check_optimizer(New)
    assert (row.check, row.ok) == ("coverage", False)
    (row,) = updates.check_schedule(type("New", (schedules.LearningRateSchedule,), {}))
    assert (row.check, row.ok) == ("coverage", False)


def test_an_error_is_a_finding():
    class Broken(SGD):
        def step(self, *args):
            raise RuntimeError("broken")

    rows = list(updates.check_optimizer(Broken))
    assert all(row.note == "RuntimeError: broken" and not row.ok for row in rows)


@pytest.mark.parametrize("x", [0.0, 0.5, 1.0, 3.0])
def test_cosines_have_many_digits(x):
    assert float(updates._cos(Decimal(x))) == pytest.approx(math.cos(x), abs=1e-15)
