import numpy as np
import pytest

from tinymed import gradcheck
from tinymed.gradcheck import FAULTS, LayerCase
from tinymed.gradcheck.adapters import subject_of_layer
from tinymed.gradcheck.rounding import CURVED, RUNS, SAFETY, UNIT, Allowance, applies, rounded_activations
from tinymed.gradcheck.subject import flat, like, upstream
from tinymed.layers import BatchNormalization, Dense
from tinymed.models import Sequential
from tinymed.ops import REGISTRY

LEAKS = ["saturated slope leaks", "tanh that ends at six"]


def allowance(x, units=2, activation=None, runs=RUNS):
    subject = subject_of_layer(LayerCase(lambda: Dense(units, activation=activation), x.shape))
    point = subject.draw(np.random.default_rng(0), "float64") | {"x": x}
    y, cache = subject.run(point)
    dy = flat(upstream(y, np.random.default_rng(1)))
    made = Allowance(
        subject, point, dy, {"output": y} | subject.gradients(like(dy, y), cache), np.random.default_rng(2)
    )
    for _ in range(runs):
        made.run()
    return made, point


def test_a_sum_may_be_wrong_by_its_terms_roundings():
    x = np.random.default_rng(3).standard_normal((4, 6))
    found, point = allowance(x)
    bound = (6 + 4) * UNIT * (np.abs(x) @ np.abs(point["kernel"]) + np.abs(point["bias"]))
    parts = found.of("output").reshape(bound.shape) / bound
    assert np.all(parts < 2 * SAFETY) and np.all(parts > 0.2)


def test_behind_a_shut_gate_little_is_allowed():
    found, _ = allowance(np.full((3, 4), 1e4), activation="tanh")
    assert np.all(np.abs(found.exact["output"]) == 1)
    assert np.all(found.of("output") < 4 * SAFETY * 4 * UNIT)
    assert np.all(found.of("kernel") < 1e4 * 100 * UNIT)  # a few roundings of dy times x, over three samples
    assert np.all(found.of("kernel") > 1e4 * UNIT)


def test_single_precision_stays_within_it():
    for seed in range(5):
        x = 1e3 * np.random.default_rng(seed).standard_normal((5, 4))
        found, point = allowance(x.astype("float32").astype("float64"), activation="sigmoid")
        weights = {k: v.astype("float32") for k, v in point.items()}
        z = weights["x"] @ weights["kernel"] + weights["bias"]
        y = flat(REGISTRY["sigmoid"].forward(z)[0])
        assert np.all(np.abs(y - found.exact["output"]) <= found.of("output") + 1e-6)


def test_activations_are_given_back_as_they_were():
    before = {name: (REGISTRY[name].forward, REGISTRY[name].backward) for name in CURVED}
    x = np.linspace(-2, 2, 9)
    with rounded_activations(np.random.default_rng(0)):
        y, cache = REGISTRY["tanh"].forward(x)
        moved = REGISTRY["tanh"].backward(np.ones(9), cache)
    assert 0 < np.max(np.abs(y - np.tanh(x))) < 50 * UNIT
    assert 0 < np.max(np.abs(moved - 1 + np.tanh(x) ** 2)) < 50 * UNIT
    assert {name: (REGISTRY[name].forward, REGISTRY[name].backward) for name in CURVED} == before


@pytest.mark.parametrize("name", LEAKS)
def test_the_bound_finds_what_a_part_of_dy_times_x_let_through(name, monkeypatch):
    fault = next(fault for fault in FAULTS if fault.name == name)
    assert fault.catch() is not None
    monkeypatch.setattr(Allowance, "of", lambda self, name: np.inf)  # what remains is the former tolerance
    assert fault.catch() is None


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("LSTM", 0),  # a gate that a kernel shuts at 1e-38 and not at 1e-300, times a state of a million
        ("GroupNormalization", 1),  # a sum over the input itself, without a kernel
    ],
)
def test_seeds_that_once_raised_a_false_alarm(name, seed):
    report = gradcheck.check(name, seed=seed, only=["extremes"])
    assert report.ok, str(report)


def test_a_copied_layer_keeps_its_activations():
    """Found by checking objects: their copies had activations of their own, which nobody disturbed."""
    layer = Dense(3, activation="tanh")
    copied = subject_of_layer(LayerCase(lambda: layer, (3, 4)), layer=layer).owner.layer("float64")
    assert copied is not layer and copied.activation is REGISTRY["tanh"]


def test_it_applies_to_single_layers_with_known_activations():
    def asked(layer, shape):
        return applies(subject_of_layer(LayerCase(lambda: layer, shape), layer=layer))

    assert asked(Dense(3, activation="tanh"), (3, 4))
    assert not asked(Sequential([Dense(3, input_shape=(4,))]), (3, 4))
    assert not asked(type("MyDense", (Dense,), {"__module__": "mine"})(3), (3, 4))


def test_a_gradient_that_cancels_in_a_model_is_no_false_alarm():
    """A bias in front of batch normalisation has no gradient but what rounding leaves."""
    model = Sequential([Dense(4, input_shape=(3,), activation="relu"), BatchNormalization(), Dense(2)])
    report = gradcheck.check(model, only=["extremes"])
    assert report.ok, str(report)
