"""Activation functions against Keras, with their own arguments, and far from zero."""

import numpy as np
import pytest

from tests.peers.compare import OUTPUTS, Row, assert_close
from tests.peers.layer_rows import ACTIVATIONS
from tinymed import activations


def row(cls, **kwargs):
    return Row(cls, kwargs)


ROWS = [
    *(row(name) for name in ACTIVATIONS),
    row("relu", negative_slope=0.1),
    row("relu", max_value=1.5),
    row("relu", threshold=0.5),
    row("relu", negative_slope=0.1, max_value=1.5, threshold=0.5),
    row("leaky_relu", negative_slope=0.05),
    row("elu", alpha=0.7),
    row("gelu", approximate=True),
    row("softmax", axis=1),
    row("log_softmax", axis=1),
]
X = np.concatenate([np.linspace(-6, 6, 60), [-80.0, -20.0, -1e-4, 1e-4, 20.0, 80.0]]).reshape(2, 3, 11)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_values_are_keras_s(row, keras):
    x = X.astype("float32")
    got = getattr(activations, row.cls)(x, **row.kwargs)
    expected = getattr(keras.activations, row.cls)(x, **row.kwargs)
    assert got.dtype == np.float32
    # Each value by itself, so that the exponential's largest does not hide the others.
    assert got == pytest.approx(np.asarray(expected), rel=OUTPUTS, abs=1e-6)
    assert_close(got, expected, OUTPUTS, row.cls)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    import inspect

    ours = inspect.signature(getattr(activations, name)).parameters
    theirs = inspect.signature(getattr(keras.activations, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


def test_every_activation_is_compared():
    assert {*activations._FUNCTIONS, *activations._NAMES} == {row.cls for row in ROWS}
