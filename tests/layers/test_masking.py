import numpy as np
import pytest

from tinymed.layers import LSTM, Add, Concatenate, Dense, Embedding, Flatten, Input, Masking, TimeDistributed
from tinymed.models import Model, Sequential

rng = np.random.default_rng(0)


def padded():
    x = rng.standard_normal((4, 6, 2)).astype("float32")
    x[0, 4:] = x[1, 1:] = 0
    return x, np.arange(6)[None, :] < np.array([[4], [1], [6], [6]])


def test_steps_that_equal_the_mask_value_are_left_out():
    x, mask = padded()
    layer = Masking()
    np.testing.assert_array_equal(layer.compute_mask(x), mask)
    np.testing.assert_array_equal(layer(x), x)
    other = Masking(mask_value=-1.0)
    y, cache = other.forward(np.where(mask[..., None], x, -1).astype("float32"))
    np.testing.assert_array_equal(y, x)
    dx, _ = other.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dx[..., 0], mask)


def test_a_mask_reaches_the_recurrent_layer():
    x, mask = padded()
    model = Sequential([Input((6, 2)), Masking(), Dense(3), LSTM(4)])
    inside = model.layers[1](x)
    np.testing.assert_array_equal(model.forward(x)[0], model.layers[2](inside, mask=mask))


def test_a_mask_reaches_a_model_within_a_model_and_comes_out_again():
    x, mask = padded()
    a, b = Input((6, 2)), Input((6, 3))
    middle = Sequential([Input((6, 2)), Dense(3)])
    tail = Model(b, LSTM(4, return_sequences=True)(b))
    model = Model(a, tail(middle(Masking()(a))))
    y, tape = model.forward(x)
    np.testing.assert_array_equal(tape.masks[0], mask)
    np.testing.assert_array_equal(y[0, 4], y[0, 3])
    _, bare = middle.forward(x)
    assert bare.masks == [None]


def test_where_masks_end():
    x, _ = padded()
    model = Sequential([Input((6, 2)), Masking(), Flatten(name="flat"), Dense(1)])
    with pytest.warns(UserWarning, match="flat does not pass masks on"):
        assert model.forward(x)[1].masks == [None]
    model = Sequential([Input((6, 2)), Masking(), LSTM(3), Dense(1)])
    assert model.forward(x)[1].masks == [None]


def test_masks_of_merged_inputs():
    x, mask = padded()
    other = np.ones((4, 6), bool)
    other[2:] = False
    assert Add().compute_mask([x, x], [mask, None]) is None
    np.testing.assert_array_equal(Add().compute_mask([x, x], [mask, other]), mask | other)
    np.testing.assert_array_equal(Concatenate().compute_mask([x, x], [mask, other]), mask | other)
    joined = Concatenate(axis=1).compute_mask([x, x], [mask, None])
    np.testing.assert_array_equal(joined, np.concatenate([mask, np.ones_like(mask)], axis=1))
    assert Concatenate().compute_mask([x, x]) is None


def test_steps_that_are_masked_do_not_count_in_the_loss():
    x, mask = padded()
    y = rng.standard_normal((4, 6, 1)).astype("float32")
    model = Sequential([Input((6, 2)), Masking(), TimeDistributed(Dense(1))])
    model.compile("sgd", "mse")
    errors = (model.predict(x, verbose=0) - y)[..., 0] ** 2
    assert model.evaluate(x, y, verbose=0) == pytest.approx(errors[mask].mean(), rel=1e-5)
    changed = np.where(mask[..., None], y, 1e3).astype("float32")
    assert model.train_on_batch(x, changed) == pytest.approx(errors[mask].mean(), rel=1e-5)


def test_sample_weights_and_masks_together():
    x, mask = padded()
    y = rng.standard_normal((4, 6, 1)).astype("float32")
    weight = np.array([1.0, 2.0, 0.0, 1.0], "float32")
    model = Sequential([Input((6, 2)), Masking(), Dense(1)])
    model.compile("sgd", "mse")
    errors = (model.predict(x, verbose=0) - y)[..., 0] ** 2
    wanted = (errors * mask * weight[:, None]).sum() / mask.sum()
    assert model.evaluate(x, y, sample_weight=weight, verbose=0) == pytest.approx(wanted, rel=1e-5)


def test_zero_may_be_padding():
    ids = np.array([[3, 1, 0, 0], [2, 0, 0, 0]])
    model = Sequential([Input((None,)), Embedding(4, 2, mask_zero=True), LSTM(3)])
    short = model.predict(ids[:1, :2], verbose=0)
    np.testing.assert_allclose(model.predict(ids, verbose=0)[:1], short, rtol=1e-6)
