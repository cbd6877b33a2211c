"""The task ecg as a whole: three networks, files, predictions, and what is refused."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest

from tinymed import applications
from tinymed.applications import ecg as task
from tinymed.applications import ecg_beats, ecg_data
from tinymed.datasets import ecg, ecg_files

SMALL = {"train": 8, "val": 2, "test": 3}
QUICK = {"network": "beats", "epochs": 3, "batch_size": 16, "learning_rate": 0.01, "verbose": 0}


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Few records, few windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ecg_data, "COUNTS", SMALL)
        patch.setitem(task.NETWORKS, "lstm", dataclasses.replace(task.NETWORKS["lstm"], drawn=64))
        patch.setattr(ecg_beats.Beats, "drawn", 320)
        yield


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    return task.train(out=tmp_path_factory.mktemp("ecg") / "lstm", epochs=1, verbose=0)


@pytest.fixture(scope="module")
def beats(tmp_path_factory):
    return task.train(out=tmp_path_factory.mktemp("ecg") / "beats", **QUICK)


def test_heart_rates_leave_model_numbers_and_pictures(rates):
    assert {path.name for path in rates.files} == {
        "model.safetensors", "metrics.json", "history.csv", "examples.npz",
        "learning_curves.png", "agreement.png", "windows.png",
    }  # fmt: skip
    numbers = json.loads((rates.folder / "metrics.json").read_text())
    assert (numbers["task"], numbers["network"], numbers["data"], numbers["records"]) == (
        "ecg", "lstm", "synthetic", SMALL,
    )  # fmt: skip
    assert numbers["windows"] == 9 and numbers["mae"] > 0 and "tanh for relu" in numbers["changed_from_p4b"]
    assert set(rates.history) >= {"loss", "val_loss", "val_mae"}
    assert rates.history["val_mae"][0] > 0
    assert ("windows of 8 s", "9") in task.rows(numbers)


def test_beats_are_found(beats):
    assert {"beats.png", "agreement.png"} <= {path.name for path in beats.files}
    assert beats.metrics["f1"] > 0.95
    assert beats.metrics["beats"] == sum(len(record.beats) for record in ecg_data.read(None, 0).test)
    assert dict(task.rows(beats.metrics))["F1 within 75 ms"] == f"{beats.metrics['f1']:.4f}"


def test_the_saved_model_gives_the_same_numbers(beats, rates, tmp_path):
    for i, record in enumerate(ecg_data.read(None, 0).test):
        ecg_files.save(tmp_path / f"{i}.npz", record)
    for result in (beats, rates):
        numbers = task.evaluate(result.folder / "model.safetensors", tmp_path, split="all")
        for key in ("f1", "timing_error_ms") if result is beats else ("mae", "bias"):
            assert numbers[key] == pytest.approx(result.metrics[key], rel=1e-5)
    part = task.evaluate(beats.folder / "model.safetensors", tmp_path)
    assert part["beats"] < beats.metrics["beats"]


def test_predicting_beats(beats, tmp_path):
    example = beats.folder / "examples.npz"
    assert applications.owner(beats.folder / "model.safetensors") is task
    (found,) = task.predict(beats.folder / "model.safetensors", [example], out=tmp_path)
    true = ecg_files.read(example)
    assert found.cells == (f"{len(found.values['beats'])} beats", f"{found.values['heart_rate']:.0f} beats/min")
    assert found.values["heart_rate"] == pytest.approx(true.heart_rate, rel=0.1)
    lines = (tmp_path / "examples_beats.csv").read_text().splitlines()
    assert lines[0] == "second,sample,interval_s" and len(lines) == 1 + len(found.values["beats"])
    second, sample, gap = lines[2].split(",")
    assert int(sample) == pytest.approx(float(second) * 250, abs=1)
    assert float(gap) == pytest.approx(np.diff(found.values["beats"])[0], abs=1e-3)
    assert lines[1].endswith(",")


def test_predicting_heart_rates(rates, tmp_path):
    (found,) = task.predict(rates.folder / "model.safetensors", [rates.folder / "examples.npz"], out=tmp_path)
    assert found.cells[0] == f"{found.values['heart_rate']:.0f} beats/min"
    lines = (tmp_path / "examples_heart_rate.csv").read_text().splitlines()
    assert lines[0] == "start_s,end_s,beats_per_minute" and len(lines) == 4
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "8", "16"]


def test_nobody_needs_annotations_to_predict(beats, rates, tmp_path):
    record = ecg.synthetic(1, seconds=9, seed=8)[0]
    ecg_files.save(tmp_path / "a.npz", ecg.Record("a", record.signal, record.rate))
    for result in (beats, rates):
        (found,) = task.predict(result.folder / "model.safetensors", [tmp_path / "a.npz"])
        assert np.isfinite(found.values["heart_rate"])


def test_same_seed_same_bits(beats, tmp_path):
    again = task.train(out=tmp_path / "again", **QUICK)
    assert all(np.array_equal(a, b) for a, b in zip(again.model.get_weights(), beats.model.get_weights(), strict=True))
    assert again.history == beats.history


def test_a_real_record_is_split_by_time(tmp_path, data_folder):
    if importlib.util.find_spec("wfdb") is None:
        pytest.skip("wfdb is not installed")
    path = data_folder / "ecg_wfdb_samples" / "100"
    result = task.train(data=path, out=tmp_path / "run", **QUICK)
    assert result.metrics["split"] == "by time" and result.metrics["f1"] > 0.95
    assert result.metrics["beats"] == pytest.approx(2273 / 4, rel=0.05)


def test_the_articles_network_as_written_says_what_it_is_when_it_diverges(tmp_path, monkeypatch):
    monkeypatch.setattr(type(task.NETWORKS["p4b"]), "score", lambda *_: float("nan"))
    short = dataclasses.replace(task.NETWORKS["p4b"], rate=25.0)
    monkeypatch.setitem(task.NETWORKS, "p4b", short)
    monkeypatch.setattr(task.ecg_rates, "P4B", short)
    with pytest.raises(ValueError, match=r"diverged in epoch 1.*as written, --network lstm learns"):
        task.train(out=tmp_path / "run", epochs=1, network="p4b", verbose=0)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_used_leaves_nothing_behind(tmp_path):
    record = ecg.synthetic(1, seconds=30, seed=1)[0]
    ecg_files.save(tmp_path / "short.npz", record)
    ecg_files.save(tmp_path / "bare.npz", ecg.Record("bare", record.signal, 250.0))
    np.savez(tmp_path / "empty.npz", signal=np.zeros(0), rate=250)
    for options, words in (
        ({"network": "lstn"}, "unknown network of the task ecg 'lstn'; did you mean 'lstm'"),
        ({"data": tmp_path / "short.npz"}, r"short\.npz: the part of short\.npz for val has 4 s"),
        ({"data": tmp_path / "bare.npz"}, r"bare\.npz has no annotations"),
        ({"data": tmp_path / "empty.npz"}, r"empty\.npz: the record is empty"),
        ({"data": tmp_path / "none"}, "none: no such record"),
        ({"epochs": 0}, "epochs must be"),
    ):
        with pytest.raises(ValueError, match=words):
            task.train(out=tmp_path / "run", verbose=0, **options)
        assert not (tmp_path / "run").exists()


def test_records_that_are_too_short_to_predict(rates, beats, tmp_path):
    record = ecg.synthetic(1, seconds=30, seed=1)[0]
    for result, seconds, words in ((rates, 5, "has 5.0 s; the network needs 8 s"), (beats, 0.5, "one second at least")):
        ecg_files.save(tmp_path / "a.npz", record.cut(0, seconds) if seconds > 1 else record.cut(0, 1).cut(0, seconds))
        with pytest.raises(ValueError, match=words):
            task.predict(result.folder / "model.safetensors", [tmp_path / "a.npz"])
