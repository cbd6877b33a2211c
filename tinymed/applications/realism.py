r"""How good are generated images? Three numbers, none of which the generator was trained on.

* A *judge*: a fresh small network is trained to tell real from generated images and tested on others. The area under
  its ROC curve is 0.5 if it cannot, 1 if it always can. It depends on how much the judge has seen, which must be said
  beside it.
* The *Fréchet distance* between normal distributions fitted to the features of both sets, here the first principal
  components of the real images: $|m - m'|^2 + \mathrm{tr}(C + C' - 2 (C C')^{1/2})$, divided by the real images'
  variance $\mathrm{tr}\, C$. Of sets of a few hundred images it is above 0 even if both are real.
* *Diversity*: the mean distance between two generated images over that between two real ones. A generator that has
  collapsed to a few images has a small one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import metrics, optimizers
from tinymed.layers import Conv2D, Dense, Flatten
from tinymed.models import Sequential

FEATURES = 32
"""Principal components that the Fréchet distance is taken in."""

_DISTANCES = 400
"""Images of each set between which distances are taken."""


def build_judge(shape: tuple[int, ...]) -> Any:
    """Build the judge's network."""
    model = Sequential()
    model.add(Conv2D(16, 3, strides=2, activation="relu", input_shape=shape))
    model.add(Conv2D(32, 3, strides=2, activation="relu"))
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(optimizer=optimizers.Adam(learning_rate=0.001), loss="binary_crossentropy")
    return model


def judge(
    seen: tuple[np.ndarray, np.ndarray], unseen: tuple[np.ndarray, np.ndarray], epochs: int = 10, batch_size: int = 32
) -> float:
    """Train a judge on real and generated images, and return its AUC on others.

    Args:
        seen: Real and generated images (N, H, W, C) to train on.
        unseen: Real and generated images to test on.
        epochs: Passes over the images to train on.
        batch_size: Images in one step.
    """
    (x, y), (x_test, y_test) = (_labelled(*pair) for pair in (seen, unseen))
    mean, spread = x.mean(), x.std() + np.float32(1e-6)
    model = build_judge(x.shape[1:])
    model.fit((x - mean) / spread, y, epochs=epochs, batch_size=batch_size, verbose=0)
    scores = np.asarray(model.predict((x_test - mean) / spread, batch_size=256, verbose=0))[:, 0]
    return float(metrics.roc_auc(y_test, scores)) if np.isfinite(scores).all() else float("nan")


def halves(real: np.ndarray, generated: np.ndarray, epochs: int = 20) -> float:
    """Return the AUC of a judge that is trained on one half of both sets and tested on the other.

    There are few images, so that it takes more epochs until the judge has learned what they can teach it.
    """
    return judge((real[::2], generated[::2]), (real[1::2], generated[1::2]), epochs)


def _labelled(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([real, generated]), np.repeat([1, 0], [len(real), len(generated)])


def frechet(real: np.ndarray, generated: np.ndarray, features: int = FEATURES) -> float:
    """Return the Fréchet distance of generated from real images, over the real images' variance.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 2, 2, 1))
    >>> round(frechet(x, x), 6), round(frechet(x, x + 1), 1)
    (0.0, 1.0)
    """
    flat, other = (images.reshape(len(images), -1).astype(np.float64) for images in (real, generated))
    mean = flat.mean(axis=0)
    _, _, rows = np.linalg.svd(flat - mean, full_matrices=False)
    a, b = (flat - mean) @ rows[:features].T, (other - mean) @ rows[:features].T
    covariance, covariance_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ covariance_b @ root)  # those of C C', whose square roots are summed
    shift = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    distance = shift + np.trace(covariance + covariance_b) - 2 * np.sum(np.sqrt(np.maximum(mixed, 0)))
    return float(max(distance, 0.0) / max(np.trace(covariance), 1e-12))


def diversity(real: np.ndarray, generated: np.ndarray) -> float:
    """Return the mean distance between two generated images over that between two real ones.

    >>> x = np.array([0.0, 1.0, 3.0]).reshape(3, 1, 1, 1)
    >>> diversity(x, x / 2)
    0.5
    """
    from scipy.spatial.distance import pdist

    apart, real_apart = (pdist(x[:_DISTANCES].reshape(len(x[:_DISTANCES]), -1)).mean() for x in (generated, real))
    return float(apart / max(real_apart, 1e-12))
