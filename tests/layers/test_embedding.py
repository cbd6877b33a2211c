import numpy as np
import pytest

from tinymed import backend
from tinymed.layers import Embedding, GlobalAveragePooling1D
from tinymed.models import Sequential


def test_it_takes_rows_of_its_table():
    layer = Embedding(4, 2)
    layer.build_once((None, 3))
    assert {key: w.shape for key, w in layer.params.items()} == {"embeddings": (4, 2)}
    ids = np.array([[0, 3, 3]])
    np.testing.assert_array_equal(layer(ids), layer.params["embeddings"][ids])
    np.testing.assert_array_equal(layer(ids.astype("float32")), layer(ids))  # a model hands numbers on as floats
    assert layer.compute_output_shape((None, 3)) == (None, 3, 2) and layer.flops((None, 3)) == 0
    assert np.abs(layer.params["embeddings"]).max() <= 0.05


def test_only_the_rows_that_were_used_learn():
    layer = Embedding(4, 2, embeddings_regularizer="l2")
    y, cache = layer.forward(np.array([[1, 1, 2]]), training=True)
    dx, grads = layer.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(grads["embeddings"][:, 0], [0, 2, 1, 0])
    assert not dx.any() and set(layer.regularizers) == {"embeddings"}
    assert layer.backward(np.ones_like(y), cache, input_gradient=False)[0] is None


def test_the_same_bits_every_time():
    rng = np.random.default_rng(0)
    ids, layer = rng.integers(5, size=(50, 40)), Embedding(5, 3)
    y, cache = layer.forward(ids)
    dy = rng.standard_normal(y.shape).astype("float32")
    runs = {layer.backward(dy, cache)[1]["embeddings"].tobytes() for _ in range(3)}
    assert len(runs) == 1


def test_it_trains_inside_a_model():
    ids = np.array([[1, 2], [3, 4]] * 8)
    model = Sequential([Embedding(5, 4), GlobalAveragePooling1D()])
    model.compile("adam", "mse")
    target = np.repeat([[1.0], [-1.0]] * 8, 4, axis=1)
    history = model.fit(ids, target, epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="words has rows 0 to 3 but got the number 4; input_dim must be larger"):
        Embedding(4, 2, name="words")(np.array([[0, 4]]))
    with pytest.raises(ValueError, match="got the number -1"):
        Embedding(4, 2)(np.array([[0, -1]]))
    with pytest.raises(ValueError, match="needs output_dim, a positive whole number, but got 0"):
        Embedding(4, 0)


def test_on_another_device():
    strict = pytest.importorskip("array_api_strict")
    with backend.use_backend("array_api_strict", strict.Device("device1")):
        layer = Embedding(4, 2, mask_zero=True)
        ids = backend.asarray(np.array([[0, 3, 3]]))
        y, cache = layer.forward(ids)
        dx, grads = layer.backward(y, cache)
        assert y.device == dx.device == grads["embeddings"].device == strict.Device("device1")
        assert backend.to_host(layer.compute_mask(ids)).tolist() == [[False, True, True]]
