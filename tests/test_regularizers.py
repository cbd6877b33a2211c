"""Penalties as objects: values, gradients, names."""

import array_api_strict
import numpy as np
import pytest

from tinymed import backend, regularizers

W = np.array([[3.0, -2.0], [0.0, 0.5]])


@pytest.mark.parametrize(
    ("regularizer", "penalty", "gradient"),
    [
        (regularizers.L1(0.1), 0.55, [[0.1, -0.1], [0.0, 0.1]]),
        (regularizers.L2(0.1), 1.325, [[0.6, -0.4], [0.0, 0.1]]),
        (regularizers.L1L2(0.1, 0.1), 1.875, [[0.7, -0.5], [0.0, 0.2]]),
        (regularizers.L1L2(), 0.0, np.zeros((2, 2))),
        (regularizers.L1L2(None, 0.1), 1.325, [[0.6, -0.4], [0.0, 0.1]]),
    ],
)
def test_values_and_gradients(regularizer, penalty, gradient):
    found, cache = regularizer.forward(W)
    assert found.shape == ()
    np.testing.assert_allclose(found, penalty, rtol=1e-15)
    np.testing.assert_allclose(regularizer.backward(cache), gradient, rtol=1e-15)
    np.testing.assert_array_equal(regularizer(W), found)


def test_on_another_device_and_in_single_precision():
    device = array_api_strict.Device("device1")
    w = array_api_strict.asarray(W.astype("float32"), device=device)
    for regularizer in (regularizers.L1(), regularizers.L2(), regularizers.l1_l2(), regularizers.L1L2()):
        penalty, cache = regularizer.forward(w)
        gradient = regularizer.backward(cache)
        for array in (penalty, gradient):
            assert array.device == device
            assert array.dtype == array_api_strict.float32
        np.testing.assert_allclose(backend.to_host(penalty), regularizer(W), rtol=1e-6)


def test_get():
    assert regularizers.get(None) is None
    assert regularizers.get("l1").get_config() == {"l1": 0.01}
    assert regularizers.get("L2").get_config() == {"l2": 0.01}
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    assert regularizers.get({"class_name": "L2", "config": {"l2": 0.3}}).l2 == 0.3
    one = regularizers.L1(0.2)
    assert regularizers.get(one) is one


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.get("l3"), "unknown regularizer 'l3'; did you mean"),
        (lambda: regularizers.get(abs), "derive functions of your own"),
        (lambda: regularizers.L2(-0.1), "L2 needs l2, a number from 0 up, but got -0.1"),
        (lambda: regularizers.L1(float("nan")), "L1 needs l1"),
        (lambda: regularizers.L1L2("0.1"), "L1L2 needs l1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
