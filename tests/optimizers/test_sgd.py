"""SGD follows its formula through ``update``."""

import numpy as np
import pytest

from tinymed.optimizers import SGD


def test_by_hand():
    params = {"w": np.array([1.0])}
    optimizer = SGD(learning_rate=0.5, momentum=0.5)
    optimizer.update(params, {"w": np.array([2.0])})  # m = -1
    np.testing.assert_array_equal(params["w"], [0.0])
    optimizer.update(params, {"w": np.array([2.0])})  # m = -1.5
    np.testing.assert_array_equal(params["w"], [-1.5])
    np.testing.assert_array_equal(optimizer.state["momentum/w"], [-1.5])


def test_nesterov_by_hand():
    params = {"w": np.array([1.0])}
    optimizer = SGD(learning_rate=0.5, momentum=0.5, nesterov=True)
    optimizer.update(params, {"w": np.array([2.0])})  # m = -1, step 0.5 * -1 - 1
    np.testing.assert_array_equal(params["w"], [-0.5])


def test_defaults_and_slots():
    optimizer = SGD()
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.nesterov) == (0.01, 0.0, False)
    optimizer.update({"w": np.ones(2)}, {"w": np.ones(2)})
    assert set(optimizer.state) == {"iterations"}
    with pytest.raises(ValueError, match=r"SGD needs momentum, a number from 0 to 1, but got 1\.5"):
        SGD(momentum=1.5)
