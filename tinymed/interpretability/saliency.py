"""Saliency: how strongly each pixel moves the score."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend
from tinymed.interpretability.probe import Probe


def saliency(model: Any, x: Any, target: Any = None) -> np.ndarray:
    r"""Return the size of the score's gradient at each pixel, the largest over the channels: $\max_c |ds/dx_c|$.

    Arguments:
        model: A model with one input and one output (N, classes).
        x: Samples, (N, ..., channels).
        target: The class whose score is explained: a number, one for each sample, or None for the predicted one.
            With one output, class 1 is the output and class 0 its negative.

    Returns:
        Maps (N, ...), on the host.

    Example:
        >>> from tinymed.layers import Dense, Flatten
        >>> from tinymed.models import Sequential
        >>> model = Sequential([Flatten(input_shape=(1, 2, 1)), Dense(1, activation="sigmoid")])
        >>> model.set_weights([[[3.0], [-4.0]], [0.0]])
        >>> saliency(model, np.ones((1, 1, 2, 1))).tolist()  # the gradient before the sigmoid: the weights
        [[[3.0, 4.0]]]

    Source:
        D0 §8, D2 §8; Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034.
    """
    probe = Probe(model)
    return np.abs(probe.gradient(x, probe.targets(x, target))).max(axis=-1)


def smooth_grad(
    model: Any, x: Any, target: Any = None, samples: int = 25, noise: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Return the saliency of the mean gradient over noisy copies of each sample: what jumps from pixel to pixel goes.

    Arguments:
        model: As for :func:`saliency`.
        x: As for :func:`saliency`.
        target: As for :func:`saliency`; the class predicted without noise if None.
        samples: Number of copies.
        noise: Standard deviation of the noise, as a part of the range of values in ``x``.
        seed: Same seed, same map.

    Source:
        Smilkov, Thorat, Kim, Viégas and Wattenberg 2017, arXiv:1706.03825.
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"smooth_grad needs at least one sample and no negative noise, got {samples=}, {noise=}")
    probe = Probe(model)
    host = np.asarray(backend.to_host(x))
    targets = probe.targets(host, target)
    rng = np.random.default_rng(seed)
    scale = noise * float(host.max() - host.min())
    total = np.zeros(host.shape)
    for _ in range(samples):
        total += probe.gradient(host + scale * rng.standard_normal(host.shape), targets)
    return (np.abs(total) / samples).max(axis=-1)
