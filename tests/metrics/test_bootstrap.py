"""Bootstrap intervals: against SciPy, against known coverage, by patient, and the same for the same seed."""

import numpy as np
import pytest
from scipy import stats

from tinymed.metrics import bootstrap, roc_auc


def mean_of(true, predicted):
    return float(np.mean(predicted))


def test_percentile_and_bca_are_scipy_s():
    x = np.random.default_rng(0).exponential(size=40)
    for method in ("percentile", "bca"):
        ours = bootstrap(mean_of, x, x, samples=20_000, method=method)
        theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1))
        assert ours.value == pytest.approx(x.mean())
        assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
        assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_bca_moves_the_ends_for_a_skewed_metric():
    x = np.random.default_rng(0).exponential(size=40)
    plain, moved = (bootstrap(mean_of, x, x, method=method, seed=3) for method in ("percentile", "bca"))
    assert moved.low > plain.low
    assert moved.high > plain.high


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(120):
        x = rng.standard_normal(40)
        found = bootstrap(mean_of, x, x, level=0.8, samples=200, seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.8 - 4 * (0.8 * 0.2 / 120) ** 0.5 < hits / 120 < 0.8 + 4 * (0.8 * 0.2 / 120) ** 0.5


def test_images_of_one_patient_are_drawn_together():
    """Ten copies of each value say no more than one: with groups the interval is as wide as without copies."""
    x = np.random.default_rng(3).standard_normal(30)
    alone = bootstrap(mean_of, x, x, samples=4000)
    copies, patients = np.repeat(x, 10), np.repeat(np.arange(30), 10)
    naive = bootstrap(mean_of, copies, copies, samples=1000)
    grouped = bootstrap(mean_of, copies, copies, groups=patients, samples=4000)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert naive.high - naive.low < 0.45 * (alone.high - alone.low)


def test_same_seed_same_interval_and_how_it_prints():
    y = np.tile([0, 1], 50)
    scores = np.random.default_rng(0).random(100) + 0.4 * y
    first, again, other = (bootstrap(roc_auc, y, scores, samples=200, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.numbers() != other.numbers()
    assert first.low < first.value < first.high
    assert str(first) == f"{first.value:.3f} (95 % interval {first.low:.3f} to {first.high:.3f})"


def test_draws_on_which_a_metric_is_not_defined_are_left_out():
    y = np.array([1] + [0] * 5)
    found = bootstrap(roc_auc, y, [0.9, 0.1, 0.2, 0.3, 0.95, 0.4], samples=300)
    assert 150 < found.drawn < 300  # one positive in six is missed by about a third of the draws
    with pytest.raises(ValueError, match="defined on 0 of 100 draws only"):
        bootstrap(lambda t, p: 1.0 if len(np.unique(p)) == len(p) else float("nan"), y, np.arange(6.0), samples=100)


def test_a_metric_that_never_moves_has_an_interval_of_a_point():
    y = np.tile([0, 1], 20)
    found = bootstrap(roc_auc, y, y.astype(float), samples=100)
    assert found.numbers() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "level must lie between 0 and 1"),
        ({"method": "t"}, "choose 'bca' or 'percentile'"),
        ({"samples": 10}, "at least 50 draws, got samples=10"),
        ({"groups": ["a"] * 4}, "at least two groups to draw from, got 1"),
        ({"groups": ["a"] * 3}, "3 groups for 4 samples"),
    ],
)
def test_what_cannot_be_used_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(mean_of, np.arange(4), np.arange(4.0), **options)
    with pytest.raises(ValueError, match="4 labels but 3 predictions"):
        bootstrap(mean_of, np.arange(4), np.arange(3.0))
    with pytest.raises(ValueError, match="the metric is nan"):
        bootstrap(lambda t, p: float("nan"), np.arange(4), np.arange(4.0))
