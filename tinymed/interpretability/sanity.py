"""Can a map be believed? It must change with the network, and point at what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.models import Model


def cascading_randomisation(model: Model, explain: Callable[[Any, Any], np.ndarray], x: Any) -> list[tuple[str, float]]:
    """Replace the learnt weights by fresh ones, layer after layer from the output, and compare the maps.

    A map that stays the same when the network knows nothing any more shows the image, not the network.

    Arguments:
        model: A trained model; it is not changed.
        explain: Function of ``(model, x)`` that returns maps (N, ...). Fix the target class in it.
        x: Samples.

    Returns:
        The name of each layer, the last first, and the mean rank correlation (Spearman) of the map, signs included,
        with that of the trained network: 1 means the same map, near 0 another one. A map without any contrast counts
        as 0.

    Source:
        Adebayo et al. 2018, Sanity checks for saliency maps, arXiv:1810.03292.
    """
    before = explain(model, x)
    return [(name, _likeness(before, explain(changed, x))) for name, changed in _randomised(model)]


def _randomised(model: Model) -> Iterator[tuple[str, Model]]:
    """Yield copies of a model, one more of whose layers has fresh weights each time."""
    config = model.get_config()
    changed, fresh = type(model).from_config(config), type(model).from_config(config)
    changed.set_weights(model.get_weights())
    for layer in reversed(changed.layers):
        if layer.get_weights():
            layer.set_weights(fresh.get_layer(layer.name).get_weights())
            yield layer.name, changed


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import rankdata

    found = []
    for a, b in zip(one, other, strict=True):
        ranks = [rankdata(m.reshape(-1)) for m in (a, b)]
        ranks = [r - r.mean() for r in ranks]
        size = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
        found.append(float(ranks[0] @ ranks[1] / size) if size > 0 else 0.0)
    return float(np.mean(found))


def pointing_game(maps: Any, masks: Any, tolerance: int = 0) -> tuple[float, float]:
    """Return how often the map's highest point lies on what is sought, and how often a random point would.

    Arguments:
        maps: (N, H, W).
        masks: True where what is sought is, (N, H, W).
        tolerance: Pixels by which a point may be beside it; chance is computed with the same tolerance.

    Example:
        >>> maps, masks = np.zeros((1, 4, 4)), np.zeros((1, 4, 4), dtype=bool)
        >>> maps[0, 1, 2] = 5.0
        >>> masks[0, 1, 1:3] = True
        >>> pointing_game(maps, masks)
        (1.0, 0.125)

    Source:
        Zhang et al. 2018, Top-down neural attention by excitation backprop, arXiv:1608.00507.
    """
    from scipy import ndimage

    found, sought = backend.to_host(maps), backend.to_host(masks).astype(bool)
    if found.shape != sought.shape or found.ndim != 3:
        raise ValueError(f"pointing_game needs maps and masks (N, H, W), got {found.shape} and {sought.shape}")
    if tolerance:
        sought = np.stack([ndimage.binary_dilation(mask, iterations=tolerance) for mask in sought])
    flat = sought.reshape(len(sought), -1)
    highest = found.reshape(len(found), -1).argmax(axis=1)
    return float(flat[np.arange(len(flat)), highest].mean()), float(flat.mean())
