"""A new head on a network with batch normalisation, frozen and then fine-tuned, against Keras, weight by weight."""

import numpy as np
import pytest

import tinymed
from tests.peers.compare import assert_close


def base(library):
    layers = library.layers
    x = library.Input((8, 8, 2))
    h = layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(x)
    h = layers.Activation("relu", name="relu")(layers.BatchNormalization(momentum=0.9, name="norm")(h))
    shortcut = h
    h = layers.Conv2D(4, 3, padding="same", name="branch", kernel_regularizer="l2")(h)
    h = layers.Add(name="sum")([h, shortcut])
    h = layers.GlobalAveragePooling2D(name="pool")(h)
    return library.Model(x, layers.Dense(3, activation="softmax", name="head")(h))


def fit(model, x, y, epochs):
    return model.fit(x, y, epochs=epochs, batch_size=8, shuffle=False, verbose=0).history


@pytest.mark.parametrize("frozen", [["stem", "norm", "branch"], ["norm"], ["stem"]])
def test_freeze_train_the_head_then_everything(frozen, keras):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 8, 8, 2)).astype("float32")
    y = rng.integers(0, 2, (32, 1)).astype("float32")
    first = rng.integers(0, 3, 32)
    weights, histories = None, []
    for library in (tinymed, keras):
        old = base(library)
        if weights is None:
            weights = old.get_weights()
        old.set_weights(weights)
        old.compile(optimizer=library.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
        fit(old, x, first, 1)  # so that the moving averages are no longer 0 and 1
        head = library.layers.Dense(1, activation="sigmoid", name="new", kernel_initializer="ones")
        model = library.Model(old.input, head(old.get_layer("pool").output))
        for name in frozen:
            model.get_layer(name).trainable = False
        model.compile(optimizer=library.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
        seen = [fit(model, x, y, 2), [np.asarray(w) for w in model.get_weights()]]
        for name in frozen:
            model.get_layer(name).trainable = True
        model.compile(optimizer=library.optimizers.SGD(0.01), loss="binary_crossentropy", metrics=["accuracy"])
        seen += [fit(model, x, y, 1), [np.asarray(w) for w in model.get_weights()]]
        histories.append(seen)
    ours, theirs = histories
    for mine, other in ((ours[0], theirs[0]), (ours[2], theirs[2])):
        for key, values in other.items():
            np.testing.assert_allclose(mine[key], values, atol=5e-3, err_msg=key)
    for mine, other in ((ours[1], theirs[1]), (ours[3], theirs[3])):
        for place, (a, b) in enumerate(zip(mine, other, strict=True)):
            assert_close(a, b, 2e-3, f"weight {place}")
