"""What all optimizers share: checks, clipping, learning rate, state, devices, cost."""

import json
import time

import array_api_strict
import numpy as np
import pytest

from tinymed import backend, optimizers
from tinymed.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, schedules

MAKERS = {
    "sgd": lambda **k: SGD(0.1, **k),
    "momentum": lambda **k: SGD(0.1, momentum=0.9, **k),
    "nesterov": lambda **k: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01, **k),
    "adam": lambda **k: Adam(0.1, **k),
    "amsgrad": lambda **k: Adam(0.1, amsgrad=True, weight_decay=0.01, **k),
    "adamw": lambda **k: AdamW(0.1, **k),
    "rmsprop": lambda **k: RMSprop(0.1, **k),
    "rmsprop full": lambda **k: RMSprop(0.1, momentum=0.9, centered=True, weight_decay=0.01, **k),
    "adagrad": lambda **k: Adagrad(0.1, **k),
    "schedule": lambda **k: Adam(schedules.ExponentialDecay(0.1, 2, 0.5), **k),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def weights(dtype="float32"):
    rng = np.random.default_rng(0)
    return {"a/kernel": rng.standard_normal((3, 4)).astype(dtype), "a/bias": rng.standard_normal(4).astype(dtype)}


def gradients(step, dtype="float32"):
    rng = np.random.default_rng(100 + step)
    return {"a/kernel": rng.standard_normal((3, 4)).astype(dtype), "a/bias": rng.standard_normal(4).astype(dtype)}


def run(optimizer, params, steps, move=lambda a: a):
    for step in steps:
        optimizer.update(params, {name: move(g) for name, g in gradients(step).items()})
    return params


@every
def test_in_place_and_dtype(make):
    params = weights()
    arrays = list(params.values())
    before = [a.copy() for a in arrays]
    grads = gradients(0)
    kept = {name: g.copy() for name, g in grads.items()}
    optimizer = make()
    optimizer.update(params, grads)
    assert optimizer.iterations == 1
    for array, old, new in zip(arrays, before, params.values(), strict=True):
        assert new is array
        assert array.dtype == np.float32
        assert not np.array_equal(array, old)
    for name, g in grads.items():
        np.testing.assert_array_equal(g, kept[name])
    assert all(a.dtype == np.float32 for name, a in optimizer.state.items() if name != "iterations")


@every
def test_on_another_device(make):
    device = array_api_strict.Device("device1")

    def move(a):
        return array_api_strict.asarray(a, device=device)

    for options in ({}, {"clipnorm": 0.5}, {"clipvalue": 0.2}, {"global_clipnorm": 0.5}):
        optimizer = make(**options)
        found = run(optimizer, {name: move(w) for name, w in weights().items()}, range(4), move)
        wanted = run(make(**options), weights(), range(4))
        for name, w in found.items():
            assert w.device == device
            np.testing.assert_allclose(backend.to_host(w), wanted[name], rtol=2e-5, atol=1e-6)
        slots = {name: a for name, a in optimizer.state.items() if name != "iterations"}
        assert all(a.device == device for a in slots.values())

        resumed = make(**options)
        resumed.load_state(optimizer.state)
        both = [{name: array_api_strict.asarray(w, copy=True) for name, w in found.items()} for _ in range(2)]
        run(optimizer, both[0], range(4, 6), move)
        run(resumed, both[1], range(4, 6), move)
        for name in found:
            np.testing.assert_array_equal(backend.to_host(both[0][name]), backend.to_host(both[1][name]))


@every
def test_state_round_trip_goes_on_with_the_same_bits(make):
    straight = run(make(), weights(), range(6))
    first = make()
    params = run(first, weights(), range(3))
    state = {name: np.array(a) for name, a in first.state.items()}
    second = make()
    second.load_state(state)
    assert second.state.keys() == state.keys()
    for name, a in second.state.items():
        np.testing.assert_array_equal(a, state[name])
    run(second, params, range(3, 6))
    assert second.iterations == 6
    for name, w in params.items():
        np.testing.assert_array_equal(w, straight[name])
    for name, a in state.items():
        np.testing.assert_array_equal(a, first.state[name])  # the second optimizer works on copies


@every
def test_configuration_round_trip(make):
    optimizer = make(clipnorm=0.5, name="mine")
    config = json.loads(json.dumps(optimizer.get_config()))
    copy = type(optimizer).from_config(config)
    assert copy.get_config() == optimizer.get_config()
    wanted, found = run(optimizer, weights(), range(3)), run(copy, weights(), range(3))
    for name, w in found.items():
        np.testing.assert_array_equal(w, wanted[name])
    again = optimizers.get({"class_name": type(optimizer).__name__, "config": config})
    assert type(again) is type(optimizer)
    assert again.clipnorm == 0.5


@every
def test_weights_without_a_gradient_stay(make):
    params = weights()
    bias = params["a/bias"].copy()
    optimizer = make()
    optimizer.update(params, {**gradients(0), "a/bias": None})
    np.testing.assert_array_equal(params["a/bias"], bias)
    assert not any(name.endswith("a/bias") for name in optimizer.state)
    optimizer.update(params, dict.fromkeys(params))
    assert optimizer.iterations == 1  # nothing to do is no step


def test_errors_name_the_weight_and_change_nothing():
    optimizer, params = SGD(), weights()
    before = {name: w.copy() for name, w in params.items()}
    good = gradients(0)
    with pytest.raises(ValueError, match="no gradient for 'a/kernel', only for 'a/bias'; give None"):
        optimizer.update(params, {"a/bias": good["a/bias"]})
    with pytest.raises(ValueError, match=r"a gradient for 'b', but the weights are 'a/kernel', 'a/bias'"):
        optimizer.update(params, {**good, "b": good["a/bias"]})
    with pytest.raises(ValueError, match=r"a/bias has shape \(4,\) but its gradient has shape \(3,\)"):
        optimizer.update(params, {**good, "a/bias": good["a/bias"][:3]})
    assert optimizer.iterations == 0
    for name, w in params.items():
        np.testing.assert_array_equal(w, before[name])


