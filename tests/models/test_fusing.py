"""Two neighbours as one operation: the same numbers, and only where both layers are what they were."""

import numpy as np
import pytest

import tinymed
from tinymed import activations, layers
from tinymed.debugging import NotFiniteError, debug
from tinymed.models import Model, Sequential
from tinymed.models.fusing import ConvolutionAndPool, HandOn


def network(**options):
    tinymed.set_seed(0)
    return Sequential(
        [
            layers.Input((8, 9, 2)),
            layers.Conv2D(3, 3, activation="relu", **options),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 2, activation="relu", **options),
            layers.MaxPooling2D(2),
            layers.Flatten(),
        ]
    )


def kinds(model):
    return [type(work) for work in model._work]


def gradients(model, x):
    y, tape = model.forward(x, training=True)
    dx, grads = model.backward(np.cos(np.arange(y.size, dtype=x.dtype)).reshape(y.shape), tape)
    return [y, dx, *grads.values()], list(grads)


def data(images=9):
    return np.random.default_rng(0).standard_normal((images, 8, 9, 2)).astype("float32")


@pytest.mark.parametrize("images", [1, 9])
@pytest.mark.parametrize("use_bias", [True, False])
def test_same_numbers_as_one_layer_after_the_other(images, use_bias):
    model, x = network(use_bias=use_bias), data(images)
    assert kinds(model)[:4] == [ConvolutionAndPool, HandOn] * 2
    found, names = gradients(model, x)
    model._work = [node.layer for node in model.nodes]
    wanted, same_names = gradients(model, x)
    assert names == same_names
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_less_is_kept_for_backward():
    model, x = network(), data()
    _, tape = model.forward(x, training=True)
    assert len(tape) == len(model.nodes)
    assert tape[1] is None
    assert all(np.shape(array)[1:3] != (6, 7) for array in tape[0][0])


@pytest.mark.parametrize("change", ["activation", "instance", "class", "debug"])
def test_layers_that_were_changed_run_one_by_one(change, monkeypatch):
    model, x = network(), data()
    calls = []
    original = layers.MaxPooling2D.forward

    def forward(self, x, training=False):
        calls.append(self)
        return original(self, x, training=training)

    if change == "activation":
        model.layers[0].activation = activations.pair("tanh")
        z = model.layers[0](x)
        assert z.min() < 0
        np.testing.assert_array_equal(model._work[0].forward(x)[0], model.layers[1](z))
    elif change == "instance":
        model.layers[1].forward = lambda x, training=False: forward(model.layers[1], x, training)
        gradients(model, x)
        assert calls == [model.layers[1]]
    elif change == "class":
        monkeypatch.setattr(layers.MaxPooling2D, "forward", forward)
        gradients(model, x)
        assert calls == [model.layers[1], model.layers[3]]
    else:
        model.layers[0].params["kernel"][0, 0, 0, 0] = np.nan
        with pytest.raises(NotFiniteError, match=model.layers[0].name), debug():
            gradients(model, x)


def test_a_convolution_that_others_see_stays_apart():
    x = layers.Input((8, 8, 1))
    a = layers.Conv2D(2, 3, activation="relu", padding="same")(x)
    b = layers.MaxPooling2D()(a)
    assert not any(isinstance(work, ConvolutionAndPool) for work in Model(x, [a, b])._work)
    c = layers.Concatenate()([a, layers.UpSampling2D()(b)])
    assert not any(isinstance(work, ConvolutionAndPool) for work in Model(x, c)._work)
    assert isinstance(Model(x, b)._work[0], ConvolutionAndPool)


def test_other_activations_and_subclasses_stay_apart():
    class Own(layers.MaxPooling2D):
        pass

    x = layers.Input((8, 8, 1))
    own = Model(x, Own()(layers.Conv2D(2, 3, activation="relu")(x)))
    assert kinds(own)[1] is Own
    average = Model(x, layers.AveragePooling2D()(layers.Conv2D(2, 3, activation="relu")(x)))
    assert kinds(average)[1] is layers.AveragePooling2D
