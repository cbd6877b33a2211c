"""Phantoms: the right form, the same every time, and a task that can be learned but not by brightness alone."""

import numpy as np
import pytest

from tinymed.datasets import phantoms


@pytest.fixture(scope="module")
def drawn():
    return phantoms.nodules(256, seed=3)


def test_form(drawn):
    x, y = drawn
    assert x.shape == (256, 64, 64, 3)
    assert x.dtype == np.float32
    assert y.shape == (256,)
    assert y.dtype == np.int64
    assert np.isfinite(x).all()
    assert x.min() >= 0
    assert x.max() <= 1
    assert y.sum() == 128


def test_same_seed_same_bits_and_a_larger_draw_begins_with_the_smaller(drawn):
    x, y = phantoms.nodules(70, seed=3)
    assert np.array_equal(x, drawn[0][:70])
    assert np.array_equal(y, drawn[1][:70])


def test_seeds_differ(drawn):
    x, _ = phantoms.nodules(64, seed=4)
    assert not np.array_equal(x, drawn[0][:64])
    assert not np.array_equal(drawn[0][:64], drawn[0][64:128])  # nor do blocks repeat


def test_global_random_state_is_left_alone():
    np.random.seed(1)  # noqa: NPY002 (the old global generator is what must not change)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    phantoms.nodules(2, seed=0)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_intensities_are_those_of_a_lung(drawn):
    low, high = phantoms.WINDOW
    hu = np.median(drawn[0], axis=(1, 2, 3)) * (high - low) + low
    lung = hu[hu < -500]  # the others are mostly chest wall
    assert len(lung) > 180
    assert -890 < np.median(lung) < -820


def test_neighbouring_slices_are_alike_but_not_equal(drawn):
    x, _ = drawn
    near = np.mean([np.corrcoef(p[..., 0].ravel(), p[..., 1].ravel())[0, 1] for p in x])
    far = np.mean([np.corrcoef(p[..., 0].ravel(), p[..., 2].ravel())[0, 1] for p in x])
    assert 0.3 < far < near < 0.98


def test_nodules_are_seen_where_they_are_painted(drawn):
    """Patches with a nodule are brighter in their middle; brightness alone does not decide, though."""
    x, y = drawn
    middle = x[:, 20:44, 20:44, 1].mean(axis=(1, 2))
    order = np.argsort(middle)
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    ill = y == 1
    auc = (ranks[ill].sum() - ill.sum() * (ill.sum() + 1) / 2) / (ill.sum() * (~ill).sum())
    assert 0.55 < auc < 0.88


def test_number_of_patches():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        phantoms.nodules(0)
