"""Numbers that change from step to step: Python numbers, or places on the device while a step is recorded."""

import operator

import numpy as np
import pytest

from tinymed.live import Live, itself, live, number, recording, value


class Places:
    def __init__(self):
        self.asked = []

    def place(self, like, formula, arguments, dtype):
        self.asked.append((like, value(formula, arguments), dtype))
        return "place"


def test_outside_a_recording_they_are_numbers():
    rate = live(lambda: 0.25)
    assert rate == 0.25 and number(None, operator.mul, rate, 2) == 0.5 and number(None, itself, rate) == 0.25


def test_inside_they_are_places():
    like, places, count = np.zeros(1), Places(), iter(range(3, 9))
    with recording(places):
        step = live(lambda: next(count))
        assert number(like, operator.mul, 2, 3) == 6  # nothing live in it
        assert number(like, operator.mul, step, 10, dtype="uint64") == "place"
    assert places.asked == [(like, 30, "uint64")]
    assert live(lambda: 1) == 1


def test_who_does_not_know_live_numbers_gets_an_error():
    rate = Live(lambda: 0.25)
    for use in (lambda: rate * 2, lambda: float(rate), lambda: np.ones(2, "float32") * rate, lambda: rate or 1):
        with pytest.raises(TypeError):
            use()


def test_shared_numbers_are_one():
    def function():
        return 1

    assert Live(function, shared=True) == Live(function, shared=True) != Live(function)
    assert len({Live(function, shared=True), Live(function, shared=True)}) == 1
    one = Live(function)
    assert one == one and len({one, Live(function)}) == 2
