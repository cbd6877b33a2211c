"""Batch, layer and group normalisation."""

import array_api_strict
import numpy as np
import pytest

from tinymed.ops import textbook
from tinymed.ops.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_inference_backward,
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
)


def reference(x, axes, epsilon=1e-3):
    x = x.astype(np.float64)
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)


def grouped_reference(x, groups):
    grouped = x.reshape(*x.shape[:-1], groups, -1)
    return reference(grouped, (*range(1, x.ndim - 1), x.ndim)).reshape(x.shape)


NORMS = {
    "batch": (batch_norm, batch_norm_backward, {}, lambda x: reference(x, (0, 1, 2))),
    "layer": (layer_norm, layer_norm_backward, {}, lambda x: reference(x, (3,))),
    "group": (group_norm, group_norm_backward, {"groups": 3}, lambda x: grouped_reference(x, 3)),
}


@pytest.mark.parametrize("name", NORMS)
def test_values_and_gradients(name):
    forward, backward, options, oracle = NORMS[name]
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((3, 2, 4, 6)), rng.standard_normal(6), rng.standard_normal(6)]
    y, cache = forward(*xs, **options)
    np.testing.assert_allclose(y, oracle(xs[0]) * xs[1] + xs[2], rtol=1e-10, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    gradients = backward(dy, cache)
    for i, (x, dx) in enumerate(zip(xs, gradients, strict=True)):
        direction = rng.standard_normal(x.shape) * 1e-5
        up, down = ([*xs[:i], x + s * direction, *xs[i + 1 :]] for s in (1, -1))
        change = np.vdot(forward(*up, **options)[0] - forward(*down, **options)[0], dy) / 2
        assert np.vdot(dx, direction) == pytest.approx(change, rel=1e-6)
        assert not any(np.shares_memory(dx, other) for other in (dy, *xs, *gradients[:i]))


@pytest.mark.parametrize("name", NORMS)
def test_a_constant_upstream_gradient_gives_none_to_x(name):
    forward, backward, options, _ = NORMS[name]
    x = np.random.default_rng(1).standard_normal((3, 2, 4, 6))
    _, cache = forward(x, **options)
    dx, dgamma, dbeta = backward(np.ones(x.shape), cache)
    np.testing.assert_allclose(dx, 0, atol=1e-13)
    assert dgamma is None
    assert dbeta is None
    assert np.abs(backward(np.random.default_rng(2).standard_normal(x.shape), cache)[0]).max() > 0.1


@pytest.mark.parametrize("name", NORMS)
def test_air_in_hounsfield_units_is_right_in_single_precision(name):
    forward, backward, options, oracle = NORMS[name]
    rng = np.random.default_rng(3)
    x = (-1000 + 0.2 * rng.standard_normal((8, 64, 64, 6))).astype(np.float32)
    y, cache = forward(x, **options)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, oracle(x), atol=2e-5)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    exact = backward(dy.astype(np.float64), forward(x.astype(np.float64), **options)[1])[0]
    dx = backward(dy, cache)[0]
    assert dx.dtype == np.float32
    np.testing.assert_allclose(dx, exact, atol=1e-4 * np.abs(exact).max())
    if name == "batch":
        np.testing.assert_allclose(cache.variance, x.astype(np.float64).var(axis=(0, 1, 2)), rtol=1e-5)
        np.testing.assert_allclose(cache.mean, x.astype(np.float64).mean(axis=(0, 1, 2)), rtol=1e-7)


def test_a_constant_image_becomes_zero():
    y, cache = batch_norm(np.full((4, 32, 32, 2), -1000.1, dtype=np.float32))
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(cache.variance, 0)


def test_inference_uses_the_given_statistics():
    rng = np.random.default_rng(4)
    x, gamma, beta, mean = rng.standard_normal((2, 3, 5)), *rng.standard_normal((3, 5))
    variance = rng.uniform(0.5, 2, 5)
    y, cache = batch_norm_inference(x, gamma, beta, mean, variance)
    np.testing.assert_allclose(y, gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta, rtol=1e-12)
    dy = rng.standard_normal(x.shape)
    dx, dgamma, dbeta = batch_norm_inference_backward(dy, cache)
    np.testing.assert_allclose(dx, dy * gamma / np.sqrt(variance + 1e-3), rtol=1e-12)
    np.testing.assert_allclose(dgamma, (dy * (y - beta) / gamma).sum(axis=(0, 1)), rtol=1e-10)
    np.testing.assert_allclose(dbeta, dy.sum(axis=(0, 1)), rtol=1e-12)


def test_other_axes():
    x = np.random.default_rng(5).standard_normal((3, 2, 4))
    gamma = np.array([2.0, 3.0])
    np.testing.assert_allclose(batch_norm(x, gamma, axis=1)[0], reference(x, (0, 2)) * gamma[:, None], rtol=1e-10)
    np.testing.assert_allclose(layer_norm(x, axis=(1, -1))[0], reference(x, (1, 2)), rtol=1e-10)
    np.testing.assert_allclose(layer_norm(x, gamma, axis=1)[0], reference(x, (1,)) * gamma[:, None], rtol=1e-10)
    np.testing.assert_allclose(group_norm(x, groups=1)[0], reference(x, (1, 2)), rtol=1e-10)
    np.testing.assert_allclose(group_norm(x, groups=4)[0], reference(x, (1,)), rtol=1e-10)


@pytest.mark.parametrize("name", [*NORMS, "inference"])
def test_other_array_libraries_and_devices_give_the_same(name):
    rng = np.random.default_rng(6)
    x, dy = rng.standard_normal((2, 3, 2, 2, 6)).astype(np.float32)
    weights = [rng.uniform(1, 2, 6).astype(np.float32) for _ in range(4 if name == "inference" else 2)]
    if name == "inference":
        forward, backward, options = batch_norm_inference, batch_norm_inference_backward, {}
    else:
        forward, backward, options, _ = NORMS[name]
    device, host = array_api_strict.Device("device1"), array_api_strict.Device("CPU_DEVICE")

    def run(*arrays):
        y, cache = forward(*arrays[:-1], **options)
        return y, *backward(arrays[-1], cache)

    strict = run(*(array_api_strict.asarray(a, device=device) for a in (x, *weights, dy)))
    with textbook():
        wanted = run(x, *weights, dy)
    for found, expected in zip(strict, wanted, strict=True):
        assert found.device == device
        assert expected.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(array_api_strict.asarray(found, device=host)), expected)


def test_float16_sums_in_single_precision():
    x = (100 + np.random.default_rng(7).standard_normal((512, 3))).astype(np.float16)
    y, cache = batch_norm(x)
    assert y.dtype == np.float16
    assert cache.mean.dtype == np.float32
    np.testing.assert_allclose(y, reference(x, (0,)), atol=2e-3)


def test_errors():
    x = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"batch_norm on x of shape \(2, 3, 4\) expects weights of shape \(4,\)"):
        batch_norm(x, np.ones(3))
    with pytest.raises(ValueError, match=r"expects weights of shape \(4,\) but got \(3,\)"):
        batch_norm_inference(x, None, None, np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"expects weights of shape \(3, 4\) but got \(4,\)"):
        layer_norm(x, np.ones(4), axis=(1, 2))
    with pytest.raises(ValueError, match="3 equal groups of 4 channels; choose a divisor"):
        group_norm(x, groups=3)
    with pytest.raises(ValueError, match="at least one value"):
        batch_norm(np.zeros((0, 4)))
