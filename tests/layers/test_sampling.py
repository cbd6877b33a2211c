import numpy as np
import pytest

from tinymed.layers import Conv2D, Input, Warp
from tinymed.models import Model, load_model
from tinymed.ops import warp

RNG = np.random.default_rng(0)


def test_is_the_operation():
    x, u = RNG.standard_normal((2, 5, 6, 3)), RNG.standard_normal((2, 5, 6, 2))
    for border in ("clamp", "zeros"):
        y, cache = Warp(border=border).forward([x, u])
        np.testing.assert_array_equal(y, warp(x, u, border)[0])
        (dx, du), grads = Warp().backward(y, cache)
        assert dx.shape == x.shape and du.shape == u.shape and grads == {}


def test_learns_a_shift_in_a_model(tmp_path):
    image, field = Input((8, 8, 1)), Input((8, 8, 2))
    model = Model([image, field], Warp(border="zeros")([image, Conv2D(2, 1)(field)]))
    assert model.compute_output_shape([(None, 8, 8, 1), (None, 8, 8, 2)]) == (None, 8, 8, 1)
    h, w = np.mgrid[:8, :8]
    x = np.exp(-((h - 3) ** 2 + (w - 3) ** 2) / 6)[None, ..., None].astype("float32")
    target = np.exp(-((h - 3.5) ** 2 + (w - 4) ** 2) / 6)[None, ..., None].astype("float32")
    model.compile("adam", "mse")
    model.optimizer.learning_rate = 0.02
    fields = [x, np.zeros((1, 8, 8, 2), "float32")]
    model.fit(fields, target, epochs=150, verbose=0)
    np.testing.assert_allclose(model.layers[-2].params["bias"], [-0.5, -1.0], atol=0.15)
    model.save(tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(fields, verbose=0), model.predict(fields, verbose=0))


def test_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match="as in shifted"):
        Warp(name="shifted")(np.zeros((1, 4, 4, 1)))
    for field in ((1, 4, 5, 2), (1, 4, 4, 3), (4, 4, 2)):
        with pytest.raises(ValueError, match="of the same size"):
            Warp()([np.zeros((1, 4, 4, 1)), np.zeros(field)])
    with pytest.raises(ValueError, match="border 'clamp' and 'zeros'"):
        Warp(border="mirror")
