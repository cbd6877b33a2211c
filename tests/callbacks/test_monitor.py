import math
import warnings

import pytest

from tests.callbacks.model import Model, run
from tinymed import callbacks, metrics
from tinymed.callbacks.monitor import direction_of


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("loss", "min"),
        ("val_loss", "min"),
        ("val_head_loss", "min"),
        ("val_accuracy", "max"),
        ("acc", "max"),
        ("val_auc_1", "max"),
        ("val_AUC", "max"),
        ("mean_io_u", "max"),
        ("f1_score", "max"),
        ("sensitivity_at_specificity", "max"),
        ("mse", "min"),
        ("val_mean_absolute_error", "min"),
        ("binary_crossentropy", "min"),
        ("false_positives", "min"),
        ("true_positives", "max"),
    ],
)
def test_direction_by_name(monitor, mode):
    assert direction_of(monitor) == mode


def test_direction_by_metric_goes_before_the_name():
    odd = metrics.FalsePositives(name="findings")
    assert direction_of("val_findings", Model(metrics=[odd])) == "min"
    with pytest.raises(ValueError, match="not known whether more or less of 'val_findings' is better; give mode='max'"):
        direction_of("val_findings")
    with pytest.raises(ValueError, match="give mode"):
        callbacks.CallbackList(callbacks.EarlyStopping("findings"), model=Model())


def test_every_metric_is_told_by_its_name():
    for name, cls in metrics.CLASSES.items():
        if cls.direction:
            assert direction_of(metrics.base.snake_case(name)) == {"up": "max", "down": "min"}[cls.direction], name


def test_early_stopping_after_patience():
    stop = callbacks.EarlyStopping(patience=2)
    model, history = run(stop, [1.0, 0.5, 0.6, 0.7, 0.1])
    assert history.epoch == [0, 1, 2, 3]
    assert (stop.stopped_epoch, stop.best_epoch, stop.best) == (3, 1, 0.5)
    assert model.weight == 3


def test_early_stopping_gives_the_best_weights_back(capsys):
    model, _ = run(
        callbacks.EarlyStopping("val_auc", patience=1, restore_best_weights=True, verbose=1), [0.6, 0.9, 0.8], "val_auc"
    )
    assert model.weight == 1
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 3: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]


def test_best_weights_come_back_without_stopping_too():
    model, _ = run(callbacks.EarlyStopping(patience=9, restore_best_weights=True), [0.6, 0.4, 0.8])
    assert model.weight == 1
    assert not model.stop_training


def test_min_delta():
    _, history = run(callbacks.EarlyStopping(patience=2, min_delta=0.1), [1.0, 0.95, 0.91, 0.5])
    assert len(history.epoch) == 3
    _, history = run(callbacks.EarlyStopping(patience=2, min_delta=0.1), [1.0, 0.95, 0.85, 0.84])
    assert len(history.epoch) == 4


def test_baseline_and_first_epoch():
    _, history = run(callbacks.EarlyStopping(patience=2, baseline=0.1), [1.0, 0.9, 0.8, 0.7])
    assert len(history.epoch) == 4  # improves each time, so that only the last wait counts, as in Keras
    _, history = run(callbacks.EarlyStopping(patience=2, baseline=0.1), [1.0, 1.0, 1.0, 0.7])
    assert len(history.epoch) == 2
    _, history = run(callbacks.EarlyStopping(patience=1, start_from_epoch=2), [1.0, 2.0, 3.0, 4.0, 5.0])
    assert len(history.epoch) == 4


def test_nan_is_no_improvement():
    stop = callbacks.EarlyStopping(patience=5)
    run(stop, [math.nan, 0.5, math.nan, 0.4])
    assert (stop.best, stop.best_epoch) == (0.4, 3)


def test_one_object_twice():
    stop = callbacks.EarlyStopping(patience=1)
    run(stop, [1.0, 2.0])
    _, history = run(stop, [5.0, 4.0, 3.0])
    assert len(history.epoch) == 3


@pytest.mark.parametrize(
    ("monitor", "name", "message"),
    [
        (
            "val_los",
            "val_loss",
            "EarlyStopping does nothing: the logs have no 'val_los', only 'loss', 'val_loss'; did you mean 'val_loss'",
        ),
        ("val_loss", "auc", "only 'loss', 'auc'; there is no validation: give fit validation_data or validation_split"),
    ],
)
def test_unknown_name_is_warned_about_once(monitor, name, message):
    with pytest.warns(UserWarning, match=message) as caught:
        _, history = run(callbacks.EarlyStopping(monitor, mode="min"), [1.0, 2.0, 3.0], name)
    assert len(caught) == 1
    assert len(history.epoch) == 3


def test_a_list_cannot_be_compared():
    with pytest.warns(UserWarning, match="'f1_score' is a list of 2 numbers"):
        run(callbacks.EarlyStopping("f1_score"), [[0.1, 0.2]], "f1_score")


def test_epochs_without_validation_are_passed_over():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, history = run(callbacks.EarlyStopping(patience=1), [1.0, None, 2.0, None])
    assert len(history.epoch) == 3


def test_mode_is_checked():
    with pytest.raises(ValueError, match="mode='auto', 'min' or 'max', got 'minimum'"):
        callbacks.EarlyStopping(mode="minimum")
