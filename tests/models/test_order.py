"""The order in which layers run and are listed."""

import pytest

from tinymed.layers import Add, Concatenate, Dense, Input
from tinymed.models import Model
from tinymed.models.order import layers_in_order, nodes_in_order


def names(layers):
    return [layer.name for layer in layers]


def test_each_node_runs_after_those_it_depends_on():
    x = Input((4,), name="x")
    a = Dense(4, name="a")(x)
    b = Dense(4, name="b")(a)
    both = Add(name="both")([b, a])
    assert names(node.layer for node in nodes_in_order([x], [both])) == ["a", "b", "both"]


def test_an_input_that_is_left_out_is_named():
    x, other = Input((4,), name="x"), Input((4,), name="other")
    y = Add()([x, other])
    with pytest.raises(ValueError, match="depend on other"):
        nodes_in_order([x], [y])


def test_layers_are_listed_from_the_farthest_to_the_nearest():
    x = Input((4,), name="x")
    long = Dense(4, name="long_2")(Dense(4, name="long_1")(x))
    short = Dense(4, name="short")(x)
    y = Concatenate(name="y")([short, long])
    assert names(layers_in_order([x], [y])) == ["x", "long_1", "short", "long_2", "y"]
    assert names(Model(x, y).layers) == ["x", "long_1", "short", "long_2", "y"]


def test_a_shared_layer_is_as_far_away_as_its_first_use():
    x = Input((4,), name="x")
    shared, last = Dense(4, name="shared"), Dense(4, name="last")
    y = last(shared(Dense(4, name="between")(shared(x))))
    assert names(layers_in_order([x], [y])) == ["x", "shared", "between", "last"]


def test_an_input_without_a_use_is_listed_too():
    x, unused = Input((4,), name="x"), Input((4,), name="unused")
    y = Dense(2, name="y")(x)
    assert names(layers_in_order([x, unused], [y])) == ["x", "unused", "y"]


def test_a_model_between_two_inner_tensors_has_only_the_layers_between():
    x = Input((4,), name="x")
    a = Dense(4, name="a")(x)
    b = Dense(4, name="b")(a)
    assert names(layers_in_order([a], [b])) == ["b"]
