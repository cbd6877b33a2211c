"""What all runs share: settings that are checked, options that a task knows, the best epoch, the model file."""

import json

import numpy as np
import pytest

from tinymed.applications import find, owner, run
from tinymed.layers import Dense
from tinymed.models import Sequential, load_model

SETTINGS = run.Settings(epochs=3, batch_size=4, learning_rate=0.01)


def network():
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile(optimizer="sgd", loss="mean_squared_error")
    return model


@pytest.mark.parametrize(
    "change, words",
    [
        ({"epochs": 0}, "epochs must be a whole number from 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number from 1, got 1.5"),
        ({"learning_rate": float("inf")}, "learning_rate must be a positive number, got inf"),
    ],
)
def test_settings_are_checked(change, words):
    with pytest.raises(ValueError, match=words):
        SETTINGS.but(**change)
    assert SETTINGS.but(epochs=None) == SETTINGS


def test_options_that_a_task_does_not_have():
    def train(*, network="unet", seed=0):
        pass

    assert run.accepts(train, "segmentation", network="unet", loss=None, seed=1) == {"network": "unet", "seed": 1}
    with pytest.raises(ValueError, match="the task 'segmentation' has no option --loss"):
        run.accepts(train, "segmentation", loss="dice")


def test_training_samples_are_drawn_anew_in_each_epoch_and_the_best_epoch_is_kept(tmp_path):
    model, seen, weights, scores = network(), [], [], iter([0.2, 0.7, 0.5])

    def samples(rng):
        seen.append(rng.standard_normal((8, 2)).astype("float32"))
        return seen[-1], np.ones((8, 1), "float32")

    def score(model):
        weights.append(model.get_weights()[0].copy())
        return next(scores)

    best = run.KeepBest(tmp_path / run.MODEL, score, {"task": "try", "classes": ["a", "b"]}, name="val_dice")
    history = run.fit(model, samples, SETTINGS, callbacks=[best], verbose=0)
    assert len(seen) == 3 and not np.array_equal(seen[0], seen[1])
    assert history["val_dice"] == [0.2, 0.7, 0.5]
    assert len(history["loss"]) == 3
    assert (best.epoch, best.score) == (1, 0.7)
    kept, about = run.open_model(tmp_path / run.MODEL, "classes")
    assert np.array_equal(kept.get_weights()[0], weights[1])
    assert about == {"task": "try", "classes": ["a", "b"]}
    with pytest.raises(ValueError, match="does not say 'spacing'"):
        run.open_model(tmp_path / run.MODEL, "spacing")


def test_a_run_writes_numbers_history_and_model(tmp_path):
    with run.start("try", SETTINGS, seed=4, out=tmp_path / "run") as job:
        model = network()
        run.save(model, job / run.MODEL, {"task": "try"})
        job.finish({"dice": np.float32(0.5)}, {"loss": [2.0, 1.0, 0.5]})
    result = job.result(model)
    assert {path.name for path in result.files} == {run.MODEL, "history.csv", "metrics.json"}
    numbers = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (numbers["task"], numbers["dice"], numbers["seed"], numbers["epochs"]) == ("try", 0.5, 4, 3)
    assert load_model(tmp_path / "run" / run.MODEL).metadata == {"task": "try"}


def test_diverged_training_is_an_error(tmp_path):
    best = run.KeepBest(tmp_path / run.MODEL, lambda model: float("nan"), {"task": "try"})
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    with pytest.raises(ValueError, match=r"diverged in epoch 1.*smaller --learning-rate"):
        network().fit(x, y, callbacks=[best], verbose=0)


def test_owner_of_a_model_file(tmp_path):
    run.save(network(), tmp_path / "a.safetensors", {"task": "nodules"})
    assert owner(tmp_path / "a.safetensors") is find("nodules")
    network().save(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="does not say 'task'"):
        owner(tmp_path / "b.safetensors")
