"""One file holds a model; what comes back is the same model; damaged files are refused with one clear error."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tinymed import files, optimizers
from tinymed.layers import Add, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, Layer, MaxPooling2D
from tinymed.models import Model, Sequential, load_model


def network():
    model = Sequential(
        [
            Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1)),
            BatchNormalization(),
            MaxPooling2D(),
            Flatten(),
            Dropout(0.2),
            Dense(3, activation="softmax", kernel_regularizer="l2"),
        ]
    )
    schedule = optimizers.schedules.ExponentialDecay(1e-2, 10, 0.9)
    model.compile(optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    return model, rng.random((24, 8, 8, 1), dtype="float32"), rng.integers(0, 3, 24)


def test_round_trip_and_going_on(tmp_path):
    model, x, y = network()
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors", metadata={"classes": "a,b,c"})
    loaded = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert loaded.metadata == {"classes": "a,b,c"}
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    # The optimizer goes on where it was: without dropout the next epochs are the same, bit for bit.
    for one in (model, loaded):
        one.get_layer(index=4).rate = 0.0
        one.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert loaded.optimizer.iterations == model.optimizer.iterations
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_graph_with_shared_and_nested_layers(tmp_path):
    a, b = Input((3,), name="left"), Input((3,), name="right")
    shared = Dense(4, activation="tanh")
    inner = Sequential([Dense(4, input_shape=(4,))], name="inner")
    joined = Add()([shared(a), inner(shared(b))])
    model = Model([a, b], [joined, Dense(1)(joined)], name="pair")
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    x = [np.ones((2, 3), "float32"), np.full((2, 3), 2.0, "float32")]
    for one, other in zip(model.predict(x, verbose=0), loaded.predict(x, verbose=0), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.input_names == ["left", "right"]
    assert len(loaded.layers) == len(model.layers)
    assert list(loaded.params) == list(model.params)


def test_frozen_layers_stay_frozen(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,), name="a"), Dense(1, name="b")])
    model.get_layer("a").trainable = False
    model.save(tmp_path / "m")
    assert list(load_model(tmp_path / "m").params) == ["b/kernel", "b/bias"]


def test_the_file_is_safetensors_with_named_weights(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,), name="a")])
    model.save(tmp_path / "m")
    with safe_open(tmp_path / "m", framework="numpy") as file:
        assert set(file.keys()) == {"a/kernel", "a/bias"}
        assert json.loads(file.metadata()["tinymed"])["format"] == 1


def test_a_crash_while_saving_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    model = Sequential([Dense(2, input_shape=(3,), name="a")])
    model.save(path)
    before = path.read_bytes()

    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", crash)
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_files_that_are_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        load_model(tmp_path / "missing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="no model file, or it is damaged"):
        load_model(tmp_path / "text")
    save_file({"x": np.zeros(3)}, tmp_path / "plain")
    with pytest.raises(ValueError, match="holds no tinymed model"):
        load_model(tmp_path / "plain")
    model = Sequential([Dense(2, input_shape=(3,))])
    model.save(tmp_path / "m")
    (tmp_path / "cut").write_bytes((tmp_path / "m").read_bytes()[:-8])
    with pytest.raises(ValueError, match="damaged"):
        load_model(tmp_path / "cut")


def test_weights_that_do_not_fit_are_named(tmp_path):
    model = Sequential([Dense(2, input_shape=(3,), name="a")])
    model.save(tmp_path / "m")
    with safe_open(tmp_path / "m", framework="numpy") as file:
        metadata, arrays = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file({**arrays, "a/kernel": np.zeros((4, 2), "float32")}, tmp_path / "wrong", metadata=metadata)
    with pytest.raises(ValueError, match=r"'a/kernel' has shape \(4, 2\) but the model needs \(3, 2\)"):
        load_model(tmp_path / "wrong")
    del arrays["a/bias"]
    save_file(arrays, tmp_path / "missing", metadata=metadata)
    with pytest.raises(ValueError, match="no weight 'a/bias'"):
        load_model(tmp_path / "missing")
    about = json.loads(metadata["tinymed"])
    about["format"] = 99
    save_file({}, tmp_path / "new", metadata={"tinymed": json.dumps(about)})
    with pytest.raises(ValueError, match="newer"):
        load_model(tmp_path / "new")


def test_own_layers_need_custom_objects(tmp_path):
    class Double(Layer):
        def forward(self, x, training=False):
            return x * 2, None

        def backward(self, dy, cache, input_gradient=True):
            return dy * 2, {}

    model = Sequential([Input((3,)), Double()])
    model.save(tmp_path / "m")
    with pytest.raises(ValueError, match="custom_objects"):
        load_model(tmp_path / "m")
    loaded = load_model(tmp_path / "m", custom_objects={"Double": Double})
    assert loaded.predict(np.ones((1, 3)), verbose=0).tolist() == [[2, 2, 2]]


def test_an_unbuilt_model_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="no weights yet"):
        Sequential([Dense(2)]).save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_without_the_optimizer_the_file_is_small_and_predicts_the_same(tmp_path):
    model, x, y = network()
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "bare", {"task": "try"}, include_optimizer=False)
    assert (tmp_path / "bare").stat().st_size < 0.6 * (tmp_path / "whole").stat().st_size
    loaded = load_model(tmp_path / "bare")
    assert loaded.optimizer is None and loaded.metadata == {"task": "try"}
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
