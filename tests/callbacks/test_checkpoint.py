import pytest

from tests.callbacks.model import Model, run
from tinymed import callbacks


def test_every_epoch_under_its_own_name():
    model, _ = run(callbacks.ModelCheckpoint("m-{epoch:02d}-{val_loss:.2f}"), [0.5, 0.256])
    assert model.saved == ["m-01-0.50", "m-02-0.26"]


def test_only_the_best(capsys):
    model, _ = run(callbacks.ModelCheckpoint("{epoch}", "val_auc", 1, True), [0.5, 0.4, 0.6], "val_auc")
    assert model.saved == ["1", "3"]
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: val_auc improved from nothing to 0.50000, saving model to 1",
        "Epoch 2: val_auc did not improve from 0.50000",
        "Epoch 3: val_auc improved from 0.50000 to 0.60000, saving model to 3",
    ]


def test_best_so_far_lasts_over_several_fits():
    keep = callbacks.ModelCheckpoint("{epoch}", save_best_only=True)
    model, _ = run(keep, [0.5])
    run(keep, [0.7, 0.4], model=model)
    assert model.saved == ["1", "2"]


def test_initial_threshold():
    model, _ = run(callbacks.ModelCheckpoint("{epoch}", save_best_only=True, initial_value_threshold=0.3), [0.5, 0.2])
    assert model.saved == ["2"]


def test_batches():
    model, _ = run(callbacks.ModelCheckpoint("{epoch}-{batch}", save_freq=2), [0.5, 0.5], batches=3)
    assert model.saved == ["1-2", "2-1", "2-3"]


def test_without_the_number_every_epoch_is_saved():
    with pytest.warns(UserWarning, match=r"no 'val_auc'.*every epoch is saved"):
        model, _ = run(callbacks.ModelCheckpoint("{epoch}", "val_auc", save_best_only=True), [0.5, 0.6])
    assert model.saved == ["1", "2"]


def test_any_monitor_will_do_where_nothing_is_compared():
    model, _ = run(callbacks.ModelCheckpoint("{epoch}", "whatever"), [0.5])
    assert model.saved == ["1"]


def test_messages():
    with pytest.raises(ValueError, match=r"cannot fill in \{val_los\} .* did you mean 'val_loss'"):
        run(callbacks.ModelCheckpoint("{val_los:.2f}"), [0.5])
    with pytest.raises(ValueError, match="save_freq='epoch' or a number of batches, got 0"):
        callbacks.ModelCheckpoint("m", save_freq=0)
    with pytest.raises(ValueError, match="leave save_weights_only out"):
        run(callbacks.ModelCheckpoint("m", save_weights_only=True), [0.5])


def test_weights_only_for_a_model_that_can():
    model = Model()
    model.save_weights = lambda path: model.saved.append(f"weights of {path}")
    run(callbacks.ModelCheckpoint("m", save_weights_only=True), [0.5], model=model)
    assert model.saved == ["weights of m"]
