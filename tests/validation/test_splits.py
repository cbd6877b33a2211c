"""Splits: every sample once, classes even, patients whole, and the same split for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.validation import k_fold, train_val_test


def covers_once(folds, n):
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(n))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(n))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(20, 90), st.floats(0.2, 0.8), st.integers(0, 99))
def test_stratified_folds_have_the_classes_evenly(folds, n, share, seed):
    labels = (np.arange(n) < share * n).astype(int)
    if min(labels.sum(), n - labels.sum()) < folds:
        return
    made = k_fold(n, folds, labels=labels, seed=seed)
    covers_once(made, n)
    for number in (0, 1):
        counts = [int((labels[test] == number).sum()) for _, test in made]
        assert max(counts) - min(counts) <= 1
    sizes = [len(test) for _, test in made]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(12, 40), st.integers(0, 99), st.booleans())
def test_no_patient_is_on_both_sides(folds, patients, seed, stratify):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.full(rng.integers(1, 6), f"p{i:02}") for i in range(patients)])
    ill = np.arange(patients) % 2
    labels = np.repeat(ill, [np.sum(groups == f"p{i:02}") for i in range(patients)])
    order = rng.permutation(len(groups))
    groups, labels = groups[order], labels[order]
    made = k_fold(len(groups), folds, labels=labels if stratify else None, groups=groups, seed=seed)
    covers_once(made, len(groups))
    for train, test in made:
        assert not set(groups[train]) & set(groups[test])
        assert len(test)
    if stratify:  # by whole patients of up to five samples it can only be roughly even
        shares = [labels[test].mean() for _, test in made]
        assert max(abs(share - labels.mean()) for share in shares) <= 6 * folds / len(groups) + 0.05


def test_grouped_parts_have_about_the_same_size():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), rng.integers(1, 9, 60))
    sizes = [len(test) for _, test in k_fold(len(groups), 5, groups=groups)]
    assert max(sizes) - min(sizes) <= 4


def test_same_seed_same_split():
    labels = np.arange(30) % 3
    first, again, other = (k_fold(30, 3, labels=labels, seed=seed) for seed in (4, 4, 5))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))


def test_train_val_test_keeps_shares_classes_and_patients():
    labels = np.array([0] * 70 + [1] * 30)
    parts = train_val_test(100, (0.6, 0.2, 0.2), labels=labels, seed=2)
    assert [len(part) for part in parts] == [60, 20, 20]
    assert [int(labels[part].sum()) for part in parts] == [18, 6, 6]
    groups = np.repeat(np.arange(25), 4)
    parts = train_val_test(100, labels=np.repeat(np.arange(25) % 2, 4), groups=groups)
    owners = [set(groups[part]) for part in parts]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    assert len(parts[0]) > 60


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: k_fold(10, 1), "folds must be a whole number from 2, got 1"),
        (lambda: k_fold(3, 4), "3 samples cannot be split into 4 folds"),
        (lambda: k_fold(6, 3, labels=list("aaaabb")), "2 samples of class b only, too few for 3 folds"),
        (lambda: k_fold(6, 3, groups=[1, 1, 1, 2, 2, 2]), "2 groups only, too few for 3 folds"),
        (
            lambda: k_fold(6, 2, labels=[0, 0, 0, 0, 1, 1], groups=[1, 1, 2, 2, 3, 3]),
            "1 groups of class 1 only, too few for 2 folds",
        ),
        (lambda: k_fold(4, 2, labels=[0, 1]), r"one entry for each of the 4 samples, got shape \(2,\)"),
        (lambda: k_fold(2, 2, labels=[[0, 1], [1, 0]]), "for one-hot labels apply argmax first"),
        (lambda: train_val_test(9, (0.5, 0.6)), "positive shares that add up to 1"),
        (lambda: train_val_test(9, (1.0,)), "positive shares that add up to 1"),
    ],
)
def test_what_cannot_be_split_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_labels_may_be_a_column():
    column = np.array([[0], [1]] * 4)
    for _, test in k_fold(8, 2, labels=column):
        assert column[test].sum() == 2
