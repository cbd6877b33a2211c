"""Each step of each optimizer against its formula, written out again in arithmetic with 50 digits."""

from decimal import Decimal, getcontext
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest

from tinymed import backend
from tinymed.ops import UPDATES, textbook
from tinymed.ops.registry import update
from tinymed.ops.updates import adagrad_update, adam_update, rmsprop_update, sgd_update

getcontext().prec = 50
D = Decimal
STEPS = 12


def exact_sgd(w, gradients, lr, mu=None, nesterov=False, wd=0.0):
    w, m, lr, wd = D(w), D(0), D(lr), D(wd)
    for g in map(D, gradients):
        w -= lr * wd * w
        if mu is None:
            w -= lr * g
            continue
        m = D(mu) * m - lr * g
        w += D(mu) * m - lr * g if nesterov else m
        yield w, m
    if mu is None:
        yield w, None


def exact_adam(w, gradients, lr, b1=0.9, b2=0.999, eps=1e-7, amsgrad=False, wd=0.0):
    """The paper's algorithm 1 with corrected moments; its epsilon is scaled to mean "epsilon hat"."""
    w, lr, b1, b2, eps, wd = D(w), D(lr), D(b1), D(b2), D(eps), D(wd)
    history, largest = [], D(0)
    for t, g in enumerate(map(D, gradients), start=1):
        history.append(g)
        m = (1 - b1) * sum(b1 ** (t - i) * h for i, h in enumerate(history, start=1))
        v = (1 - b2) * sum(b2 ** (t - i) * h * h for i, h in enumerate(history, start=1))
        largest = max(largest, v)
        used = largest if amsgrad else v
        correction = (1 - b2**t).sqrt()
        w = w * (1 - lr * wd) - lr * (m / (1 - b1**t)) / (used.sqrt() / correction + eps / correction)
        yield w, m, v


def exact_rmsprop(w, gradients, lr, rho=0.9, mu=0.0, eps=1e-7, centered=False, wd=0.0):
    w, lr, rho, mu, eps, wd = D(w), D(lr), D(rho), D(mu), D(eps), D(wd)
    v = a = m = D(0)
    for g in map(D, gradients):
        v, a = v + (1 - rho) * (g * g - v), a + (1 - rho) * (g - a)
        m = mu * m + lr * g / (v - (a * a if centered else 0) + eps).sqrt()
        w = w * (1 - lr * wd) - m
        yield w, v


def exact_adagrad(w, gradients, lr, start=0.1, eps=1e-7, wd=0.0):
    w, lr, s, eps, wd = D(w), D(lr), D(start), D(eps), D(wd)
    for g in map(D, gradients):
        s += g * g
        w = w * (1 - lr * wd) - lr * g / (s + eps).sqrt()
        yield w, s


def draw(seed=0, size=5):
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.integers(-3, 3, (STEPS, size))
    return rng.standard_normal(size), rng.standard_normal((STEPS, size)) * sizes


def follow(step, slots, w, gradients):
    """Take the steps and return all weights on the way."""
    path = []
    for t, g in enumerate(gradients, start=1):
        w, *slots = step(w, g, *slots, t)
        path.append(w)
    return np.array(path)


def exact_path(formula, w, gradients, **options):
    columns = [[float(row[0]) for row in formula(start, g, **options)] for start, g in zip(w, gradients.T, strict=True)]
    return np.array(columns).T


SGD = [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "weight_decay": 0.3}]
ADAM = [{}, {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}, {"weight_decay": 0.3}]
RMSPROP = [{}, {"momentum": 0.9}, {"rho": 0.5, "epsilon": 1e-2, "weight_decay": 0.3}]
ADAGRAD = [{}, {"epsilon": 1e-2, "weight_decay": 0.3}]


