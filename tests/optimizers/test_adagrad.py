"""Adagrad follows its formula through ``update``."""

import numpy as np
import pytest

from tinymed.optimizers import Adagrad


def test_by_hand():
    params = {"w": np.array([1.0])}
    optimizer = Adagrad(0.5, initial_accumulator_value=9.0, epsilon=0.0)
    optimizer.update(params, {"w": np.array([4.0])})  # s = 25, step 0.5 * 4 / 5
    np.testing.assert_allclose(params["w"], [0.6], rtol=1e-15)
    optimizer.update(params, {"w": np.array([-12.0])})  # s = 169, step 0.5 * -12 / 13
    np.testing.assert_allclose(params["w"], [0.6 + 6 / 13], rtol=1e-15)
    np.testing.assert_array_equal(optimizer.state["accumulator/w"], [169])


def test_defaults():
    made = Adagrad()
    assert (made.learning_rate, made.initial_accumulator_value, made.epsilon) == (0.001, 0.1, 1e-7)
    with pytest.raises(ValueError, match="Adagrad needs initial_accumulator_value"):
        Adagrad(initial_accumulator_value=-1.0)
