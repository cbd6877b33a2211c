"""The summary: shapes never unknown, weights, kept bytes and arithmetic counted by hand."""

import numpy as np
import pytest

from tinymed.layers import Add, BatchNormalization, Conv2D, Dense, Flatten, Input, MaxPooling2D
from tinymed.models import Model, Sequential


def shown(model):
    lines = []
    model.summary(print_fn=lines.append)
    return "\n".join(lines)


def test_p0_by_hand():
    model = Sequential(
        [
            Conv2D(32, (3, 3), activation="relu", input_shape=(64, 64, 3), name="conv"),
            MaxPooling2D((2, 2), name="pool"),
            Flatten(),
            Dense(1, activation="sigmoid", name="dense"),
        ]
    )
    text = shown(model)
    assert "(None, 62, 62, 32)" in text
    assert f"{3 * 3 * 3 * 32 + 32:,}" in text
    assert f"{2 * 62 * 62 * 27 * 32 / 1e6:,.2f}" in text
    assert "?" not in text
    assert f"{model.count_params():,}" in text


def test_kept_bytes_count_each_array_once():
    # Dense without activation keeps its input (free: the data), the second keeps the first one's output.
    model = Sequential([Dense(100, input_shape=(10,), name="a"), Dense(1, name="b")])
    rows = {line.split()[0]: line for line in shown(model).splitlines() if line.startswith(("a ", "b "))}
    assert " 0 B " in rows["a"]
    assert " 400 B " in rows["b"]


def test_the_summary_changes_nothing():
    model = Sequential([Dense(4, input_shape=(3,)), BatchNormalization()])
    before = model.get_weights()
    shown(model)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_graphs_show_where_inputs_come_from():
    x = Input((3,), name="x")
    shared = Dense(3, name="shared")
    model = Model(x, Add(name="sum")([shared(x), shared(shared(x))]))
    text = shown(model)
    assert "shared, shared" in text
    assert text.count("shared (Dense)") == 3
    assert "Weights: 12 " in text


def test_an_unbuilt_model_says_what_it_needs():
    with pytest.raises(ValueError, match="does not know the shape of its input"):
        Sequential([Dense(3)]).summary()
