import types

import numpy as np
import pytest

from tests.callbacks.model import Model, run
from tinymed import callbacks
from tinymed.callbacks.rates import learning_rate_of


def test_reduce_on_plateau(capsys):
    model, history = run(callbacks.ReduceLROnPlateau(factor=0.5, patience=2, verbose=1), [1.0, 1.0, 1.0, 1.0, 0.5])
    assert history.history["learning_rate"] == [0.1, 0.1, 0.1, 0.05, 0.05]
    assert model.optimizer.learning_rate == 0.05
    assert capsys.readouterr().out == "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.05.\n"


def test_cooldown_and_least_rate():
    values = [1.0] * 8
    _, history = run(callbacks.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2), values)
    # Epoch 1 halves; epochs 2 and 3 cool down, of which the last counts again, as in Keras.
    assert history.history["learning_rate"] == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]
    model, _ = run(callbacks.ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0.05), values)
    assert model.optimizer.learning_rate == 0.05


def test_small_improvements_do_not_count():
    model, _ = run(callbacks.ReduceLROnPlateau(patience=1, min_delta=0.1), [1.0, 0.95])
    assert model.optimizer.learning_rate == pytest.approx(0.01)


def test_scheduler_with_one_or_two_arguments(capsys):
    model, history = run(callbacks.LearningRateScheduler(lambda epoch: 1 / (epoch + 1), verbose=1), [1.0, 1.0])
    assert history.history["learning_rate"] == [1.0, 0.5]
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.5." in capsys.readouterr().out
    model, _ = run(callbacks.LearningRateScheduler(lambda epoch, rate: np.float32(rate / 2)), [1.0, 1.0])
    assert model.optimizer.learning_rate == pytest.approx(0.025)


def test_errors_inside_a_schedule_are_its_own():
    def schedule(epoch, rate):
        raise TypeError("my own mistake")

    with pytest.raises(TypeError, match="my own mistake"):
        run(callbacks.LearningRateScheduler(schedule), [1.0])


@pytest.mark.parametrize("wrong", ["0.1", None, float("nan"), True])
def test_schedules_return_numbers(wrong):
    with pytest.raises(ValueError, match="has to return a number, got"):
        run(callbacks.LearningRateScheduler(lambda epoch: wrong), [1.0])


def test_messages():
    with pytest.raises(ValueError, match="factor between 0 and 1"):
        callbacks.ReduceLROnPlateau(factor=1.0)
    with pytest.raises(TypeError, match="needs a function of the epoch"):
        callbacks.LearningRateScheduler(0.1)
    with pytest.raises(ValueError, match="needs a compiled model"):
        learning_rate_of(types.SimpleNamespace(optimizer=None), "ReduceLROnPlateau")
    with pytest.raises(ValueError, match="the optimizer follows object; give the optimizer a number"):
        run(callbacks.ReduceLROnPlateau(), [1.0], model=Model(learning_rate=object()))
