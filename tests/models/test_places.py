"""What belongs to a model is found, compared and put back, whatever a layer, metric or optimizer keeps."""

import numpy as np
import pytest

from tests.devices import STANDIN
from tinymed import backend, layers
from tinymed.models import Sequential
from tinymed.models.places import Places, Saved, alike, on_device, same


@pytest.fixture(autouse=True)
def device():
    with backend.use_backend("array_api_strict", STANDIN):
        yield


@pytest.fixture
def model():
    inner = layers.LSTM(2, stateful=True, name="memory")
    made = Sequential(
        [layers.Input((3, 2)), inner, layers.BatchNormalization(name="norm"), layers.Dropout(0.5, name="drop")]
    )
    made.compile("adam", "mse", metrics=["mae"])
    made.train_on_batch(np.ones((4, 3, 2), "float32"), np.ones((4, 2), "float32"))
    return made


def values(model):
    return {path: backend.to_host(a).copy() for path, a in Places(model).arrays().items()}


def test_everything_is_found_by_its_path(model):
    places = Places(model)
    arrays, settings = places.arrays(), places.settings()
    ends = ["params[kernel]", "state[moving_mean]", "states[1]", "state[total]", "_slots[memory/bias][1]"]
    for end in ends:
        assert any(path.endswith(end) for path in arrays), end
    assert next(settings[path] for path in settings if path.endswith("(drop).calls")) == 1
    assert next(settings[path] for path in settings if path.endswith("iterations")) == 1
    assert not any("learning_rate" in path or "stop_training" in path for path in settings)
    for path, (container, key, found) in places.leaves.items():
        assert container[key] is found, path


def test_a_step_can_be_taken_back(model):
    saved, before = Saved(model), values(model)
    layer, memory = model.layers[2], model.layers[0]
    model.train_on_batch(np.zeros((4, 3, 2), "float32"), np.ones((4, 2), "float32"))
    memory.states, layer.calls, model.layers[1].state["new"] = None, 77, 5
    assert saved.first_difference(model) is not None
    saved.restore()
    assert saved.first_difference(model) is None
    after = values(model)
    assert before.keys() == after.keys() and all(np.array_equal(before[path], after[path]) for path in before)
    assert layer.calls == 1 and "new" not in model.layers[1].state and on_device(memory.states[0])


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda m: setattr(m.layers[2], "rate", 0.25), "(drop).rate"),
        (lambda m: setattr(m.layers[2], "calls", 5), "(drop).calls"),
        (lambda m: m.layers[0].params["bias"].__setitem__(0, 7.0), "params[bias]"),
        (lambda m: m.layers[0].reset_state(), ".states"),
        (lambda m: setattr(m.optimizer, "beta_1", 0.5), ".beta_1"),
    ],
)
def test_a_difference_is_named(model, change, path):
    before = Saved(model)
    change(model)
    assert path in before.first_difference(model)


def test_nan_is_the_same_as_nan(model):
    model.layers[0].params["bias"][0] = float("nan")
    assert Saved(model).first_difference(model) is None


def test_settings_are_the_same_if_they_are_equal_numbers_names_or_methods_or_one_object(model):
    thing, layer = object(), model.layers[0]
    for a, b in [(1, 1), ("a", "a"), ((1, (2, None)), (1, (2, None))), (thing, thing), (layer.forward, layer.forward)]:
        assert same(a, b)
    for a, b in [(1, 1.0), (1, True), (thing, object()), ((1, 2), (1, 3)), ([1], [1])]:
        assert not same(a, b)


def test_arrays_are_alike_by_shape_and_dtype():
    a = backend.asarray(np.zeros((2, 3), "float32"))
    assert alike(a, a * 2)
    for other in (a[0, ...], None, 3.0, np.zeros((2, 3), "float32"), backend.asarray(np.zeros((2, 3)))):
        assert not alike(a, other)
