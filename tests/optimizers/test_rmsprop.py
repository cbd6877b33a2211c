"""RMSprop follows its formula through ``update``."""

import numpy as np
import pytest

from tinymed.optimizers import RMSprop


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_step_by_step(centered, momentum):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(6)
    params = {"w": w.copy()}
    optimizer = RMSprop(0.05, rho=0.8, momentum=momentum, epsilon=1e-3, centered=centered)
    v, average, m = np.zeros(6), np.zeros(6), np.zeros(6)
    for _ in range(14):
        g = rng.standard_normal(6)
        v, average = 0.8 * v + 0.2 * g**2, 0.8 * average + 0.2 * g
        m = momentum * m + 0.05 * g / np.sqrt(v - (average**2 if centered else 0) + 1e-3)
        w = w - m
        optimizer.update(params, {"w": g})
        np.testing.assert_allclose(params["w"], w, rtol=1e-11)
    slots = {"iterations", "velocity/w"}
    slots |= {"momentum/w"} if momentum else set()
    slots |= {"average_gradient/w"} if centered else set()
    assert set(optimizer.state) == slots


def test_defaults():
    made = RMSprop()
    assert (made.learning_rate, made.rho, made.momentum, made.epsilon, made.centered) == (0.001, 0.9, 0.0, 1e-7, False)
    with pytest.raises(ValueError, match="RMSprop needs rho, a number from 0 to 1"):
        RMSprop(rho=-0.1)
