import numpy as np
import pytest

from tests.callbacks.model import run
from tinymed import plots

LABELS = np.asarray([0, 0, 1, 1, 1])
SCORES = np.asarray([0.1, 0.6, 0.4, 0.8, 0.9])


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def curves(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_training_is_dim_validation_solid_best_marked():
    history = {
        "loss": [0.5, 0.4, 0.3],
        "auc": [0.6, 0.7, 0.8],
        "val_loss": [0.6, 0.45, 0.5],
        "val_auc": [0.5, 0.7, 0.9],
    }
    figure = plots.learning_curves(history)
    loss, auc = figure.axes
    assert [loss.get_title(loc="left"), auc.get_title(loc="left")] == ["Loss", "AUC"]
    assert legend(loss) == ["training", "validation", "best: 0.450 in epoch 2"]
    assert legend(auc)[-1] == "best: 0.900 in epoch 3"
    training, validation = (curves(loss)[name] for name in ("training", "validation"))
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(validation.get_ydata(), history["val_loss"])
    assert (training.get_alpha(), training.get_linestyle()) == (0.45, "--")
    assert (validation.get_alpha(), validation.get_linestyle()) == (None, "-")


def test_without_validation_training_is_solid():
    (ax,) = plots.learning_curves({"loss": [0.5, 0.4]}).axes
    assert curves(ax)["training"].get_linestyle() == "-"
    assert legend(ax) == ["training"]


def test_validation_every_second_epoch_lies_where_it_was():
    _, history = run(None, [None, 0.5, None, 0.4])
    (ax,) = plots.learning_curves(history).axes
    np.testing.assert_array_equal(curves(ax)["validation"].get_xdata(), [2, 4])
    (ax,) = plots.learning_curves(history.history).axes
    np.testing.assert_array_equal(curves(ax)["validation"].get_xdata(), [2, 4])


def test_odd_histories():
    assert len(plots.learning_curves({"loss": [0.5], "val_loss": [np.nan]}).axes) == 1
    figure = plots.learning_curves({"loss": [0.5], "f1_score": [[0.1, 0.2]], "findings": [3.0], "learning_rate": [0.1]})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Loss", "Findings"]
    assert len(plots.learning_curves({name: [1.0, 2.0] for name in ("loss", "a", "b", "c")}).axes) == 6
    with pytest.raises(ValueError, match="at least one finished epoch"):
        plots.learning_curves({})


def test_roc_shows_area_and_threshold():
    (ax,) = plots.roc(LABELS, SCORES, title="Test").axes
    assert legend(ax) == ["guessing: AUC = 0.5", "model: AUC = 0.833", "threshold 0.5"]
    point = curves(ax)["threshold 0.5"]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.5, pytest.approx(2 / 3))
    assert ax.get_title(loc="left") == "Test"


def test_logits_have_no_threshold_of_a_half():
    (ax,) = plots.roc(LABELS, SCORES * 10 - 4).axes
    assert len(legend(ax)) == 2


def test_precision_recall_shows_average_and_share():
    (ax,) = plots.precision_recall(LABELS, SCORES).axes
    assert legend(ax) == ["guessing: precision = 0.60", "model: average precision = 0.917", "threshold 0.5"]


def test_one_class_only_is_said():
    with pytest.raises(ValueError, match="all 2 labels are 1"):
        plots.roc([1, 1], [0.1, 0.2])


def test_confusion_shows_counts_and_parts():
    (ax,) = plots.confusion([[30, 10], [0, 1200]], ["normal", "pneumonia"]).axes
    assert [text.get_text() for text in ax.texts] == ["30\n75.0%", "10\n25.0%", "0\n0.0%", "1,200\n100.0%"]
    assert [text.get_color() for text in ax.texts] == ["white", "#1A1A1A", "#1A1A1A", "white"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["normal", "pneumonia"]


def test_confusion_of_an_absent_class_has_no_part():
    (ax,) = plots.confusion([[0, 0], [1, 3]]).axes
    assert [text.get_text() for text in ax.texts] == ["0", "0", "1\n25.0%", "3\n75.0%"]


def test_confusion_messages():
    with pytest.raises(ValueError, match=r"square matrix of counts but got shape \(2, 3\)"):
        plots.confusion(np.ones((2, 3)))
    with pytest.raises(ValueError, match="got 1 class names for 2 classes"):
        plots.confusion(np.ones((2, 2)), ["normal"])


def test_roc_of_classes_has_a_curve_for_each():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 6
    scores = rng.dirichlet(np.ones(6), 60) + 0.5 * np.eye(6)[labels]
    names = [f"kind {k}" for k in range(6)]
    (ax,) = plots.roc_of_classes(labels, scores, names).axes
    found = legend(ax)
    assert found[0].startswith("guessing") and [line.split(":")[0] for line in found[1:]] == names
    lines = ax.get_lines()[1:]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 6  # told apart without colours too
    with pytest.raises(ValueError, match="2 class names for 6 columns"):
        plots.roc_of_classes(labels, scores, ["a", "b"])
