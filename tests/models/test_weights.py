"""Weights go from file to network: in order, or by the names of the layers; what does not fit is said, or skipped."""

import numpy as np
import pytest

from tinymed.layers import BatchNormalization, Conv2D, Dense, Flatten, Input
from tinymed.models import Model, Sequential, load_model
from tinymed.models.weights import load_weights


def network(classes=1, names=("stem", "norm", "head"), filters=4):
    x = Input((6, 6, 1))
    h = Conv2D(filters, 3, name=names[0])(x)
    h = BatchNormalization(name=names[1])(h)
    return Model(x, Dense(classes, name=names[2])(Flatten()(h)))


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_round_trip_in_order_whatever_the_names(tmp_path):
    one, other = network(), network(names=("a", "b", "c"))
    one.get_layer("norm").state["moving_mean"] += 3
    one.save_weights(tmp_path / "w.safetensors")
    assert not equal(one, other)
    other.load_weights(tmp_path / "w.safetensors")
    assert equal(one, other)


def test_a_model_file_serves_too(tmp_path):
    one, other = network(), network()
    one.compile("adam", "mse")
    one.fit(np.ones((4, 6, 6, 1)), np.ones(4), epochs=1, verbose=0)
    one.save(tmp_path / "m")
    other.load_weights(tmp_path / "m")
    assert equal(one, other)


def test_by_name_leaves_a_new_head_alone(tmp_path):
    one, other = network(), network(classes=3, names=("stem", "norm", "new_head"))
    head = other.get_layer("new_head").get_weights()
    one.save_weights(tmp_path / "w")
    other.load_weights(tmp_path / "w", by_name=True)
    for name in ("stem", "norm"):
        for a, b in zip(one.get_layer(name).get_weights(), other.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(head, other.get_layer("new_head").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_shape_is_an_error_or_skipped_with_a_warning(tmp_path):
    one, other = network(), network(classes=3)
    one.save_weights(tmp_path / "w")
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"'head/kernel' has shape \(64, 1\) .* needs \(64, 3\); skip_mismatch"):
        other.load_weights(tmp_path / "w", by_name=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))  # nothing is half done
    with pytest.warns(UserWarning, match="weight .head/") as seen:
        other.load_weights(tmp_path / "w", by_name=True, skip_mismatch=True)
    assert len(seen) == 2  # kernel and bias
    np.testing.assert_array_equal(one.get_layer("stem").get_weights()[0], other.get_layer("stem").get_weights()[0])


def test_nested_models_have_paths(tmp_path):
    def outer(head):
        inner = Sequential([Dense(3, input_shape=(2,), name="hidden")], name="inner")
        return Sequential([inner, Dense(1, name=head)])

    one, other = outer("head"), outer("another")
    one.save_weights(tmp_path / "w")
    other.load_weights(tmp_path / "w", by_name=True)
    assert np.array_equal(one.layers[0].get_weights()[0], other.layers[0].get_weights()[0])
    assert not np.array_equal(one.layers[1].get_weights()[0], other.layers[1].get_weights()[0])


def test_what_does_not_fit_is_named(tmp_path):
    network().save_weights(tmp_path / "w")
    small = Sequential([Flatten(input_shape=(6, 6, 1)), Dense(1, name="only")])
    with pytest.raises(ValueError, match=r"has 8 weights but the model has 2; by_name=True"):
        small.load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match=r"no layer of the model has a name .*'only'.*'head'"):
        small.load_weights(tmp_path / "w", by_name=True)
    with pytest.raises(ValueError, match=r"has shape \(3, 3, 1, 4\) but the model needs \(3, 3, 1, 5\)"):
        network(filters=5).load_weights(tmp_path / "w")
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        small.load_weights(tmp_path / "none")
    with pytest.raises(ValueError, match="holds weights only; build the model"):
        load_model(tmp_path / "w")
    unbuilt = Sequential([Dense(1)])
    with pytest.raises(ValueError, match="has no weights yet"):
        unbuilt.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="has no weights yet"):
        load_weights(unbuilt, tmp_path / "w")
    without_bias = Sequential([Dense(2, input_shape=(3,), use_bias=False, name="d")])
    without_bias.save_weights(tmp_path / "b")
    with pytest.raises(ValueError, match="has the layer 'd' but not its weight 'bias'"):
        Sequential([Dense(2, input_shape=(3,), name="d")]).load_weights(tmp_path / "b", by_name=True)


def test_training_goes_on_from_loaded_weights_with_the_first_layers_frozen(tmp_path):
    one = network()
    one.save_weights(tmp_path / "w")
    other = network(classes=2, names=("stem", "norm", "new"))
    other.load_weights(tmp_path / "w", by_name=True)
    for layer in other.layers[:-1]:
        layer.trainable = False
    other.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 6, 6, 1)), rng.random((8, 2))
    before = other.get_weights()
    other.fit(x, y, epochs=2, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True)]
    assert changed == [False] * 6 + [True, True]  # the moving averages of the frozen normalisation too
    other.trainable = True  # all together now, with the optimizer that there is
    other.fit(x, y, epochs=1, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True)]
    assert all(changed)
