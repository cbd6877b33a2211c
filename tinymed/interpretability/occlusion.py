"""Occlusion: cover a window, and see how far the score falls. No gradient is needed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.interpretability.probe import Probe


def occlusion(
    model: Any, x: Any, target: Any = None, size: int | None = None, stride: int | None = None, fill: Any = None
) -> np.ndarray:
    """Return how much the score falls, on average over the windows that cover a pixel.

    Arguments:
        model: A model with one input and one output (N, classes).
        x: Samples, (N, ..., channels).
        target: The class whose score is explained: a number, one for each sample, or None for the predicted one.
        size: Side of the window in pixels; a sixth of the image's shortest side if omitted, at least 2.
        stride: Step from window to window; half of ``size`` if omitted.
        fill: What the window is filled with; each sample's mean if omitted.

    Returns:
        Maps (N, ...) with signs: positive where the covered part spoke for the class.

    Source:
        D0 §8; Zeiler and Fergus 2013, arXiv:1311.2901.
    """
    probe = Probe(model)
    host = np.asarray(backend.to_host(x), dtype=probe.dtype)
    places = host.shape[1:-1]
    if not places:
        raise ValueError(f"occlusion needs samples of shape (N, ..., channels), got {host.shape}")
    size = max(2, min(places) // 6) if size is None else size
    stride = max(1, size // 2) if stride is None else stride
    if not 1 <= size <= min(places) or not 1 <= stride <= size:
        raise ValueError(
            f"occlusion needs 1 <= stride <= size <= {min(places)} (the shortest side), got {size=}, {stride=}"
        )
    targets = probe.targets(host, target)
    whole = probe.scores(host, targets)
    mean = host.mean(axis=tuple(range(1, host.ndim)), keepdims=True)
    patch = mean if fill is None else np.broadcast_to(np.asarray(fill, dtype=host.dtype), mean.shape)
    falls, times = np.zeros(host.shape[:-1]), np.zeros(host.shape[:-1])
    for corner in itertools.product(*(_starts(length, size, stride) for length in places)):
        window = (slice(None), *(slice(start, start + size) for start in corner))
        covered = host.copy()
        covered[window] = patch
        fall = whole - probe.scores(covered, targets)
        falls[window] += fall.reshape(-1, *(1 for _ in places))
        times[window] += 1
    return falls / times


def _starts(length: int, size: int, stride: int) -> list[int]:
    """Return where windows start; the last one ends at the edge, so that every pixel is covered."""
    starts = list(range(0, length - size + 1, stride))
    return starts if starts[-1] == length - size else [*starts, length - size]
