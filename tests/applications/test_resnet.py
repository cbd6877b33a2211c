"""The residual network: its shape, that shortcuts carry, and a new head on old layers."""

import numpy as np
import pytest

from tinymed.applications import resnet
from tinymed.layers import Add


def test_shapes_and_parts():
    model = resnet.build((28, 28, 1), classes=3, widths=(4, 8, 16), blocks=2)
    assert model.output.shape == (None, 3)
    sums = [layer for layer in model.layers if isinstance(layer, Add)]
    assert len(sums) == 6
    shapes = [model.get_layer(f"stage{i}_block2_relu").output.shape for i in (1, 2, 3)]
    assert shapes == [(None, 28, 28, 4), (None, 14, 14, 8), (None, 7, 7, 16)]
    projected = [layer.name for layer in model.layers if layer.name.endswith("shortcut_conv")]
    assert projected == ["stage2_block1_shortcut_conv", "stage3_block1_shortcut_conv"]
    assert model.get_layer("head").activation.name == "softmax"


def test_a_block_that_adds_nothing_passes_its_input_on():
    """With the last normalisation of a block at 0, only the shortcut is left: y = relu(x) = x behind a ReLU."""
    model = resnet.build((8, 8, 1), widths=(4,))
    model.get_layer("stage1_block1_b_norm").params["gamma"][...] = 0
    from tinymed.models import Model

    inside = Model(model.input, [model.get_layer("stem_relu").output, model.get_layer("stage1_block1_relu").output])
    before, after = inside.predict(np.random.default_rng(0).random((2, 8, 8, 1)), verbose=0)
    np.testing.assert_array_equal(before, after)
    # and so does the gradient, however many blocks there are:
    deep = resnet.build((8, 8, 1), widths=(4,), blocks=20)
    for layer in deep.layers:
        if layer.name.endswith("_b_norm"):
            layer.params["gamma"][...] = 1e-3
    y, tape = deep.forward(np.random.default_rng(0).random((4, 8, 8, 1), dtype=np.float32), training=True)
    _, grads = deep.backward(np.ones_like(y), tape)
    assert np.abs(grads["stem_conv/kernel"]).max() > 1e-4


def test_learns():
    rng = np.random.default_rng(0)
    y = np.arange(64) % 2
    x = rng.random((64, 8, 8, 1)) * (1 + y[:, None, None, None])
    model = resnet.build((8, 8, 1), widths=(4, 8))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=12, batch_size=16, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]


def test_new_head_freeze_and_thaw():
    base = resnet.build((8, 8, 1), widths=(4,), classes=5)
    model = resnet.with_new_head(base)
    assert model.output.shape == (None, 1)
    assert model.get_layer("stem_conv") is base.get_layer("stem_conv")
    resnet.freeze(model)
    assert list(model.params) == ["new_head/kernel", "new_head/bias"]
    resnet.thaw(model)
    assert len(model.params) == len(base.params)
    with pytest.raises(ValueError, match="a stage, a block and a class at least"):
        resnet.build(widths=())
