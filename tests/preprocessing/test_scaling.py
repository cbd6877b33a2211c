"""Scaling: what is learned from the training images is used for all."""

import array_api_strict as strict
import numpy as np
import pytest

from tinymed.preprocessing import scaling

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


def test_scales_come_from_the_training_data_only():
    train, test = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]]), np.array([[100.0, 6.0]])
    scale = scaling.Standardize().fit(train)
    before = scale.mean.copy(), scale.spread.copy()
    assert scale.transform(test).tolist() == [[98.0, 1.0]]
    assert np.array_equal(scale.mean, before[0]) and np.array_equal(scale.spread, before[1])
    assert scale.inverse_transform(scale.transform(test)).tolist() == test.tolist()
    x = np.random.default_rng(0).normal(5, 3, (40, 6, 2))
    z = scaling.Standardize().fit_transform(x)
    assert z.reshape(-1, 2).mean(axis=0) == pytest.approx([0, 0]) and z.reshape(-1, 2).std(axis=0) == pytest.approx(1)


def test_standardising_stays_on_the_device():
    device = strict.Device("device1")
    x = strict.asarray([[1.0], [5.0]], dtype=strict.float32, device=device)
    z = scaling.Standardize().fit([[1.0], [3.0]]).transform(x)
    assert z.device == device and z.dtype == strict.float32
    assert [float(value) for value in (z[0, 0], z[1, 0])] == [-1.0, 3.0]


def test_images_standardised_channel_by_channel():
    scaled = scaling.Standardize().fit_transform(X.astype(float))
    assert np.allclose(scaled.mean(axis=(0, 1, 2)), 0) and np.allclose(scaled.std(axis=(0, 1, 2)), 1)


def test_numbers_that_an_earlier_fit_found():
    scale = scaling.Standardize().fit(X)
    again = scaling.Standardize(scale.mean.tolist(), scale.spread.tolist())
    assert np.array_equal(again.transform(X), scale.transform(X))


@pytest.mark.parametrize(
    "scale, names", [(scaling.MinMax(), ("least", "most")), (scaling.Standardize(), ("mean", "spread"))]
)
def test_before_fit_nothing_is_known(scale, names):
    for name in names:
        with pytest.raises(ValueError, match=r"has learned nothing yet: call fit\(training data\) first"):
            getattr(scale, name)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: scaling.MinMax(1, 0), "low < high, got 1 and 0"),
        (lambda: scaling.MinMax().transform(X), r"learned nothing yet: call fit\(training data\) first"),
        (lambda: scaling.MinMax().fit(np.zeros((0, 3))), r"got shape \(0, 3\)"),
        (lambda: scaling.MinMax().fit([[np.nan]]), "NaN or infinite"),
        (lambda: scaling.MinMax().fit(X).transform(X[..., :1]), r"2 channels but got shape \(6, 5, 4, 1\)"),
        (lambda: scaling.Standardize().transform(np.ones((1, 1))), r"call fit\(training data\) first"),
        (lambda: scaling.Standardize().fit([[1.0]]).transform(np.ones((1, 2))), "fitted to 1 channels"),
        (lambda: scaling.Standardize().fit([[1.0, np.nan]]), "channel 1 has no value"),
        (lambda: scaling.Standardize().fit(np.empty((0, 2))), "at least one value"),
        (lambda: scaling.Standardize([0.0]), "mean and spread together"),
        (lambda: scaling.Standardize([0.0], [0.0]), "positive spread for each mean"),
        (lambda: scaling.Standardize([0.0, 1.0], [1.0]), "positive spread for each mean"),
    ],
)
def test_wrong_use(call, words):
    with pytest.raises(ValueError, match=words):
        call()
