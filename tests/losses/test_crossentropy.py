"""Cross-entropy objects: fusing, ignoring, smoothing."""

import numpy as np
import pytest

from tinymed import losses, ops

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((6, 3))
LABELS = np.array([0, 2, 1, 1, 0, 2])
HOT = np.eye(3)[LABELS]

TWINS = [
    (losses.BinaryCrossentropy(label_smoothing=0.1), HOT),
    (losses.BinaryFocalCrossentropy(True, alpha=0.3, gamma=1.5), HOT),
    (losses.CategoricalCrossentropy(label_smoothing=0.1, reduction="sum"), HOT),
    (losses.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.7]), HOT),
    (losses.SparseCategoricalCrossentropy(ignore_class=2), LABELS),
]


@pytest.mark.parametrize("loss, y", TWINS)
def test_the_twin_on_logits_has_the_same_value_and_gradient(loss, y):
    forward = getattr(ops, loss.fuses_with)
    backward = getattr(ops, f"{loss.fuses_with}_backward")
    p, tape = forward(Z)
    value, cache = loss.forward(y, p)
    twin = loss.with_logits()
    fused, fused_cache = twin.forward(y, Z)
    np.testing.assert_allclose(fused, value, rtol=1e-6)
    np.testing.assert_allclose(twin.backward(fused_cache), backward(loss.backward(cache), tape), rtol=1e-6, atol=1e-9)
    assert twin.fuses_with is None and twin.from_logits
    assert {**twin.get_config(), "from_logits": False} == loss.get_config()


def test_ignored_class_is_left_out_of_the_mean():
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    keep = LABELS != 2
    plain = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(loss(LABELS, Z), plain(LABELS[keep], Z[keep]))
    assert loss(np.full(6, 2), Z) == 0
    values = losses.sparse_categorical_crossentropy(LABELS, Z, from_logits=True, ignore_class=2)
    assert (values == 0).tolist() == (~keep).tolist()
    w = np.arange(1.0, 7.0)
    mean = losses.SparseCategoricalCrossentropy(True, 2, reduction="mean_with_sample_weight")
    weighted = losses.SparseCategoricalCrossentropy(True, reduction="mean_with_sample_weight")
    np.testing.assert_allclose(mean(LABELS, Z, w), weighted(LABELS[keep], Z[keep], w[keep]))


@pytest.mark.parametrize(
    "labels", [LABELS[:, None], LABELS.astype(np.uint8), LABELS.astype(np.float32), LABELS.tolist()]
)
def test_class_numbers_of_any_kind(labels):
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(loss(labels, Z), losses.CategoricalCrossentropy(from_logits=True)(HOT, Z))


def test_label_maps_with_and_without_channel():
    z = RNG.standard_normal((2, 4, 5, 3))
    labels = RNG.integers(0, 3, (2, 4, 5))
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(loss(labels, z), loss(labels[..., None], z))
    _, cache = losses.BinaryCrossentropy(from_logits=True).forward(labels == 1, z[..., :1])
    assert losses.BinaryCrossentropy(from_logits=True).backward(cache).shape == (2, 4, 5, 1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: losses.BinaryCrossentropy(label_smoothing=1.5), "label_smoothing between 0 and 1 but got 1.5"),
        (lambda: losses.CategoricalCrossentropy(axis=1), "works along the last axis but got axis=1"),
        (lambda: losses.SparseCategoricalCrossentropy()(HOT, Z), "seem to be one-hot: use loss='categorical_cross"),
        (lambda: losses.CategoricalCrossentropy()(LABELS, Z), "seem to be class numbers: use loss='sparse_categ"),
        (lambda: losses.BinaryCrossentropy()(LABELS, Z), "the model answers with 3 values for each sample"),
    ],
)
def test_mistakes_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()
