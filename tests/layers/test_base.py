import json

import numpy as np
import pytest

from tinymed import backend, layers
from tinymed.gradcheck.cases import layer_cases
from tinymed.layers.base import Layer, reset_names, snake_case, unique_name

CASES = layer_cases()
IDS = [f"{type(case.make()).__name__}-{case.label or case.input_shape}".replace(" ", "_") for case in CASES]


def example(case):
    rng = np.random.default_rng(0)
    x = case.draw(rng) if case.draw is not None else None
    if x is None and isinstance(case.input_shape, list):
        x = [rng.standard_normal(shape) for shape in case.input_shape]
    elif x is None:
        x = rng.standard_normal(case.input_shape)
    narrow = lambda a: a.astype("float32") if a.dtype.kind == "f" else a  # noqa: E731
    return [narrow(a) for a in x] if isinstance(x, list) else narrow(x)


# --- every layer that there is -------------------------------------------------------------------------------------


def outputs(y):
    """Return a layer's outputs (or their shapes) as a list."""
    return y if isinstance(y, list) else [y]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_each_layer_survives_its_configuration(case):
    layer = case.make()
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    x = example(case)
    layer(x), again(x)
    assert list(again.params) == list(layer.params) and list(again.state) == list(layer.state)
    again.set_weights(layer.get_weights())
    for a, b in zip(outputs(layer(x)), outputs(again(x)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_each_layer_keeps_its_promises(case):
    layer, x = case.make(), example(case)
    y, cache = layer.forward(x, training=True)
    assert {part.dtype.name for part in outputs(y)} == {"float32"}
    shape = [(None, *s[1:]) for s in case.input_shape] if isinstance(case.input_shape, list) else (
        None, *case.input_shape[1:]
    )  # fmt: skip
    announced = layer.compute_output_shape(shape)
    for promise, part in zip(outputs(announced), outputs(y), strict=True):
        assert len(promise) == part.ndim and all(a in (None, b) for a, b in zip(promise, part.shape, strict=True))
    assert layer.flops(shape) >= 0
    assert layer.count_params() == sum(w.size for w in layer.get_weights())
    dy = [np.ones_like(part) for part in y] if isinstance(y, list) else np.ones_like(y)
    _, grads = layer.backward(dy, cache)
    assert set(grads) == set(layer.params)
    if layer.params:
        assert set(layer.backward(dy, cache, input_gradient=False)[1]) == set(layer.params)
    for name, gradient in grads.items():
        assert gradient.shape == layer.params[name].shape


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_each_layer_refuses_an_argument_that_it_does_not_have(case):
    cls = type(case.make())
    config = case.make().get_config()
    with pytest.raises(TypeError, match=f"{cls.__name__} takes no argument 'nam'; did you mean 'name'"):
        cls.from_config({**{k: v for k, v in config.items() if k != "name"}, "nam": "x"})


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        ("Dense", "dense"),
        ("MaxPooling2D", "max_pooling2d"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("BatchNormalization", "batch_normalization"),
        ("ReLU", "re_lu"),
    ],
)
def test_names_are_spelled_as_in_keras(cls, name):
    assert snake_case(cls) == name


def test_names_are_numbered():
    reset_names()
    assert [unique_name("dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    reset_names()
    assert layers.Dense(1).name == "dense" and layers.Dense(1).name == "dense_1"
    assert layers.Dense(1, name="head").name == "head"
    assert repr(layers.Dense(1, name="head")) == "<Dense head>"


# --- weights -------------------------------------------------------------------------------------------------------


def built(units=3):
    layer = layers.Dense(units, name="head")
    layer.build_once((None, 4))
    return layer


def test_weights_are_copied_both_ways():
    layer = built()
    weights = layer.get_weights()
    weights[0][...] = 7.0
    assert not np.any(layer.params["kernel"] == 7.0)
    layer.set_weights(weights)
    weights[0][...] = 8.0
    assert np.all(layer.params["kernel"] == 7.0)
    assert layer.params["kernel"].dtype == np.float32


def test_wrong_weights_are_refused_and_nothing_changes():
    layer = built()
    before = layer.get_weights()
    with pytest.raises(ValueError, match="head has 2 weights but got 1"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"head/bias has shape \(3,\) but got \(4,\)"):
        layer.set_weights([np.ones((4, 3)), np.ones(4)])
    with pytest.raises(ValueError, match="has no weights yet"):
        layers.Dense(2).set_weights(before)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_weights():
    backend.set_seed(5)
    a = built().get_weights()
    backend.set_seed(5)
    b = built().get_weights()
    np.testing.assert_array_equal(a[0], b[0])


def test_floatx_is_the_dtype_of_new_weights():
    backend.set_floatx("float64")
    assert built().params["kernel"].dtype == np.float64


def test_building_happens_once():
    layer = built()
    kernel = layer.params["kernel"]
    layer.build_once((None, 9))
    assert layer.params["kernel"] is kernel


# --- inputs that do not fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: layers.Conv2D(1, 3, name="conv"), (8, 8, 3), "conv expects .* one axis is missing"),
        (lambda: layers.Conv2D(1, 3, name="conv"), (2, 2, 8, 8, 3), "conv expects .* it has 5 axes instead of 4"),
        (lambda: layers.Dense(1, name="head"), (4,), "head expects"),
    ],
)
def test_a_wrong_rank_is_explained(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make()(np.ones(shape, "float32"))


def test_channels_first_are_recognised():
    layer = layers.Conv2D(1, 3, name="conv2d_1")
    layer(np.ones((1, 8, 8, 3), "float32"))
    message = r"conv2d_1 expects \(N, H, W, 3\) but got \(32, 3, 64, 64\): channels seem to be first; move them last"
    with pytest.raises(ValueError, match=message):
        layer(np.ones((32, 3, 64, 64), "float32"))


def test_another_number_of_channels_is_explained():
    layer = built()
    with pytest.raises(ValueError, match="the last axis has 5 values instead of 4; the layer was built for 4"):
        layer(np.ones((2, 5), "float32"))


def test_a_layer_of_ones_own_needs_forward_and_backward():
    class Empty(Layer):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward"):
        Empty().forward(np.ones(1))
    with pytest.raises(NotImplementedError, match="Empty has no backward"):
        Empty().backward(np.ones(1), None)


def test_calling_is_inference():
    layer = layers.Dropout(0.5)
    x = np.ones((3, 4), "float32")
    np.testing.assert_array_equal(layer(x), x)
