"""Dice and Tversky as objects."""

import numpy as np
import pytest

from tinymed import losses

RNG = np.random.default_rng(0)
MASK = (RNG.uniform(size=(3, 4, 4, 1)) > 0.5).astype(np.float32)
P = RNG.uniform(size=MASK.shape).astype(np.float32)


@pytest.mark.parametrize("make", [losses.Dice, losses.Tversky])
def test_masks_with_and_without_channel(make):
    for axis in (None, (1, 2, 3), [1, 2, 3]):
        loss = make(axis=axis)
        value, cache = loss.forward(MASK, P)
        np.testing.assert_allclose(loss(MASK[..., 0], P), value)
        assert value.shape == () and loss.backward(cache).shape == P.shape
        without, cache = loss.forward(MASK, P[..., 0])
        np.testing.assert_allclose(without, value)
        assert loss.backward(cache).shape == P.shape[:-1]


def test_weights_of_images():
    loss, w = losses.Dice(axis=(1, 2, 3)), np.array([1.0, 0.0, 2.0])
    value, cache = loss.forward(MASK, P, w)
    np.testing.assert_allclose(value, np.mean(w * losses.dice(MASK, P, axis=(1, 2, 3))), rtol=1e-6)
    gradient = loss.backward(cache)
    assert np.all(gradient[1] == 0) and np.abs(gradient[2]).max() > 0


def test_one_value_for_the_batch_is_multiplied_by_the_mean_weight():
    value, cache = (loss := losses.Dice()).forward(MASK, P, np.array([1.0, 2.0, 6.0]))
    np.testing.assert_allclose(value, 3 * loss(MASK, P), rtol=1e-6)
    np.testing.assert_allclose(loss.backward(cache), 3 * loss.backward(loss.forward(MASK, P)[1]), rtol=1e-6)


def test_targets_are_masks():
    with pytest.raises(
        ValueError, match=r"dice expects targets between 0 and 1 but got the values 0, 255; .*\(y > 127\)"
    ):
        losses.Dice().check_targets((MASK * 255).astype(np.uint8), (None, 4, 4, 1))
    with pytest.raises(ValueError, match=r"tversky expects targets of shape \(N, 8, 8, 1\) .* same height, width"):
        losses.Tversky().check_targets(MASK, (None, 8, 8, 1))


# --- with cross-entropy ----------------------------------------------------------------------------------------

LABELS = RNG.integers(0, 3, (2, 4, 5))
LOGITS = RNG.standard_normal((2, 4, 5, 3))


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("background", [False, True])
def test_dice_and_crossentropy_add_up(background):
    p, hot = softmax(LOGITS), np.eye(3)[LABELS]
    entropy = -np.log(np.take_along_axis(p, LABELS[..., None], -1)).mean()
    dice = [
        (2 * (p[..., c] * hot[..., c]).sum() + 0.5) / (p[..., c].sum() + hot[..., c].sum() + 0.5)
        for c in range(0 if background else 1, 3)
    ]
    loss = losses.DiceCrossentropy(dice_weight=0.7, smooth=0.5, background=background)
    wanted = entropy + 0.7 * (1 - np.mean(dice))
    np.testing.assert_allclose(loss(LABELS, p), wanted)
    np.testing.assert_allclose(loss(LABELS[..., None].astype("float32"), p), wanted)
    np.testing.assert_allclose(loss.with_logits()(LABELS, LOGITS), wanted)
    assert loss.with_logits().get_config() == {**loss.get_config(), "from_logits": True}


def test_on_logits_the_gradient_is_that_through_the_softmax():
    loss, p = losses.DiceCrossentropy(), softmax(LOGITS)
    dp = loss.backward(loss.forward(LABELS, p)[1])
    through = p * (dp - (dp * p).sum(-1, keepdims=True))
    exact = loss.with_logits()
    np.testing.assert_allclose(exact.backward(exact.forward(LABELS, LOGITS)[1]), through, atol=1e-14)
    sure = np.array([[[[60.0, -60.0]]]])  # as wrong as float64 can say: on probabilities nothing would be left
    gradient = exact.backward(exact.forward(np.ones((1, 1, 1)), sure)[1])
    np.testing.assert_allclose(gradient, [[[[1.0, -1.0]]]], atol=1e-9)


def test_a_class_that_is_nowhere_costs_nothing():
    empty, sure = np.zeros((1, 4, 4)), np.zeros((1, 4, 4, 3))
    sure[..., 0] = 1
    value, cache = (loss := losses.DiceCrossentropy()).forward(empty, sure)
    assert value == pytest.approx(0, abs=1e-6)
    assert np.isfinite(loss.backward(cache)).all()
    with pytest.raises(ValueError, match="smooth above 0"):
        losses.DiceCrossentropy(smooth=0)


def test_a_model_trains_on_its_logits():
    from tinymed.layers import Conv2D
    from tinymed.models import Sequential

    model = Sequential([Conv2D(3, 1, activation="softmax", input_shape=(4, 5, 2))])
    model.compile("adam", "dice_crossentropy")
    assert isinstance(losses.get("DiceCrossentropy"), losses.DiceCrossentropy)
    before = model.evaluate(x := RNG.standard_normal((2, 4, 5, 2)), LABELS, verbose=0)
    model.fit(x, LABELS, epochs=20, verbose=0)
    assert model._objective.fused == [True]
    assert model.evaluate(x, LABELS, verbose=0) < before
    with pytest.raises(ValueError, match="class numbers from 0 to 2, for the 3 classes"):
        model.fit(x, LABELS + 1, verbose=0)


def test_masks_of_another_size():
    with pytest.raises(ValueError, match=r"dice_crossentropy expects targets of shape \(N, 8, 8\)"):
        losses.DiceCrossentropy().check_targets(LABELS, (None, 8, 8, 3))
