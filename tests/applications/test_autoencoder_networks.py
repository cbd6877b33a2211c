"""The networks: the document's formulas, a code between encoder and decoder, a learning rate that falls to nothing."""

import numpy as np
import pytest

from tinymed import optimizers
from tinymed.applications import autoencoder, autoencoder_networks
from tinymed.applications.run import Settings


def test_the_linear_network_is_the_documents():
    """z = Wx + b and x' = W'z + b', written with rows."""
    model = autoencoder_networks.build_linear(8)
    assert model.count_params() == 784 * 8 + 8 + 8 * 784 + 784
    x = np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype(np.float32)
    w, b, w2, b2 = model.get_weights()
    z = x.reshape(3, -1) @ w + b
    np.testing.assert_allclose(autoencoder.encode(model, x), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(autoencoder.reconstruct(model, x).reshape(3, -1), z @ w2 + b2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(autoencoder_networks.NETWORKS))
def test_every_network_has_its_code_between_encoder_and_decoder(name):
    model = autoencoder_networks.NETWORKS[name](5)
    x = np.zeros((2, 28, 28, 1), np.float32)
    assert autoencoder.encode(model, x).shape == (2, 5)
    assert autoencoder.reconstruct(model, x).shape == x.shape


@pytest.mark.parametrize("name", list(autoencoder_networks.NETWORKS))
def test_learning_rate_falls_to_nothing_at_the_last_step(name):
    settings = Settings(epochs=4, batch_size=32, learning_rate=0.1)
    made = autoencoder_networks.optimizer(name, settings, images=100)
    assert isinstance(made, optimizers.SGD if name == "linear" else optimizers.Adam)
    assert made.current_learning_rate() == pytest.approx(0.1)
    made.iterations = 4 * 4  # three full batches and one that is not, in each epoch
    assert made.current_learning_rate() == pytest.approx(0, abs=1e-9)
