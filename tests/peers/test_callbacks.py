"""Callbacks against Keras: told the same numbers epoch by epoch, they do the same at the same time."""

import numpy as np
import pytest

import tinymed
from tests.peers.compare import Row, check_arguments
from tinymed import callbacks

EPOCHS = 14


def row(cls, **kwargs):
    return Row(cls, kwargs)


EARLY = [
    row("EarlyStopping"),
    row("EarlyStopping", patience=3),
    row("EarlyStopping", patience=3, restore_best_weights=True),
    row("EarlyStopping", patience=2, min_delta=0.05),
    row("EarlyStopping", patience=2, restore_best_weights=True, start_from_epoch=4),
    row("EarlyStopping", patience=3, baseline=0.4, restore_best_weights=True),
    row("EarlyStopping", patience=4, baseline=0.9),
    row("EarlyStopping", monitor="accuracy", mode="max", patience=3),
    row("EarlyStopping", monitor="accuracy", mode="max", patience=2, min_delta=0.02, restore_best_weights=True),
    row("EarlyStopping", monitor="loss", mode="min", patience=1),
]
PLATEAU = [
    row("ReduceLROnPlateau"),
    row("ReduceLROnPlateau", patience=2),
    row("ReduceLROnPlateau", patience=0, factor=0.9),
    row("ReduceLROnPlateau", patience=1, factor=0.5, cooldown=2),
    row("ReduceLROnPlateau", patience=1, factor=0.2, min_lr=1e-3),
    row("ReduceLROnPlateau", patience=1, factor=0.5, min_delta=0.1),
    row("ReduceLROnPlateau", monitor="accuracy", mode="max", patience=2, factor=0.3),
]
SCHEDULED = [
    row("LearningRateScheduler", schedule=lambda epoch: 0.1 / (1 + epoch)),
    row("LearningRateScheduler", schedule=lambda epoch, rate: rate * 0.9 if epoch > 2 else rate),
]
SAVED = [
    row("ModelCheckpoint"),
    row("ModelCheckpoint", save_best_only=True),
    row("ModelCheckpoint", save_best_only=True, monitor="accuracy", mode="max"),
    row("ModelCheckpoint", save_best_only=True, initial_value_threshold=0.5),
]


def model(library):
    found = library.Sequential([library.layers.Input((2,)), library.layers.Dense(1, use_bias=False)])
    found.compile(optimizer=library.optimizers.SGD(0.1), loss="mse", metrics=["accuracy"])
    return found


def learning_rate(found):
    rate = found.optimizer.learning_rate
    return float(rate.numpy()) if hasattr(rate, "numpy") else float(rate)


def follow(callback, found, seed, after_epoch):
    """Tell a callback about epochs, as ``fit`` would, and collect what it has done."""
    rng = np.random.default_rng(seed)
    seen = []
    found.stop_training = False
    callback.set_model(found)
    callback.on_train_begin()
    for epoch in range(EPOCHS):
        callback.on_epoch_begin(epoch)
        found.set_weights([np.full((2, 1), float(epoch), dtype="float32")])
        loss, accuracy = (float(value) for value in rng.random(2))
        logs = {"loss": loss, "accuracy": accuracy, "val_loss": float(rng.random() * 0.9**epoch)}
        callback.on_epoch_end(epoch, logs)
        seen.append(after_epoch())
        if found.stop_training:
            break
    callback.on_train_end()
    return seen, [float(w) for w in found.get_weights()[0][:, 0]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("row", [*EARLY, *PLATEAU, *SCHEDULED], ids=lambda row: str(row).split("<")[0])
def test_acts_as_keras_does(row, seed, keras):
    done = []
    for library in (tinymed, keras):
        found = model(library)
        callback = getattr(library.callbacks, row.cls)(**row.kwargs)
        done.append(follow(callback, found, seed, lambda found=found: learning_rate(found)))
    (ours, our_weights), (theirs, their_weights) = done
    assert len(ours) == len(theirs), "stopped after another epoch"
    assert ours == pytest.approx(theirs, rel=1e-5), "learning rates"
    assert our_weights == their_weights


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("row", SAVED, ids=str)
def test_saves_in_keras_s_epochs(row, seed, keras, tmp_path):
    done = []
    for library, ending in ((tinymed, "tinymed"), (keras, "keras")):
        folder = tmp_path / ending
        folder.mkdir()
        callback = library.callbacks.ModelCheckpoint(str(folder / ("{epoch:02d}." + ending)), **row.kwargs)
        follow(callback, model(library), seed, lambda: None)
        done.append(sorted(path.stem for path in folder.iterdir()))
    assert done[0] == done[1] != []


@pytest.mark.parametrize(
    "name",
    [
        "CSVLogger",
        "EarlyStopping",
        "LambdaCallback",
        "LearningRateScheduler",
        "ModelCheckpoint",
        "ReduceLROnPlateau",
        "TerminateOnNaN",
    ],
)
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(callbacks, name), getattr(keras.callbacks, name), ())


def test_every_callback_is_compared():
    rows = {row.cls for row in (*EARLY, *PLATEAU, *SCHEDULED, *SAVED)}
    with_tests_of_their_own = {"CSVLogger", "LambdaCallback", "TerminateOnNaN"}
    bases = {"Callback", "CallbackList", "History", "MonitorCallback"}
    assert set(callbacks.__all__) - bases == rows | with_tests_of_their_own
