"""Scaling: what is learned from the training images is used for all."""

import array_api_strict as strict
import numpy as np
import pytest

from tinymed.preprocessing import scaling, signal

X = np.random.default_rng(0).uniform(-3, 9, (6, 5, 4, 2)).astype(np.float32)


def test_each_channel_is_mapped_to_the_range():
    scaled = scaling.MinMax(-1, 1).fit_transform(X)
    assert scaled.dtype == np.float32 and scaled.shape == X.shape
    assert np.allclose(scaled.min(axis=(0, 1, 2)), -1) and np.allclose(scaled.max(axis=(0, 1, 2)), 1)


def test_nothing_is_learned_from_what_is_transformed():
    scale = scaling.MinMax().fit(X)
    assert np.allclose(scale.transform(X + 100) - scale.transform(X), 100 / (scale.most - scale.least))
    cut = scaling.MinMax(clip=True).fit(X).transform(X + 100)
    assert cut.min() == cut.max() == 1
    assert np.allclose(scale.inverse_transform(scale.transform(X)), X, atol=1e-5)


def test_a_channel_that_never_changes():
    constant = np.full((3, 2), 7.0)
    assert (scaling.MinMax().fit_transform(constant) == 0).all()


def test_whole_numbers_and_other_devices():
    scale = scaling.MinMax().fit(np.array([[0], [255]], np.uint8))
    assert scale.transform(np.array([[51]], np.uint8)).tolist() == [[pytest.approx(0.2)]]
    device = strict.Device("device1")
    moved = scaling.MinMax().fit(X).transform(strict.asarray(X, device=device))
    assert moved.device == device and moved.dtype == strict.float32


def test_standardize_is_the_one_for_signals():
    assert scaling.Standardize is signal.Standardize
    scaled = scaling.Standardize().fit_transform(X.astype(float))
    assert np.allclose(scaled.mean(axis=(0, 1, 2)), 0) and np.allclose(scaled.std(axis=(0, 1, 2)), 1)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: scaling.MinMax(1, 0), "low < high, got 1 and 0"),
        (lambda: scaling.MinMax().transform(X), r"learned nothing yet: call fit\(training data\) first"),
        (lambda: scaling.MinMax().fit(np.zeros((0, 3))), r"got shape \(0, 3\)"),
        (lambda: scaling.MinMax().fit([[np.nan]]), "NaN or infinite"),
        (lambda: scaling.MinMax().fit(X).transform(X[..., :1]), r"2 channels but got shape \(6, 5, 4, 1\)"),
    ],
)
def test_wrong_use(call, words):
    with pytest.raises(ValueError, match=words):
        call()
