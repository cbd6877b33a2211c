"""Training on a device: that of a library that refuses all but the array API standard, or, with ``-m gpu``, a GPU.

The first stands in for the second: a silent copy to the host, a NumPy function on a device array or a dtype that slips
in raises. (tests/test_crossings.py counts what crosses.)
"""

import numpy as np
import pytest

from tests.devices import DEVICES, is_on, on
from tinymed import backend, callbacks, debugging, interpretability, layers, metrics, optimizers
from tinymed.models import Model, Sequential, load_model


@pytest.fixture(params=DEVICES)
def device(request):
    with on(request.param):
        yield request.param


def images(n=24):
    rng = np.random.default_rng(0)
    return rng.random((n, 12, 12, 3), dtype="float32"), rng.integers(0, 2, n)


def network():
    model = Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(12, 12, 3), kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizers.Adam(clipnorm=1.0), "binary_crossentropy", metrics=["accuracy", metrics.AUC(name="auc")])
    return model


def test_the_main_network_trains(device, tmp_path):
    x, y = images()
    model = network()
    history = model.fit(
        x, y, epochs=2, batch_size=8, validation_split=0.25, class_weight={0: 1.0, 1: 2.0}, verbose=0,
        callbacks=[callbacks.EarlyStopping(restore_best_weights=True), callbacks.ReduceLROnPlateau()],
    ).history  # fmt: skip
    assert set(history) >= {"loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc"}
    for weight in (*model.params.values(), *model.state.values()):
        assert is_on(device, weight)
    p = model.predict(x, verbose=0)
    assert isinstance(p, np.ndarray)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").predict(x, verbose=0), p)


def test_several_inputs_and_outputs(device):
    x, y = images()
    a, b = layers.Input((12, 12, 3)), layers.Input((12, 12, 3))
    shared = layers.Conv2D(2, 3)
    joined = layers.Concatenate()([shared(a), shared(b)])
    pooled = layers.GlobalAveragePooling2D()(joined)
    model = Model([a, b], [layers.Dense(3, activation="softmax")(pooled), layers.Dense(1)(pooled)])
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]])
    model.fit([x, x[:, ::-1]], [y, y], epochs=1, verbose=0)


@pytest.mark.parametrize("device", DEVICES)
def test_same_numbers_as_numpy_before_and_during_training(device):
    x, y = images()

    def run():
        backend.set_seed(1)
        model = network()
        initial = model.get_weights()
        history = model.fit(x, y, epochs=2, batch_size=8, verbose=0).history
        return initial, history["loss"]

    initial, losses = run()
    with on(device):
        initial_there, losses_there = run()
    for here, there in zip(initial, initial_there, strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_allclose(losses, losses_there, rtol=1e-4)


def test_what_looks_into_a_model_works_on_a_device(device, capsys):
    x, y = images(8)
    model = network()
    model.fit(x, y, epochs=1, batch_size=4, verbose=0)

    def found():
        probe = Sequential([layers.Conv2D(2, 3, activation="relu", input_shape=(12, 12, 3)),
                                               layers.Flatten(), layers.Dense(2, activation="softmax")])  # fmt: skip
        probe.compile("adam", "sparse_categorical_crossentropy")
        probe.set_weights([np.linspace(-0.1, 0.1, w.size).reshape(w.shape) for w in probe.get_weights()])
        methods = (interpretability.saliency, interpretability.grad_cam, interpretability.integrated_gradients)
        return [method(probe, x) for method in methods], str(probe.sanity_check(x, y).ok)

    maps, ready = found()
    with debugging.debug():
        model.train_on_batch(x, y)
    model.summary()
    assert f"Backend: {device}" in capsys.readouterr().out
    with backend.use_backend("numpy"):
        wanted, ready_there = found()
    assert ready == ready_there
    for ours, theirs in zip(maps, wanted, strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("device", DEVICES)
def test_a_hundred_steps_give_the_losses_of_numpy(device):
    x, y = images(32)

    def losses():
        backend.set_seed(2)
        model = network()
        return [model.train_on_batch(x[i % 4 :: 4], y[i % 4 :: 4], return_dict=True)["loss"] for i in range(100)]

    wanted = losses()
    with on(device):
        found = losses()
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
