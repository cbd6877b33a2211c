"""The score, its gradient at the input and inside, against small differences; and what has no map."""

import numpy as np
import pytest

from tests.interpretability.networks import plain, residual
from tinymed import backend
from tinymed.interpretability.probe import Probe
from tinymed.layers import Dense, Embedding, Flatten, GlobalAveragePooling1D, Input
from tinymed.models import Model, Sequential


@pytest.fixture
def double():
    backend.set_floatx("float64")


def test_gradient_at_the_input_is_a_difference(double):
    model = residual()
    x = np.random.default_rng(0).standard_normal((2, 12, 12, 2))
    probe = Probe(model)
    targets = np.array([2, 0])
    found = probe.gradient(x, targets)
    direction = np.random.default_rng(1).standard_normal(x.shape)
    step = 1e-6
    ends = [probe.scores(x + sign * step * direction, targets) for sign in (1, -1)]
    np.testing.assert_allclose((found * direction).sum(axis=(1, 2, 3)), (ends[0] - ends[1]) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("name", ["stem", "norm", "branch", "sum", "tanh"])
def test_gradient_inside_is_a_difference_also_where_a_shortcut_passes(name, double):
    """What is added behind one layer changes the score as its gradient says."""
    model = residual()
    x = np.random.default_rng(0).standard_normal((2, 12, 12, 2))
    probe = Probe(model, name)
    targets = np.array([1, 2])
    values, gradients = probe.inside(x, targets)
    assert values.shape == gradients.shape == (2, 12, 12, 4)
    tap = probe.model.get_layer("tap")
    direction = np.random.default_rng(1).standard_normal(values.shape)
    ends = []
    for step in (1e-6, -1e-6):
        tap.forward = lambda x, training=False, step=step: (x + step * direction, None)
        ends.append(probe.scores(x, targets))
    difference = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose((gradients * direction).sum(axis=(1, 2, 3)), difference, rtol=1e-5)


def test_the_model_is_not_changed():
    model = plain()
    before = model.get_weights()
    names = [layer.name for layer in model.layers]
    model.trainable = False
    x = np.ones((1, 12, 12, 1), "float32")
    y = model.predict(x, verbose=0)
    _, gradients = Probe(model, "first").inside(x, np.array([1]))
    assert np.abs(gradients).max() > 0  # frozen layers are explained as well
    assert [layer.name for layer in model.layers] == names
    assert not model.trainable
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    np.testing.assert_array_equal(model.predict(x, verbose=0), y)


def test_a_layer_in_a_nested_model():
    inner = residual()
    outer = Sequential([inner, Dense(2, name="more")])
    x = np.random.default_rng(0).standard_normal((1, 12, 12, 2)).astype("float32")
    values, gradients = Probe(outer, "stem").inside(x, np.array([1]))
    expected = Model(inner.input, inner.get_layer("stem").output).predict(x, verbose=0)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert np.abs(gradients).max() > 0


def test_scores_are_logits_with_the_sign_of_the_class():
    model = plain()
    x = np.random.default_rng(0).random((3, 12, 12, 1), dtype=np.float32)
    probe = Probe(model)
    p = model.predict(x, verbose=0)[:, 0].astype(float)
    one = probe.scores(x, np.ones(3, dtype=int))
    np.testing.assert_allclose(1 / (1 + np.exp(-one)), p, rtol=1e-5)
    np.testing.assert_allclose(probe.scores(x, np.zeros(3, dtype=int)), -one)
    np.testing.assert_array_equal(probe.targets(x), (p > 0.5).astype(int))
    many = Probe(plain(classes=4))
    assert many.targets(x).shape == (3,)
    np.testing.assert_array_equal(many.targets(x, 3), [3, 3, 3])
    np.testing.assert_array_equal(many.targets(x, [0, 1, 2]), [0, 1, 2])


def test_an_output_without_activation_is_its_own_score():
    model = Sequential([Flatten(input_shape=(2, 1)), Dense(1)])
    x = np.ones((1, 2, 1), "float32")
    np.testing.assert_allclose(Probe(model).scores(x, np.array([1])), model.predict(x, verbose=0)[:, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Probe(Sequential([Dense(1)])), "needs a model that has been built"),
        (lambda: Probe("model.safetensors"), "needs a model that has been built"),
        (lambda: Probe(plain(), "third"), "has no layer 'third'; its layers are .*'second'"),
        (lambda: Probe(Sequential([Dense(2, input_shape=(4, 3))])), "outputs of shape"),
        (lambda: Probe(plain()).targets(np.zeros((2, 12, 12, 1)), 2), "a class from 0 to 1"),
        (lambda: Probe(plain(4)).targets(np.zeros((2, 12, 12, 1)), -1), "a class from 0 to 3"),
        (lambda: Probe(plain(4)).targets(np.zeros((2, 12, 12, 1)), 0.5), "a class from 0 to 3"),
        (lambda: Probe(plain()).gradient(np.zeros((2, 9, 9, 1)), np.ones(2, int)), "expects .* but got"),
    ],
)
def test_what_has_no_map_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    two = Input((3,))
    with pytest.raises(ValueError, match="has 1 inputs and outputs of shape"):
        Probe(Model(two, [Dense(1)(two), Dense(1)(two)]))


def test_an_embedding_has_no_gradient_at_its_input_but_one_inside():
    model = Sequential([Input((4,), dtype="int32"), Embedding(5, 3, name="words"), GlobalAveragePooling1D(), Dense(1)])
    values, gradients = Probe(model, "words").inside(np.array([[0, 1, 2, 3]]), np.array([1]))
    assert values.shape == gradients.shape == (1, 4, 3)
