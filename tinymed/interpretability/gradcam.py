"""Grad-CAM: which places in a layer speak for the class."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.interpretability.probe import Probe
from tinymed.layers.convolution import Conv1D, Conv2D, Conv3D
from tinymed.models import Model


def grad_cam(model: Any, x: Any, layer: str | None = None, target: Any = None, resize: bool = True) -> np.ndarray:
    r"""Return where the features that speak for the class are strong.

    With the values $A$ of a layer and the score $s$ each channel $k$ has the weight
    $\alpha_k = \frac{1}{Z} \sum_{ij} \frac{ds}{dA_{ijk}}$, and the map is $\max\left(0, \sum_k \alpha_k A_k\right)$.

    Arguments:
        model: A model with one input and one output (N, classes).
        x: Samples, (N, ..., channels).
        layer: Name of a layer whose output still has places (also within a nested model); the last one if omitted,
            see :func:`last_spatial_layer`.
        target: The class whose score is explained: a number, one for each sample, or None for the predicted one.
        resize: Whether the map is brought to the size of the image, linearly; otherwise it has the layer's size.

    Returns:
        Maps (N, ...), on the host.

    Raises:
        ValueError: If there is no such layer, or its output has no places.

    Source:
        D0 §8, D2 §8; Selvaraju et al. 2017, arXiv:1610.02391.
    """
    probe = Probe(model, last_spatial_layer(model) if layer is None else layer)
    values, gradients = probe.inside(x, probe.targets(x, target))
    if values.ndim < 3:
        raise ValueError(
            f"the output of {layer!r} has shape {values.shape}, which has no places; take a layer before it"
        )
    places = tuple(range(1, values.ndim - 1))
    weights = gradients.mean(axis=places, keepdims=True)
    maps = np.maximum(0, (weights * values).sum(axis=-1))
    return _resized(maps, np.shape(x)[1:-1]) if resize else maps


def last_spatial_layer(model: Any) -> str:
    """Return the last layer whose output has the places of the last convolution.

    That is the convolution itself, or the normalisation, sum or activation behind it, but not a pooling.

    Raises:
        ValueError: If there is no convolution.
    """
    found = _last_spatial(model)
    if found is None:
        raise ValueError(f"{model.name} has no convolution; Grad-CAM needs one (saliency and occlusion do not)")
    return found


def _last_spatial(model: Any) -> str | None:
    found, places = None, None
    for node in model.nodes:
        shape = node.outputs[0].shape
        if isinstance(node.layer, Model):
            inner = _last_spatial(node.layer)
            if inner is not None:
                found, places = inner, None
        elif isinstance(node.layer, Conv1D | Conv2D | Conv3D) or (len(shape) > 2 and shape[1:-1] == places):
            found, places = node.layer.name, shape[1:-1]
    return found


def _resized(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate maps to the size of the images, pixels taken as areas (not as points)."""
    from scipy import ndimage

    factors = [1.0, *(wanted / given for wanted, given in zip(shape, maps.shape[1:], strict=True))]
    return ndimage.zoom(maps, factors, order=1, mode="nearest", grid_mode=True)
