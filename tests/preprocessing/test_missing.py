"""Missing values: each way against hand-made numbers, and nothing learned from what is only transformed."""

import numpy as np
import pytest

from tinymed.preprocessing import missing

N = np.nan
TABLE = np.array([[1.0, 10.0, 5.0], [3.0, N, 6.0], [N, 30.0, 7.0], [5.0, 50.0, N]])


def related(n, seed, holes=0.25):
    """Rows of four columns that follow from two hidden numbers, whole and with holes."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 2))
    whole = hidden @ np.array([[1.0, 2.0, -1.0, 0.5], [0.5, -1.0, 1.0, 2.0]]) + 0.1 * rng.standard_normal((n, 4))
    whole = whole * [1, 10, 100, 1] + [0, 50, 1000, -3]
    return whole, np.where(rng.random(whole.shape) < holes, N, whole)


def test_rows_are_dropped_and_labels_follow():
    rows = missing.DropRows().fit(TABLE)
    assert rows.transform(TABLE).tolist() == [[1, 10, 5]]
    assert np.arange(4)[rows.kept(TABLE)].tolist() == [0]
    sequences = np.stack([TABLE, np.nan_to_num(TABLE)])  # a whole patient goes if any visit lacks a value
    assert rows.transform(sequences).shape == (1, 4, 3)


def test_columns_are_chosen_by_the_training_data():
    columns = missing.DropColumns(most=0.2).fit([[1.0, N, 1.0], [1.0, 2.0, 1.0]])
    assert columns.kept.tolist() == [True, False, True]
    assert np.array_equal(columns.transform([[N, 2.0, 3.0]]), [[N, 3.0]], equal_nan=True)
    assert missing.DropColumns(most=0.5).fit([[1.0, N], [1.0, 2.0]]).kept.tolist() == [True, True]


def test_means_are_those_of_the_training_data():
    fill = missing.Mean().fit(TABLE)
    assert fill.mean.tolist() == [3, 30, 6]
    test = np.array([[N, 1000.0, N]])
    assert fill.transform(test).tolist() == [[3, 1000, 6]]
    assert fill.mean.tolist() == [3, 30, 6]
    assert np.isnan(test[0, 0])  # the argument is as it was


def test_the_last_value_is_carried_forward_and_nothing_backward():
    fill = missing.LastValue().fit(TABLE)
    x = np.array([[[N, 1.0, N], [2.0, N, N], [N, N, 9.0]]])
    assert fill.transform(x).tolist() == [[[3, 1, 6], [2, 1, 6], [2, 1, 9]]]
    later = x.copy()
    later[0, 2] = 77.0
    assert np.array_equal(fill.transform(later)[0, :2], fill.transform(x)[0, :2])


def test_predicted_values_are_near_the_true_ones():
    _, train = related(400, seed=1)
    whole, holes = related(200, seed=2)
    gaps = np.isnan(holes) & (np.isnan(holes).sum(axis=1, keepdims=True) <= 2)  # two hidden numbers: two can be told
    error = {}
    for name in ("mean", "predicted"):
        filled = missing.get(name).fit(train).transform(holes)
        assert np.array_equal(filled[~np.isnan(holes)], holes[~np.isnan(holes)]) and not np.isnan(filled).any()
        error[name] = np.mean(np.abs((filled - whole) / whole.std(axis=0))[gaps])
    assert error["predicted"] < 0.35 * error["mean"]


def test_a_prediction_is_the_regression_on_the_other_columns():
    """Where only one column has holes, it is ridge regression with an intercept, in closed form."""
    rng = np.random.default_rng(3)
    x = rng.normal(4, 2, (50, 3))
    x[:, 2] = 3 * x[:, 0] - x[:, 1] + 7 + 0.1 * rng.standard_normal(50)
    train = x.copy()
    train[40:, 2] = N
    fill = missing.Predicted(alpha=1e-9).fit(train)
    design = np.column_stack([x[:40, :2], np.ones(40)])
    solution = np.linalg.lstsq(design, x[:40, 2], rcond=None)[0]
    expected = np.column_stack([x[40:, :2], np.ones(10)]) @ solution
    assert fill.transform(train)[40:, 2] == pytest.approx(expected, rel=1e-6)


def test_transforming_teaches_nothing():
    fill = missing.Predicted().fit(related(50, seed=1)[1])
    before = fill.weights.copy(), fill.offsets.copy(), fill.mean.copy()
    _, test = related(20, seed=2)
    one_by_one = np.concatenate([fill.transform(row[None]) for row in test])
    assert fill.transform(test) == pytest.approx(one_by_one, rel=0.02, abs=0.02)
    assert all(np.array_equal(a, b) for a, b in zip(before, (fill.weights, fill.offsets, fill.mean), strict=True))


def test_sequences_and_rows_that_lack_everything():
    _, holes = related(60, seed=5)
    sequences = holes.reshape(10, 6, 4)
    fill = missing.Predicted().fit(sequences)
    assert fill.transform(sequences).reshape(60, 4) == pytest.approx(missing.Predicted().fit_transform(holes))
    empty = fill.transform(np.full((1, 4), N))
    assert empty == pytest.approx(np.nanmean(holes, axis=0)[None], rel=0.3, abs=0.5)
    assert missing.Mean().fit([[1.0, 2.0]]).transform(np.empty((0, 2))).shape == (0, 2)
    assert missing.Predicted().fit([[1.0, 2.0]]).transform(np.empty((0, 2))).shape == (0, 2)


def test_a_column_that_never_changes():
    fill = missing.Predicted().fit([[1.0, 2.0], [1.0, 3.0], [1.0, N]])
    assert fill.transform([[N, 2.5]]).tolist() == [[1.0, 2.5]]
    assert fill.transform([[1.0, N]])[0, 1] == pytest.approx(2.5)


def test_indicators():
    assert missing.indicators([[1.0, N]]).tolist() == [[0.0, 1.0]]
    assert missing.indicators([[1.0, N]]).dtype == np.float32


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: missing.Mean().fit([[1.0, N], [2.0, N]]), "column 1 has no value at all.*DropColumns"),
        (lambda: missing.LastValue().fit([[N]]), "LastValue.fit: column 0"),
        (lambda: missing.Predicted().fit([[N, 1.0]]), "Predicted.fit: column 0"),
        (lambda: missing.Mean().transform([[1.0]]), r"Mean has learned nothing yet: call fit\(training data\)"),
        (lambda: missing.Mean().fit([[1.0]]).transform([[1.0, 2.0]]), r"fitted to 1 columns but got data.*\(1, 2\)"),
        (lambda: missing.Mean().fit([1.0]), "at least one row"),
        (lambda: missing.Mean().fit(np.empty((0, 3))), "at least one row"),
        (lambda: missing.DropColumns(most=1.0), r"must be in \[0, 1\)"),
        (lambda: missing.Predicted(alpha=0), "alpha > 0"),
        (lambda: missing.get("means"), "unknown way to treat missing values 'means'; did you mean 'mean'"),
    ],
)
def test_what_cannot_be_used_is_said(call, words):
    with pytest.raises(ValueError, match=words):
        call()