def test_a_new_model_needs_a_new_optimizer():
    optimizer = Adam()
    optimizer.update({"w": np.ones(3)}, {"w": np.ones(3)})
    with pytest.raises(ValueError, match=r"w has shape \(4,\) but adam remembers its momentum with shape \(3,\)"):
        optimizer.update({"w": np.ones(4)}, {"w": np.ones(4)})


def test_clipping():
    params, grads = {"a": np.zeros(2), "b": np.zeros(1)}, {"a": np.array([3.0, 4.0]), "b": np.array([12.0])}
    for options, a, b in [
        ({}, [3, 4], [12]),
        ({"clipvalue": 3.5}, [3, 3.5], [3.5]),
        ({"clipnorm": 6.0}, [3, 4], [6]),
        ({"clipnorm": 2.5}, [1.5, 2], [2.5]),
        ({"global_clipnorm": 6.5}, [1.5, 2], [6]),
        ({"global_clipnorm": 13.0}, [3, 4], [12]),
    ]:
        moved = {name: w.copy() for name, w in params.items()}
        SGD(1.0, **options).update(moved, grads)
        np.testing.assert_allclose(moved["a"], -np.array(a), rtol=1e-15)
        np.testing.assert_allclose(moved["b"], -np.array(b), rtol=1e-15)


def test_weight_decay_does_not_depend_on_the_gradient():
    for make in (SGD, Adam, RMSprop, Adagrad, AdamW):
        params = {"w": np.array([2.0])}
        make(learning_rate=0.5, weight_decay=0.25).update(params, {"w": np.array([0.0])})
        np.testing.assert_array_equal(params["w"], [1.75])


def test_learning_rate():
    optimizer = SGD(lr=0.5)
    assert optimizer.learning_rate == optimizer.current_learning_rate() == 0.5
    optimizer.learning_rate = np.float32(0.25)
    assert type(optimizer.learning_rate) is float
    params = {"w": np.array([1.0])}
    optimizer.update(params, {"w": np.array([1.0])})
    np.testing.assert_array_equal(params["w"], [0.75])

    decay = SGD(schedules.PiecewiseConstantDecay([0, 1], [1.0, 10.0, 100.0]))
    params = {"w": np.array([0.0])}
    for wanted in (-1, -11, -111):
        decay.update(params, {"w": np.array([1.0])})
        np.testing.assert_array_equal(params["w"], [wanted])
    assert decay.current_learning_rate() == 100.0
    with pytest.raises(TypeError, match="follows PiecewiseConstantDecay and cannot be set to a number"):
        decay.learning_rate = 0.1
    decay.learning_rate = schedules.ExponentialDecay(0.5, 1, 1.0)
    assert decay.current_learning_rate() == 0.5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD("fast"), ValueError, "SGD needs learning_rate, a number from 0 up, but got 'fast'"),
        (lambda: SGD(-0.1), ValueError, "learning_rate, a number from 0 up, but got -0.1"),
        (lambda: SGD(float("nan")), ValueError, "learning_rate"),
        (lambda: SGD(None), ValueError, "learning_rate"),
        (lambda: Adam(clipnorm=1.0, clipvalue=1.0), ValueError, "only one of .* got clipnorm and clipvalue"),
        (lambda: Adam(clipnorm=-1.0), ValueError, "Adam needs clipnorm"),
        (lambda: Adam(weight_decay="no"), ValueError, "Adam needs weight_decay"),
        (lambda: Adam(learningrate=0.1), TypeError, "takes no argument 'learningrate'; did you mean 'learning_rate'"),
        (lambda: SGD(decay=1e-6), TypeError, "InverseTimeDecay"),
        (lambda: optimizers.get("adm"), ValueError, "unknown optimizer 'adm'; did you mean 'adam'"),
        (lambda: optimizers.get(3), ValueError, "an optimizer is a name or an object"),
        (lambda: Adam().load_state({"accumulator/w": np.ones(2)}), ValueError, "adam remembers 'momentum', 'velocity'"),
    ],
)
def test_argument_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_get():
    for name, cls in [("sgd", SGD), ("SGD", SGD), ("Adam", Adam), ("adamw", AdamW), ("RMSprop", RMSprop)]:
        assert type(optimizers.get(name)) is cls
    assert isinstance(optimizers.get(Adagrad), Adagrad)
    optimizer = Adam()
    assert optimizers.get(optimizer) is optimizer
    assert optimizer.name == "adam"


def test_an_optimizer_of_ones_own():
    class Signs(Optimizer):
        def step(self, param, grad, slots, learning_rate):
            param[...] = param - learning_rate * np.sign(grad)

    params = {"w": np.array([1.0, 1.0])}
    Signs(0.5).update(params, {"w": np.array([3.0, -7.0])})
    np.testing.assert_array_equal(params["w"], [0.5, 1.5])
    with pytest.raises(NotImplementedError, match="Optimizer has no step"):
        Optimizer(0.1).update(params, {"w": np.ones(2)})


def test_a_step_costs_little_python():
    optimizer = Adam()
    params = {f"w{k}": np.ones(8, np.float32) for k in range(8)}
    grads = {name: np.ones(8, np.float32) for name in params}
    optimizer.update(params, grads)
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        optimizer.update(params, grads)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1e-3  # some 0.07 ms; a loose bound, for slow and busy machines
