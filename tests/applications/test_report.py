"""Numbers as files, and the folder they go to."""

import json

import numpy as np
import pytest

from tinymed.applications import report


def test_numbers_that_are_not_defined_become_null(tmp_path):
    numbers = {"auc": float("nan"), "deep": [{"x": np.float32(np.inf)}], "n": np.int64(3), "m": np.eye(2, dtype=int)}
    report.write_metrics(tmp_path / "m.json", numbers)
    read = json.loads((tmp_path / "m.json").read_text())
    assert read == {"auc": None, "deep": [{"x": None}], "n": 3, "m": [[1, 0], [0, 1]]}


def test_history(tmp_path):
    report.write_history(tmp_path / "h.csv", {"loss": [0.5, 0.25], "val_loss": [1, 2]})
    assert (tmp_path / "h.csv").read_bytes() == b"epoch,loss,val_loss\n1,0.5,1\n2,0.25,2\n"


def test_versions():
    found = report.versions()
    assert found["numpy"] == np.__version__
    assert {"tinymed", "python", "backend", "system"} <= found.keys()


def test_the_next_free_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert report.choose_folder(None, "job").as_posix() == "runs/job"
    (tmp_path / "runs" / "job").mkdir(parents=True)
    (tmp_path / "runs" / "job-2").mkdir()
    assert report.choose_folder(None, "job").as_posix() == "runs/job-3"
    assert report.choose_folder("x", "job").as_posix() == "x"


def test_workspace_moves_up_with_the_numbers_last(tmp_path, monkeypatch):
    moved = []
    real = report.os.replace
    monkeypatch.setattr(report.os, "replace", lambda a, b: (moved.append(b.name), real(a, b)))
    with report.workspace(tmp_path / "run") as work:
        for name in ("metrics.json", "z.png", "model.safetensors"):
            (work / name).write_text(name)
        assert not (tmp_path / "run" / "z.png").exists()
    assert moved == ["model.safetensors", "z.png", "metrics.json"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(moved)


def test_two_runs_into_one_folder_do_not_meet(tmp_path):
    with report.workspace(tmp_path / "run") as first, report.workspace(tmp_path / "run") as second:
        assert first.path != second.path


def test_a_failed_first_run_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError), report.workspace(tmp_path / "runs" / "run"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_an_earlier_run_is_replaced(tmp_path):
    for name in ("first", "second"):
        with report.workspace(tmp_path / "run") as work:
            (work / "examples").mkdir()
            (work / "examples" / name).write_text(name)
    assert [path.name for path in (tmp_path / "run" / "examples").iterdir()] == ["second"]


def test_a_failed_run_keeps_what_it_finished(tmp_path):
    with pytest.raises(RuntimeError) as caught, report.workspace(tmp_path / "run") as work:
        (work / "model.safetensors").write_text("trained")
        raise RuntimeError
    assert (tmp_path / "run" / "unfinished" / "model.safetensors").read_text() == "trained"
    assert "unfinished" in caught.value.__notes__[0]
