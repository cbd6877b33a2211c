r"""A generator and a discriminator, trained against each other: one step, written out (D1 §3.3).

The generator makes an image of noise, $x' = G(z)$ (D1-6); the discriminator says how probable it is that an image is
a real one, $p = D(x)$ (D1-7). The document gives no loss. Goodfellow et al. (2014) give two. In both the discriminator
learns to answer 1 to real images and 0 to generated ones, by cross-entropy:

    $L_D = -\log D(x) - \log(1 - D(G(z)))$.

The generator is to make it fail:

    minimax            $L_G = \log(1 - D(G(z)))$, the opposite of the discriminator's second term;
    non-saturating     $L_G = -\log D(G(z))$.

With $p = \sigma(s)$ the gradients with respect to $s$ are $-p$ and $p - 1$. A generator that does not deceive yet has
$p$ near 0: the first gradient vanishes just then, the second is largest.

The document trains in six steps (D1 §3.3.3): prepare the data (1) and the weights (2), generate and judge (3), take
the loss (4), change the weights (5), and again (6). It repeats steps 4 and 5, but must repeat 3 to 5: once the weights
have changed, the images that were generated before are those of another generator, and the old tapes those of another
network. And step 5 is two steps: each network has an optimizer of its own, and a loss of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array, array_namespace, device_of
from tinymed.configurable import resolve
from tinymed.losses import BinaryCrossentropy

LOSSES = {"non-saturating": "non-saturating", "minimax": "minimax"}


class Duel:
    """Two networks and their optimizers, and an average of the generator.

    Arguments:
        generator: Takes noise (N, L).
        discriminator: Ends in one sigmoid.
        optimizers: The generator's and the discriminator's.
        average: A second generator of the same form, which becomes the running average of the first: its weights
            move little, and its images are better.
        loss: ``"non-saturating"`` or ``"minimax"``, the generator's loss.
        memory: Part of the average that stays at each step.
    """

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        optimizers: tuple[Any, Any],
        average: Any,
        loss: str = "non-saturating",
        memory: float = 0.99,
    ) -> None:
        self.generator, self.discriminator, self.average = generator, discriminator, average
        self.generator_optimizer, self.discriminator_optimizer = optimizers
        self.loss = resolve(loss, LOSSES, "loss")
        self.memory = memory
        self.latent = int(generator.inputs[0].shape[-1])
        self.crossentropy = BinaryCrossentropy(from_logits=True)
        self._rng = backend.new_generator()
        average.set_weights(generator.get_weights())

    def noise(self, n: int) -> Array:
        """Draw z (N, L), standard normal."""
        return backend.asarray(self._rng.standard_normal((n, self.latent), dtype=np.float32))

    def step(self, real: Array) -> dict[str, Array]:
        """Take one step of the discriminator and one of the generator; return their losses and answers."""
        found = {**self.discriminator_step(real), **self.generator_step(real.shape[0])}
        self.remember()
        return found

    def discriminator_step(self, real: Array) -> dict[str, Array]:
        """Teach the discriminator to tell real images from fresh generated ones."""
        fake, _ = self.generator.forward(self.noise(real.shape[0]), training=True)
        score_real, tape_real = self.discriminator.forward(real, training=True, logits=True)
        score_fake, tape_fake = self.discriminator.forward(fake, training=True, logits=True)
        loss_real, cache_real = self.crossentropy.forward(_full(score_real, 1.0), score_real)
        loss_fake, cache_fake = self.crossentropy.forward(_full(score_fake, 0.0), score_fake)
        dreal, dfake = self.crossentropy.backward(cache_real), self.crossentropy.backward(cache_fake)
        _, grads_real = self.discriminator.backward(dreal, tape_real, input_gradient=False)
        _, grads_fake = self.discriminator.backward(dfake, tape_fake, input_gradient=False)
        grads = {key: grads_real[key] + grads_fake[key] for key in grads_real}
        self.discriminator_optimizer.update(self.discriminator.params, grads)
        return {
            "d_loss": loss_real + loss_fake,
            "p_real": _mean_sigmoid(score_real),
            "p_fake": _mean_sigmoid(score_fake),
        }

    def generator_step(self, n: int) -> dict[str, Array]:
        """Teach the generator to deceive the discriminator, whose backward tells how each pixel matters."""
        fake, generator_tape = self.generator.forward(self.noise(n), training=True)
        score, discriminator_tape = self.discriminator.forward(fake, training=True, logits=True)
        loss, dscore = self.generator_loss(score)
        dfake, _ = self.discriminator.backward(dscore, discriminator_tape)
        _, grads = self.generator.backward(dfake, generator_tape, input_gradient=False)
        self.generator_optimizer.update(self.generator.params, grads)
        return {"g_loss": loss}

    def generator_loss(self, score: Array) -> tuple[Array, Array]:
        """Return the generator's loss for the scores (logits) of its images, and the gradient of the scores."""
        if self.loss == "minimax":
            loss, cache = self.crossentropy.forward(_full(score, 0.0), score)
            return -loss, -self.crossentropy.backward(cache)
        loss, cache = self.crossentropy.forward(_full(score, 1.0), score)
        return loss, self.crossentropy.backward(cache)

    def remember(self) -> None:
        """Move the average's weights, moving averages of batch normalisation included, towards the generator's."""
        keep = self.memory
        for store, latest in (
            (self.average.params, self.generator.params),
            (self.average.state, self.generator.state),
        ):
            for mean, new in zip(store.values(), latest.values(), strict=True):
                mean[...] = keep * mean + (1 - keep) * new


def _full(like: Array, value: float) -> Array:
    return array_namespace(like).full(like.shape, value, dtype=like.dtype, device=device_of(like))


def _mean_sigmoid(score: Array) -> Array:
    xp = array_namespace(score)
    return xp.mean(0.5 * (1 + xp.tanh(0.5 * score)))
