"""Cross-validation: every fold from scratch, nothing of a test sample in training; planted leaks are caught."""

import numpy as np
import pytest

from tinymed import backend
from tinymed.layers import Dense, Input
from tinymed.metrics import roc_auc
from tinymed.models import Model, Sequential
from tinymed.optimizers import SGD
from tinymed.validation import cross_validate, k_fold, repeated


def build(units=2):
    model = Sequential([Dense(1, activation="sigmoid", input_shape=(units,))])
    model.compile(SGD(1.0), "binary_crossentropy")
    return model


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return (rng.standard_normal((n, 2)) + 1.5 * y[:, None]).astype("float32"), y


def test_mean_spread_and_predictions_of_unseen_samples():
    x, y = data()
    told = []
    result = cross_validate(
        build, x, y, folds=4, metrics={"auc": roc_auc}, fit={"epochs": 5}, each=lambda i, r: told.append((i, r))
    )
    assert len(result.folds) == 4
    assert [i for i, _ in told] == [0, 1, 2, 3]
    areas = [fold["auc"] for fold in result.folds]
    assert result.mean["auc"] == pytest.approx(np.mean(areas))
    assert result.spread["auc"] == pytest.approx(np.std(areas, ddof=1))
    assert str(result) == f"auc {np.mean(areas):.3f} ± {np.std(areas, ddof=1):.3f} (4 folds)"
    assert result.predictions.shape == (60, 1)
    for number in range(4):
        test = result.fold_of == number
        assert roc_auc(y[test], result.predictions[test]) == areas[number]
        assert y[test].mean() == pytest.approx(0.5, abs=0.07)
    assert result.mean["auc"] > 0.75


def test_same_seeds_same_bits():
    x, y = data()
    results = []
    for _ in range(2):
        backend.set_seed(3)
        results.append(cross_validate(build, x, y, metrics={"auc": roc_auc}, fit={"epochs": 1}).predictions)
    assert np.array_equal(*results)


def test_a_patient_who_is_in_both_parts_makes_a_memory_look_like_knowledge():
    """Labels are random for each patient: nothing can be learnt but who it is. Only groups= shows that."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 4)
    y = np.repeat(rng.permutation(np.arange(60) % 2), 4)
    x = (rng.standard_normal((60, 40))[groups] + 0.1 * rng.standard_normal((240, 40))).astype("float32")

    def memory():
        model = Sequential([Dense(64, activation="relu", input_shape=(40,)), Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy")
        return model

    options = {"metrics": {"auc": roc_auc}, "fit": {"epochs": 40}, "folds": 3}
    assert cross_validate(memory, x, y, **options).mean["auc"] > 0.9
    assert cross_validate(memory, x, y, groups=groups, **options).mean["auc"] < 0.7


def test_planted_leaks_are_caught():
    x, y = data(12)
    options = {"metrics": {"auc": roc_auc}}
    leaky = [(np.arange(8), np.arange(7, 12)), (np.arange(4, 12), np.arange(4))]
    with pytest.raises(ValueError, match="sample 7 is to train on and to test on"):
        cross_validate(build, x, y, folds=leaky, **options)
    by_sample = k_fold(12, 2, labels=y)
    with pytest.raises(ValueError, match="the split leaks"):
        cross_validate(build, x, y, folds=by_sample, groups=np.repeat([1, 2, 3], 4), **options)
    one = build()
    with pytest.raises(ValueError, match="an earlier fold has trained"):
        cross_validate(lambda: one, x, y, folds=2, **options)
    shared = Dense(3, activation="relu")

    def with_shared_layer():
        start = Input((2,))
        model = Model(start, Dense(1, activation="sigmoid")(shared(start)))
        model.compile("sgd", "binary_crossentropy")
        return model

    with pytest.raises(ValueError, match="an earlier fold has trained"):
        cross_validate(with_shared_layer, x, y, folds=2, **options)


def test_copies_of_a_sample_warn_and_can_be_kept_together():
    x, y = data(40)
    x[::4] = x[1::4]
    y[::4] = y[1::4]
    options = {"metrics": {"auc": roc_auc}, "folds": 2}
    with pytest.warns(UserWarning, match="test samples are equal to a training sample"):
        cross_validate(build, x, y, **options)
    cross_validate(build, x, y, groups=repeated(x), **options)  # a warning would be an error


def test_preparation_sees_training_samples_only():
    x, y = data(20)
    seen = []

    class Scale:
        def fit(self, part):
            seen.append(part.copy())
            self.mean = part.mean(axis=0)

        def transform(self, part):
            return part - self.mean

    trained = []

    def fit(model, xs, ys):
        trained.append(xs)

    result = cross_validate(build, x, y, folds=2, prepare=Scale, fit=fit, metrics={"auc": roc_auc})
    for number in range(2):
        np.testing.assert_array_equal(seen[number], x[result.fold_of != number])
        np.testing.assert_allclose(trained[number].mean(axis=0), 0, atol=1e-6)


def test_labels_one_hot_or_continuous():
    x, y = data(20)

    def two():
        model = Sequential([Dense(2, activation="softmax", input_shape=(2,))])
        model.compile("sgd", "categorical_crossentropy")
        return model

    one_hot = np.eye(2)[y]
    result = cross_validate(two, x, one_hot, folds=2, metrics={"auc": roc_auc})
    assert result.predictions.shape == (20, 2)

    def line():
        model = Sequential([Dense(1, input_shape=(2,))])
        model.compile("sgd", "mse")
        return model

    error = {"mae": lambda true, found: float(np.mean(np.abs(true - found[:, 0])))}
    assert cross_validate(line, x, x.sum(axis=1) + 0.5, folds=2, metrics=error).mean["mae"] > 0


def test_what_does_not_fit_is_said():
    x, y = data(12)
    with pytest.raises(ValueError, match="12 samples but 11 labels"):
        cross_validate(build, x, y[:-1], metrics={"auc": roc_auc})
    with pytest.raises(ValueError, match="needs metrics"):
        cross_validate(build, x, y, metrics={})
    with pytest.raises(ValueError, match="at least two folds, got 1"):
        cross_validate(build, x, y, folds=[(np.arange(6), np.arange(6, 12))], metrics={"auc": roc_auc})
