import csv
import math

import pytest

from tests.callbacks.model import Model, run
from tinymed import callbacks


def test_history_and_series():
    _, history = run(None, [0.5, None, 0.4])
    assert history.history == {"loss": [1.0, 1.0, 1.0], "val_loss": [0.5, 0.4]}
    assert history.epoch == [0, 1, 2]
    assert history.series("val_loss") == ([0, 2], [0.5, 0.4])
    assert repr(history) == "<History of 3 epochs: loss, val_loss>"
    history.on_train_begin()
    assert history.history == {}


def test_history_as_a_table(tmp_path):
    _, history = run(None, [0.5, None, [0.1, 0.2]])
    history.to_csv(tmp_path / "folder" / "h.csv")
    assert (
        tmp_path / "folder" / "h.csv"
    ).read_text() == 'epoch,loss,val_loss\n0,1.0,0.5\n1,1.0,NA\n2,1.0,"[0.1, 0.2]"\n'


def test_history_as_a_picture():
    _, history = run(None, [0.5, 0.4])
    assert history.plot().axes


def read(path, **options):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, **options))


def test_a_crash_keeps_finished_rows(tmp_path):
    path = tmp_path / "log.csv"
    log = callbacks.CSVLogger(path)
    seen = []

    def crash(epoch, logs):
        seen.append(read(path))
        if epoch == 1:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        run([log, callbacks.LambdaCallback(on_epoch_end=crash)], [0.5, 0.4, 0.3])
    assert [len(rows) for rows in seen] == [1, 2]
    assert read(path)[1] == {"epoch": "1", "loss": "1.0", "val_loss": "0.4"}


def test_the_old_table_stays_until_the_first_epoch_is_finished(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")
    log = callbacks.CSVLogger(path)
    log.on_train_begin()
    assert path.read_text() == "old"
    log.on_epoch_end(0, {"loss": 1.0})
    assert path.read_text() == "epoch,loss\n0,1.0\n"


def test_columns_that_come_later(tmp_path):
    path = tmp_path / "log.csv"
    run(callbacks.CSVLogger(path, separator=";"), [None, 0.5, None])
    assert path.read_text() == "epoch;loss;val_loss\n0;1.0;NA\n1;1.0;0.5\n2;1.0;NA\n"


def test_continue_a_table(tmp_path):
    path = tmp_path / "log.csv"
    run(callbacks.CSVLogger(path), [0.5])
    run(callbacks.CSVLogger(path, append=True), [0.4])
    run(callbacks.CSVLogger(path, append=True), [0.9], "val_auc")
    rows = read(path)
    assert [row["val_loss"] for row in rows] == ["0.5", "0.4", "NA"]
    assert [row["val_auc"] for row in rows] == ["NA", "NA", "0.9"]
    run(callbacks.CSVLogger(path), [0.3])
    assert len(read(path)) == 1


def test_continue_after_a_row_was_cut_short(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val_loss\n0,1.0,0.5\n1,0.")
    run(callbacks.CSVLogger(path, append=True), [0.4])
    assert path.read_text() == "epoch,loss,val_loss\n0,1.0,0.5\n0,1.0,0.4\n"


def test_logger_messages(tmp_path):
    with pytest.raises(ValueError, match="one character as separator, got ', '"):
        callbacks.CSVLogger("x", separator=", ")
    (tmp_path / "other.csv").write_text("name,age\n")
    with pytest.raises(ValueError, match="its first column is 'name' instead of 'epoch'"):
        callbacks.CSVLogger(tmp_path / "other.csv", append=True).on_train_begin()


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_terminate_on_nan(loss):
    model = Model()
    guard = callbacks.TerminateOnNaN()
    hooks = callbacks.CallbackList(guard, model=model, steps=10)
    hooks.on_epoch_begin(1)
    hooks.on_train_batch_end(3, {"loss": 0.5})
    assert not model.stop_training
    with pytest.warns(RuntimeWarning, match="after epoch 2, batch 5 of 10: training stops; likely reasons"):
        hooks.on_train_batch_end(4, {"loss": loss})
    assert model.stop_training


def test_terminate_on_nan_may_raise():
    with pytest.raises(RuntimeError, match="the loss is nan after epoch 1, batch 1"):
        callbacks.TerminateOnNaN(raise_error=True).on_train_batch_end(0, {"loss": math.nan})
    callbacks.TerminateOnNaN().on_train_batch_end(0, {})
