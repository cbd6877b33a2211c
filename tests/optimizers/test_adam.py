"""Adam and AdamW follow their formulas through ``update``."""

import numpy as np
import pytest

from tinymed.optimizers import Adam, AdamW


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_step_by_step(amsgrad, decay):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(6)
    params = {"w": w.copy()}
    optimizer = AdamW(0.05, decay, 0.8, 0.95, 1e-4, amsgrad)
    m, v, largest = np.zeros(6), np.zeros(6), np.zeros(6)
    for t in range(1, 15):
        g = rng.standard_normal(6) * 10.0 ** rng.integers(-3, 3)
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        largest = np.maximum(largest, v)
        alpha = 0.05 * np.sqrt(1 - 0.95**t) / (1 - 0.8**t)
        w = w - 0.05 * decay * w - alpha * m / (np.sqrt(largest if amsgrad else v) + 1e-4)
        optimizer.update(params, {"w": g})
        np.testing.assert_allclose(params["w"], w, rtol=1e-11)
    np.testing.assert_allclose(optimizer.state["momentum/w"], m, rtol=1e-11)
    np.testing.assert_allclose(optimizer.state["velocity/w"], v, rtol=1e-11)
    assert ("velocity_hat/w" in optimizer.state) is amsgrad


def test_the_first_step_is_one_learning_rate():
    """Without the correction for starting at zero it would be 0.316 of it."""
    params = {"w": np.zeros(2)}
    Adam(0.25).update(params, {"w": np.array([1e3, -1e-1])})
    np.testing.assert_allclose(params["w"], [-0.25, 0.25], rtol=1e-4)


def test_defaults():
    adam = Adam()
    assert (adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon, adam.amsgrad, adam.weight_decay) == (
        *(0.001, 0.9, 0.999, 1e-7, False),
        None,
    )
    assert AdamW().weight_decay == 0.004
    with pytest.raises(ValueError, match="AdamW needs weight_decay"):
        AdamW(weight_decay=None)
    with pytest.raises(ValueError, match="Adam needs beta_1, a number from 0 to 1"):
        Adam(beta_1=2.0)
