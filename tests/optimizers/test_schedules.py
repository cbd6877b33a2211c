"""Schedules against their formulas in exact arithmetic, where these are rational, else in NumPy's."""

import json
from fractions import Fraction as F

import numpy as np
import pytest

from tinymed.optimizers import schedules
from tinymed.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

ALL = [
    ExponentialDecay(0.1, 7, 0.5),
    PiecewiseConstantDecay([3, 8], [1.0, 0.5, 0.1]),
    PolynomialDecay(0.1, 10, 0.01, power=2.0, cycle=True),
    InverseTimeDecay(0.1, 5, 0.3, staircase=True),
    CosineDecay(0.01, 10, 0.1, warmup_target=0.2, warmup_steps=5),
    CosineDecayRestarts(0.1, 4, 1.5, 0.8, 0.1),
]


def test_exponential():
    smooth, stairs = ExponentialDecay(0.1, 8, 0.5), ExponentialDecay(0.1, 8, 0.5, staircase=True)
    for step in range(40):
        assert smooth(step) == pytest.approx(0.1 * 2 ** (-step / 8), rel=1e-15)
        assert stairs(step) == pytest.approx(float(F(0.1) * F(1, 2) ** (step // 8)), rel=1e-15)
    assert (stairs(7), stairs(8)) == (0.1, 0.05)


def test_piecewise():
    schedule = PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1])
    assert [schedule(step) for step in range(8)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.1, 0.1]
    assert PiecewiseConstantDecay([], [0.3])(9) == 0.3


@pytest.mark.parametrize("power", [1, 2, 3])
def test_polynomial(power):
    start, end = F(0.1), F(0.01)
    plain, cycle = PolynomialDecay(0.1, 10, 0.01, power), PolynomialDecay(0.1, 10, 0.01, power, cycle=True)
    for step in range(45):
        rest = 1 - F(min(step, 10), 10)
        assert plain(step) == pytest.approx(float((start - end) * rest**power + end), rel=1e-13)
        steps = 10 * max(1, -(-step // 10))
        rest = 1 - F(step, steps)
        assert cycle(step) == pytest.approx(float((start - end) * rest**power + end), rel=1e-13)
    assert plain(10) == plain(1000) == 0.01
    assert PolynomialDecay(0.1, 10)(10) == 0.0001


def test_inverse_time():
    smooth, stairs = InverseTimeDecay(0.1, 5, 0.3), InverseTimeDecay(0.1, 5, 0.3, staircase=True)
    for step in range(40):
        assert smooth(step) == pytest.approx(float(F(0.1) / (1 + F(0.3) * F(step, 5))), rel=1e-15)
        assert stairs(step) == pytest.approx(float(F(0.1) / (1 + F(0.3) * (step // 5))), rel=1e-15)


def test_cosine():
    schedule = CosineDecay(0.1, 10, alpha=0.2)
    for step in range(25):
        half = (1 + np.cos(np.pi * min(step, 10) / 10)) / 2
        assert schedule(step) == pytest.approx(0.1 * (0.8 * half + 0.2), rel=1e-14)
    assert (schedule(0), schedule(10), schedule(99)) == pytest.approx((0.1, 0.02, 0.02), rel=1e-15)


def test_cosine_after_a_warm_up():
    schedule = CosineDecay(0.01, 10, alpha=0.2, warmup_target=0.11, warmup_steps=4)
    assert [schedule(step) for step in range(5)] == pytest.approx([0.01, 0.035, 0.06, 0.085, 0.11], rel=1e-14)
    assert schedule(9) == pytest.approx(0.11 * 0.6, rel=1e-14)
    assert schedule(14) == schedule(50) == pytest.approx(0.022, rel=1e-14)
    assert CosineDecay(0.01, 10, warmup_target=0.3)(0) == 0.3


def test_cosine_restarts():
    schedule = CosineDecayRestarts(1.0, 4, t_mul=2.0, m_mul=0.5)  # runs from 0, 4, 12, 28
    assert [schedule(s) for s in (0, 2, 4, 8, 12, 20, 28)] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125])
    assert schedule(3) < schedule(2)
    assert 0 < schedule(11) < 0.03
    even = CosineDecayRestarts(1.0, 4, t_mul=1.0, m_mul=0.5, alpha=0.5)
    assert [even(s) for s in (0, 2, 4, 6, 8)] == pytest.approx([1, 0.75, 0.75, 0.625, 0.625])
    assert even(4_000_000) == pytest.approx(0.5)


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_floats_and_configuration(schedule):
    assert all(type(schedule(step)) is float for step in (0, 1, 50))
    plain = json.loads(json.dumps(schedules.serialize(schedule)))
    copy = schedules.deserialize(plain)
    assert type(copy) is type(schedule)
    assert copy.get_config() == schedule.get_config()
    assert [copy(step) for step in range(30)] == [schedule(step) for step in range(30)]
    assert schedules.deserialize(schedule) is schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay needs decay_steps greater than 0, got 0"),
        (lambda: CosineDecayRestarts(0.1, -1), "needs first_decay_steps greater than 0"),
        (lambda: CosineDecayRestarts(0.1, 10, t_mul=0.5), "needs t_mul of 1 or more"),
        (lambda: PiecewiseConstantDecay([1, 2], [0.1]), "got 2 boundaries and 1 values"),
        (lambda: PiecewiseConstantDecay([2, 1], [1, 2, 3]), "in rising order"),
        (lambda: schedules.deserialize({"class_name": "CosinDecay", "config": {}}), "did you mean 'CosineDecay'"),
        (lambda: schedules.deserialize(0.1), "a learning-rate schedule is an object"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_of_ones_own_needs_call():
    with pytest.raises(NotImplementedError, match="does not say what the learning rate is"):
        LearningRateSchedule()(0)
