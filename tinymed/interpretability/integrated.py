"""Integrated gradients: what each pixel adds to the score on the way from an empty image to this one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend
from tinymed.interpretability.probe import Probe


def integrated_gradients(model: Any, x: Any, target: Any = None, baseline: Any = 0.0, steps: int = 50) -> np.ndarray:
    r"""Return the part of each value in the change of the score between a baseline $x'$ and the image.

    $a = (x - x') \cdot \int_0^1 \frac{ds}{dx}\left(x' + t (x - x')\right) dt$, and therefore (*completeness*)
    $\sum a = s(x) - s(x')$: nothing is left over, and nothing is counted twice. The integral is a sum over the middles
    of ``steps`` equal parts.

    Arguments:
        model: A model with one input and one output (N, classes).
        x: Samples, (N, ..., channels).
        target: The class whose score is explained: a number, one for each sample, or None for the predicted one.
        baseline: What an image without information looks like: one value, or an array that fits ``x``.
        steps: Gradients along the way.

    Returns:
        Parts with their signs, shaped as ``x``, on the host.

    Source:
        D0 §8, D2 §8; Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
    """
    if steps < 1:
        raise ValueError(f"integrated_gradients needs at least one step, got {steps}")
    probe = Probe(model)
    host = np.asarray(backend.to_host(x), dtype=np.float64)
    start = np.broadcast_to(np.asarray(backend.to_host(baseline), dtype=np.float64), host.shape)
    targets = probe.targets(host, target)
    total = np.zeros(host.shape)
    for step in range(steps):
        total += probe.gradient(start + (step + 0.5) / steps * (host - start), targets)
    return (host - start) * total / steps