@pytest.mark.parametrize("options", SGD)
def test_sgd_with_momentum(options):
    w, gradients = draw()
    found = follow(
        lambda w, g, m, t: sgd_update(w, g, m, learning_rate=0.1, **options), [np.zeros_like(w)], w, gradients
    )
    names = {"momentum": "mu", "weight_decay": "wd", "nesterov": "nesterov"}
    wanted = exact_path(exact_sgd, w, gradients, lr=0.1, **{names[k]: v for k, v in options.items()})
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_sgd_in_fractions():
    """Nothing but sums and products: exact, if the numbers are."""
    w = np.array([Fraction(1), Fraction(-2, 3)], dtype=object)
    g = np.array([Fraction(1, 7), Fraction(5)], dtype=object)
    lr, mu, wd = Fraction(1, 10), Fraction(9, 10), Fraction(1, 100)
    plain, none = sgd_update(w, g, learning_rate=lr, weight_decay=wd)
    assert none is None
    assert list(plain) == [a - lr * wd * a - lr * b for a, b in zip(w, g, strict=True)]
    m = np.array([Fraction(1, 2), Fraction(1, 3)], dtype=object)
    for nesterov in (False, True):
        new, new_m = sgd_update(w, g, m, lr, mu, nesterov)
        assert list(new_m) == [mu * a - lr * b for a, b in zip(m, g, strict=True)]
        look_ahead = [mu * a - lr * b for a, b in zip(new_m, g, strict=True)]
        assert list(new - w) == (look_ahead if nesterov else list(new_m))


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("options", ADAM)
def test_adam(options, amsgrad):
    w, gradients = draw()
    slots = [np.zeros_like(w), np.zeros_like(w), np.zeros_like(w) if amsgrad else None]
    found = follow(
        lambda w, g, m, v, v_max, t: adam_update(w, g, m, v, v_max, t, learning_rate=0.1, **options),
        slots,
        w,
        gradients,
    )
    names = {"beta_1": "b1", "beta_2": "b2", "epsilon": "eps", "weight_decay": "wd"}
    renamed = {names[k]: v for k, v in options.items()}
    wanted = exact_path(exact_adam, w, gradients, lr=0.1, amsgrad=amsgrad, **renamed)
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_adam_steps_one_learning_rate_where_the_gradient_is_constant():
    w, g = np.array([1.0, 1.0, 1.0]), np.array([1e-4, -1.0, 1e6])
    m = v = np.zeros(3)
    for t in range(1, 50):
        w, m, v, _ = adam_update(w, g, m, v, step=t, learning_rate=0.125, epsilon=0.0)
        np.testing.assert_allclose(w, 1 - t * 0.125 * np.sign(g), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(m, (1 - 0.9**t) * g, rtol=1e-12)
        np.testing.assert_allclose(v, (1 - 0.999**t) * g * g, rtol=1e-12)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("options", RMSPROP)
def test_rmsprop(options, centered):
    w, gradients = draw()
    zero = np.zeros_like(w)
    found = follow(
        lambda w, g, v, m, a, t: rmsprop_update(w, g, v, m, a, learning_rate=0.1, **options),
        [zero, zero if "momentum" in options else None, zero if centered else None],
        w,
        gradients,
    )
    names = {"rho": "rho", "momentum": "mu", "epsilon": "eps", "weight_decay": "wd"}
    renamed = {names[k]: v for k, v in options.items()}
    wanted = exact_path(exact_rmsprop, w, gradients, lr=0.1, centered=centered, **renamed)
    np.testing.assert_allclose(found, wanted, rtol=1e-9 if centered else 1e-12)


def test_centered_rmsprop_stays_finite_where_gradients_do_not_change():
    w, v, m, average = np.ones(4, np.float32), *(np.zeros(4, np.float32) for _ in range(3))
    g = np.array([1e3, -7.7e3, 3.3e5, 0.0], dtype=np.float32)
    for _ in range(500):
        w, v, m, average = rmsprop_update(w, g, v, m, average, learning_rate=1e-6)
        assert np.isfinite(w).all()
        with textbook():
            assert np.isfinite(rmsprop_update(w, g, v, m, average, learning_rate=1e-6)[0]).all()


@pytest.mark.parametrize("options", ADAGRAD)
def test_adagrad(options):
    w, gradients = draw()
    found = follow(
        lambda w, g, s, t: adagrad_update(w, g, s, learning_rate=0.1, **options), [np.full_like(w, 0.1)], w, gradients
    )
    names = {"epsilon": "eps", "weight_decay": "wd"}
    wanted = exact_path(exact_adagrad, w, gradients, lr=0.1, **{names[k]: v for k, v in options.items()})
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def calls(make):
    """Every update with all its slots, and with only those that it needs; ``make`` turns host arrays into others."""
    rng = np.random.default_rng(2)
    w, g = rng.standard_normal((2, 3, 4)).astype("float32")
    slots = [np.abs(a).astype("float32") for a in rng.standard_normal((3, 3, 4))]
    for name, used, options in [
        ("sgd_update", 1, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("sgd_update", 1, {"momentum": 0.9}),
        ("sgd_update", 0, {}),
        ("adam_update", 3, {"step": 3, "weight_decay": 0.1}),
        ("adam_update", 2, {"step": 1}),
        ("rmsprop_update", 3, {"momentum": 0.9, "weight_decay": 0.1}),
        ("rmsprop_update", 1, {}),
        ("adagrad_update", 1, {"weight_decay": 0.1}),
    ]:
        total = {"sgd_update": 1, "adam_update": 3, "rmsprop_update": 3, "adagrad_update": 1}[name]
        given = [make(a.copy()) for a in slots[:used]] + [None] * (total - used)
        yield UPDATES[name], make(w.copy()), make(g.copy()), given, options


@pytest.mark.parametrize("k", range(8))
def test_pure_without_out_and_in_place_with_it(k):
    function, w, g, slots, options = list(calls(lambda a: a))[k]
    before = [None if a is None else a.copy() for a in (w, g, *slots)]
    new = function(w, g, *slots, **options)
    for array, old in zip((w, g, *slots), before, strict=True):
        if array is not None:
            np.testing.assert_array_equal(array, old)
    for array in new:
        assert array is None or (array.dtype == np.float32 and not np.shares_memory(array, w))

    other = tuple(None if a is None else np.full_like(a, np.nan) for a in (w, *slots))
    assert function(w, g, *slots, **options, out=other) is other
    returned = function(w, g, *slots, **options, out=(w, *slots))
    assert returned[0] is w
    for array, target, wanted in zip((w, *slots), other, new, strict=True):
        if wanted is not None:
            np.testing.assert_array_equal(array, wanted)
            np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("k", range(8))
def test_on_another_device(k):
    device = array_api_strict.Device("device1")
    strict = list(calls(lambda a: array_api_strict.asarray(a, device=device)))[k]
    function, w, g, slots, options = list(calls(lambda a: a))[k]
    wanted = function(w, g, *slots, **options)
    found = function(strict[1], strict[2], *strict[3], **options)
    function(strict[1], strict[2], *strict[3], **options, out=(strict[1], *strict[3]))
    for array, in_place, expected in zip(found, (strict[1], *strict[3]), wanted, strict=True):
        if expected is None:
            assert array is None
            continue
        assert array.device == in_place.device == device
        assert array.dtype == in_place.dtype == array_api_strict.float32
        np.testing.assert_allclose(backend.to_host(array), expected, rtol=1e-6)
        np.testing.assert_allclose(backend.to_host(in_place), expected, rtol=1e-6)


def test_half_precision_is_computed_in_single():
    w, g = np.array([1.0, 2.0], np.float16), np.array([300.0, 1e-3], np.float16)
    m = v = np.zeros(2, np.float16)
    out = (w, m.copy(), v.copy(), None)
    adam_update(w, g, m, v, learning_rate=0.5, out=out)
    assert out[0] is w
    np.testing.assert_allclose(w, [0.5, 1.5], rtol=1e-2)  # 300 squared is too large for float16


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'adam_update' is registered already"):
        update(adam_update.textbook)
