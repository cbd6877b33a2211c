"""The task progression as a whole: it beats the last value, its files work, and bad tables are refused."""

import json

import numpy as np
import pytest

from tinymed import applications
from tinymed.applications import progression as task
from tinymed.applications import progression_data
from tinymed.datasets import visits

SMALL = {"train": 120, "val": 40, "test": 60}


@pytest.fixture(scope="module", autouse=True)
def _small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progression_data, "COUNTS", SMALL)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return task.train(out=tmp_path_factory.mktemp("visits") / "run", epochs=15, learning_rate=0.01, verbose=0)


def test_it_beats_the_last_value_carried_forward(trained):
    numbers = json.loads((trained.folder / "metrics.json").read_text())
    assert numbers["mae"] < 0.85 * numbers["mae_last_value"]
    assert numbers["progression_auc"] > 0.7
    assert (numbers["network"], numbers["data"], numbers["patients"]) == ("gru", "synthetic", SMALL)
    assert {path.name for path in trained.files} == {
        "model.safetensors", "metrics.json", "history.csv", "examples.csv",
        "learning_curves.png", "agreement.png", "by_visits.png", "trajectories.png",
    }  # fmt: skip
    assert set(trained.history) >= {"loss", "val_loss", "val_mae"}
    table = dict(task.rows(numbers))
    assert table["mean absolute error"] == f"{numbers['mae']:.2f} points"


def test_the_last_value_by_hand(trained):
    test = progression_data.read(None, 0)["test"]
    errors = []
    for patient in test.patients:
        last = np.nan
        for score in patient.values[:, 0]:
            if np.isfinite(score) and np.isfinite(last):
                errors.append(abs(score - last))
            last = score if np.isfinite(score) else last
    assert trained.metrics["predictions"] == len(errors)
    assert trained.metrics["mae_last_value"] == pytest.approx(np.mean(errors), rel=1e-5)


def test_the_saved_model_gives_the_same_numbers(trained, tmp_path):
    visits.write_csv(tmp_path / "test.csv", progression_data.read(None, 0)["test"])
    numbers = task.evaluate(trained.folder / "model.safetensors", tmp_path / "test.csv", split="all")
    for key in ("mae", "rmse", "mae_last_value", "predictions"):
        assert numbers[key] == pytest.approx(trained.metrics[key], rel=1e-4)
    assert "mae_linear" not in numbers and task.rows(numbers)


@pytest.mark.parametrize("network", ["lstm", "gru-mean", "gru-predicted", "gru-last"])
def test_every_network_trains_on_a_table_and_predicts(network, tmp_path):
    visits.write_csv(tmp_path / "a.csv", visits.synthetic(40, seed=1))
    result = task.train(data=tmp_path / "a.csv", network=network, epochs=1, out=tmp_path / "run", verbose=0)
    assert result.metrics["patients"] == {"train": 24, "val": 6, "test": 10}
    assert len(task.predict(tmp_path / "run" / "model.safetensors", [tmp_path / "run" / "examples.csv"])) == 10


def test_predicting(trained, tmp_path):
    model = trained.folder / "model.safetensors"
    assert applications.owner(model) is task
    (tmp_path / "a.csv").write_text(
        "patient,time,score,volume,protein,pressure,treated\n"
        "a,0,20,85,,130,0\na,5,24,,2,,0\n"
        "b,0,20,85,,130,0\nb,5,24,,2,,0\nb,17,,,,,\n"
    )
    six, twelve = task.predict(model, [tmp_path / "a.csv"], out=tmp_path)
    assert six.cells == ("last 24.0", f"in 6 months {six.values['score']:.1f}")
    assert (twelve.values["ahead"], twelve.values["last"]) == (12.0, 24.0)
    assert twelve.values["score"] > six.values["score"]
    lines = (tmp_path / "a_predicted.csv").read_text().splitlines()
    assert lines[0] == "patient,time,last_score,predicted_score"
    assert lines[1] == f"a,11,24,{six.values['score']:.2f}" and lines[2].startswith("b,17,24,")


def test_same_seed_same_bits(tmp_path):
    first, second = (task.train(out=tmp_path / str(i), epochs=1, seed=3, verbose=0) for i in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True))


def test_what_cannot_be_used_leaves_nothing_behind(tmp_path, trained):
    (tmp_path / "few.csv").write_text("patient,time,score\na,0,1\na,1,2\n")
    (tmp_path / "bare.csv").write_text("patient,time,score\na,0,\na,1,\n")
    for options, words in (
        ({"network": "gruu"}, "unknown network of the task progression 'gruu'; did you mean 'gru'"),
        ({"data": tmp_path / "few.csv"}, r"few\.csv: none of the 0 patients for"),
        ({"data": tmp_path / "none.csv"}, "no such file"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
    ):
        with pytest.raises(ValueError, match=words):
            task.train(out=tmp_path / "run", verbose=0, **options)
        assert not (tmp_path / "run").exists()
    model = trained.folder / "model.safetensors"
    with pytest.raises(ValueError, match=r"few\.csv has no column 'volume'"):
        task.predict(model, [tmp_path / "few.csv"])
    (tmp_path / "bare.csv").write_text("patient,time,score,volume,protein,pressure,treated\na,0,,1,1,1,0\n")
    with pytest.raises(ValueError, match=r"bare\.csv: patient a has no measured score"):
        task.predict(model, [tmp_path / "bare.csv"])
