"""The step in which both networks learn, against a network that can be followed by hand and numerical gradients."""

import numpy as np
import pytest

from tinymed import backend, optimizers
from tinymed.applications.adversarial import Duel
from tinymed.layers import BatchNormalization, Dense
from tinymed.models import Sequential


class Noted(optimizers.SGD):
    """Keeps the gradients that it was given."""

    def update(self, params, grads):
        self.seen = {key: np.array(value) for key, value in grads.items()}
        super().update(params, grads)


def duel(loss="non-saturating", rate=0.1, normalised=False, dtype="float64"):
    backend.set_floatx(dtype)

    def generator():
        layers = [Dense(5, activation="tanh", input_shape=(3,)), *([BatchNormalization()] if normalised else [])]
        return Sequential([*layers, Dense(4)])

    discriminator = Sequential([Dense(6, activation="tanh", input_shape=(4,)), Dense(1, activation="sigmoid")])
    return Duel(generator(), discriminator, (Noted(rate), Noted(rate)), generator(), loss)


def fixed_noise(players, n):
    z = np.random.default_rng(4).standard_normal((n, 3))
    players.noise = lambda count: z[:count]
    return z


def probability(players, x):
    return players.discriminator.forward(x)[0]


def numerical(players, network, value):
    """Central differences of ``value()`` for each weight of a network."""
    found = {}
    for key, weight in network.params.items():
        gradient = np.zeros_like(weight)
        for place in np.ndindex(weight.shape):
            kept = weight[place]
            weight[place] = kept + 1e-5
            above = value()
            weight[place] = kept - 1e-5
            gradient[place] = (above - value()) / 2e-5
            weight[place] = kept
        found[key] = gradient
    return found


def test_discriminator_gradient():
    """L_D = -log D(x) - log(1 - D(G(z))), with the generator as it is."""
    players, real = duel(rate=0.0), np.random.default_rng(1).standard_normal((7, 4))
    z = fixed_noise(players, 7)

    def loss():
        fake = players.generator.forward(z)[0]
        return np.mean(-np.log(probability(players, real))) + np.mean(-np.log(1 - probability(players, fake)))

    logs = players.discriminator_step(real)
    assert float(logs["d_loss"]) == pytest.approx(loss(), rel=1e-9)
    assert float(logs["p_real"]) == pytest.approx(probability(players, real).mean(), rel=1e-9)
    for key, gradient in numerical(players, players.discriminator, loss).items():
        np.testing.assert_allclose(players.discriminator_optimizer.seen[key], gradient, atol=1e-8)


@pytest.mark.parametrize("name", ["non-saturating", "minimax"])
def test_generator_gradient_through_the_discriminator(name):
    """L_G = -log D(G(z)), or log(1 - D(G(z)))."""
    players = duel(name, rate=0.0)
    z = fixed_noise(players, 7)

    def loss():
        p = probability(players, players.generator.forward(z)[0])
        return np.mean(-np.log(p)) if name == "non-saturating" else np.mean(np.log(1 - p))

    logs = players.generator_step(7)
    assert float(logs["g_loss"]) == pytest.approx(loss(), rel=1e-9)
    for key, gradient in numerical(players, players.generator, loss).items():
        np.testing.assert_allclose(players.generator_optimizer.seen[key], gradient, atol=1e-8)


def test_minimax_has_no_gradient_where_the_generator_needs_it_most():
    score = np.array([[-9.0]])  # the discriminator is sure that the image is generated
    assert abs(duel("minimax").generator_loss(score)[1][0, 0]) < 1e-3
    assert duel("non-saturating").generator_loss(score)[1][0, 0] == pytest.approx(-1, abs=1e-3)


def test_each_step_changes_its_own_network_only():
    players, real = duel(), np.ones((4, 4))
    before = players.generator.get_weights(), players.discriminator.get_weights()
    players.discriminator_step(real)
    assert all(np.array_equal(a, b) for a, b in zip(players.generator.get_weights(), before[0], strict=True))
    assert not np.array_equal(players.discriminator.get_weights()[0], before[1][0])
    middle = players.discriminator.get_weights()
    players.generator_step(4)
    assert all(np.array_equal(a, b) for a, b in zip(players.discriminator.get_weights(), middle, strict=True))
    assert not np.array_equal(players.generator.get_weights()[0], before[0][0])


def test_each_step_generates_anew():
    """Step 6 of the document must go back to step 3: fresh noise, fresh images, fresh tapes."""
    players, seen = duel(), []
    noise = players.noise
    players.noise = lambda n: seen.append(noise(n)) or seen[-1]
    for _ in range(2):
        players.step(np.ones((4, 4)))
    assert len({z.tobytes() for z in seen}) == 4


def test_average_follows_weights_and_statistics():
    players = duel(normalised=True)
    start, moving = players.average.get_weights(), list(players.generator.state)
    assert all(np.array_equal(a, b) for a, b in zip(start, players.generator.get_weights(), strict=True))
    players.step(np.random.default_rng(0).standard_normal((8, 4)))
    for mean, old, new in zip(players.average.get_weights(), start, players.generator.get_weights(), strict=True):
        np.testing.assert_allclose(mean, 0.99 * old + 0.01 * new, atol=1e-12)
    assert len(moving) == 2


def test_a_generator_learns_a_cloud_of_points():
    """Points around (2, -1): the generator's come near them, and do not all fall on one."""
    backend.set_seed(3)
    generator, average = (Sequential([Dense(16, activation="relu", input_shape=(4,)), Dense(2)]) for _ in range(2))
    discriminator = Sequential([Dense(32, activation="relu", input_shape=(2,)), Dense(1, activation="sigmoid")])
    rates = (optimizers.Adam(0.002, beta_1=0.5), optimizers.Adam(0.005, beta_1=0.5))
    players, rng = Duel(generator, discriminator, rates, average), np.random.default_rng(0)
    for _ in range(800):
        players.step((rng.standard_normal((64, 2)) * 0.5 + [2, -1]).astype(np.float32))
    points = players.average.forward(players.noise(500))[0]
    assert np.abs(points.mean(axis=0) - [2, -1]).max() < 0.5
    assert (points.std(axis=0) > 0.15).all()


def test_unknown_loss():
    with pytest.raises(ValueError, match="unknown loss 'minmax'; did you mean 'minimax'"):
        duel("minmax")
