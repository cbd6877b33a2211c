"""The loss that training minimises: fused where that is exact, and only there."""

import numpy as np
import pytest

from tinymed import optimizers
from tinymed.layers import Activation, Dense, Input
from tinymed.models import Model, Sequential
from tinymed.models.objective import by_output


def test_cross_entropy_is_fused_with_the_last_activation():
    x = np.full((4, 1), 1000.0, dtype="float32")
    y = np.zeros((4, 1), dtype="float32")
    for last in ([Dense(1, activation="sigmoid")], [Dense(1), Activation("sigmoid")]):
        model = Sequential([Input((1,)), *last])
        model.compile(optimizers.SGD(0.0), "binary_crossentropy")
        model.set_weights([np.ones((1, 1)), np.zeros(1)])
        # On probabilities the loss would be cut off at -log(1e-7) = 16.1; on logits it is exact.
        assert model.evaluate(x, y, verbose=0) == pytest.approx(1000.0)


def test_a_loss_is_not_fused_where_the_output_feeds_another_layer():
    x = Input((3,))
    p = Dense(1, activation="sigmoid", name="p")(x)
    model = Model(x, [p, Dense(1, activation="sigmoid", name="q")(p)])
    model.compile("sgd", "binary_crossentropy")
    model._ready()
    assert model._objective.fused == [False, True]


def test_arguments_are_spread_over_the_outputs():
    assert by_output("mse", ["a", "b"], "loss") == ["mse", "mse"]
    assert by_output({"b": "mae"}, ["a", "b"], "loss") == [None, "mae"]
    assert by_output(["mse"], ["a"], "loss") == ["mse"]
    with pytest.raises(ValueError, match="loss names an output 'c'"):
        by_output({"c": "mse"}, ["a", "b"], "loss")
    with pytest.raises(ValueError, match="3 entries but the model has 2 outputs"):
        by_output(["mse"] * 3, ["a", "b"], "loss")
