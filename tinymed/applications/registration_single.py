"""Register one pair of images without any training set: the field itself is what is learned, from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import backend, losses, optimizers
from tinymed.applications.registration_network import SMOOTHNESS, measure, similarity_loss
from tinymed.ops import upsampling_bilinear, upsampling_bilinear_backward, warp, warp_backward

SPACING = 4
"""Pixels between two knots of the field: what lies between is interpolated."""


@dataclass(frozen=True)
class Registered:
    """What :func:`register` found.

    Attributes:
        field: Displacements (H, W, 2) in pixels, along the rows and the columns: where the moving image is looked up.
        warped: The moving image, deformed (H, W).
        numbers: Similarity before and after, folding and mean displacement, see ``measure``.
        history: The loss, step by step.
    """

    field: np.ndarray
    warped: np.ndarray
    numbers: dict[str, Any]
    history: list[float]


def register(
    moving: Any,
    fixed: Any,
    loss: str = "ncc",
    steps: int = 300,
    smoothness: float | None = None,
    learning_rate: float = 0.1,
    start: Any = None,
) -> Registered:
    """Find the displacement field that makes one image look like another, by gradient descent on this pair alone.

    The images are first compared a quarter and half as large, where a displacement of many pixels is one of few; each
    stage goes on from the field of the one before.

    Args:
        moving: The image to deform, (H, W), values from 0 to 1.
        fixed: The image that it shall look like, of the same shape.
        loss: ``"mse"``, ``"ncc"`` (one modality) or ``"mutual-information"`` (several).
        steps: Steps of Adam, in all stages together.
        smoothness: Weight of the field's roughness; one that suits the loss if omitted.
        learning_rate: How far, in pixels, a knot of the field may move in one step.
        start: A field (H, W, 2) to begin with, such as a network's; zeros if omitted.

    Raises:
        ValueError: If the images do not fit each other, or hold what is no grey value from 0 to 1.

    Example:
        >>> from tinymed.datasets import deformations
        >>> moving, fixed, truth, inside = deformations.pairs(1, size=48, seed=0)
        >>> found = register(moving[0, ..., 0], fixed[0, ..., 0], steps=60)
        >>> found.numbers["similarity_after"] > found.numbers["similarity_before"]
        True
    """
    similar, rough = similarity_loss(loss), losses.DisplacementSmoothness()
    weight = SMOOTHNESS[loss] if smoothness is None else smoothness
    moving, fixed = _checked(moving, "moving"), _checked(fixed, "fixed")
    check_same_size(moving[0, ..., 0], fixed[0, ..., 0])
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    height, width = moving.shape[1:3]
    unit = 4 * SPACING  # so that the images can be halved twice, and the field's knots stay on the grid
    padded = [_padded(image, unit) for image in (moving, fixed)]
    scales = [scale for scale in (4, 2, 1) if scale == 1 or min(height, width) >= 32 * scale]
    field = np.zeros((1, *padded[0].shape[1:3], 2), np.float32)
    if start is not None:
        field[:, :height, :width] = np.asarray(start, np.float32).reshape(1, height, width, 2)
    history: list[float] = []
    for scale in scales:
        at_scale = [_reduced(image, scale) for image in padded]
        knots = {"field": _reduced(field, scale * SPACING) / scale}
        # What the knots cannot express of the field to begin with stays as it is.
        rest = _reduced(field, scale) / scale - upsampling_bilinear(knots["field"], (SPACING, SPACING))[0]
        adam = optimizers.Adam(learning_rate)
        for _ in range(-(-steps // len(scales))):
            value, gradient = _step(knots["field"], rest, at_scale[0], at_scale[1], similar, rough, weight)
            adam.update(knots, {"field": gradient})
            history.append(value)
        found = upsampling_bilinear(knots["field"], (SPACING, SPACING))[0] + rest
        field = (upsampling_bilinear(found, (scale, scale))[0] * scale).astype(np.float32)
    field = field[:, :height, :width]
    warped = warp(moving, field)[0]
    return Registered(field[0], warped[0, ..., 0], measure(loss, moving, fixed, field), history)


def _step(
    knots: Any, rest: Any, moving: Any, fixed: Any, similar: losses.Loss, rough: losses.Loss, weight: float
) -> tuple[float, Any]:
    """Return the loss and its gradient in the knots: the chain rule, written out."""
    field, up_cache = upsampling_bilinear(knots, (SPACING, SPACING))
    field = field + rest
    warped, warp_cache = warp(moving, field)
    unlike, unlike_cache = similar.forward(fixed, warped)
    roughness, rough_cache = rough.forward(0 * field, field)
    _, dfield = warp_backward(similar.backward(unlike_cache), warp_cache, input_gradient=False)
    dfield = dfield + weight * rough.backward(rough_cache)
    return float(unlike) + weight * float(roughness), upsampling_bilinear_backward(dfield, up_cache)


def check_same_size(moving: np.ndarray, fixed: np.ndarray, names: tuple[str, str] = ("moving", "fixed")) -> None:
    """Raise ValueError unless two images have the same height and width."""
    if moving.shape != fixed.shape:
        sizes = [" x ".join(map(str, image.shape)) for image in (moving, fixed)]
        raise ValueError(
            f"{names[0]} is {sizes[0]} pixels but {names[1]} is {sizes[1]}; resample one of them to the other's grid "
            "first, so that a pixel is the same length in both"
        )


def _checked(image: Any, name: str) -> np.ndarray:
    image = backend.to_host(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 or min(image.shape) < 16:
        raise ValueError(f"{name} must be a grey image (H, W) of 16 pixels or more a side but has shape {image.shape}")
    if not np.isfinite(image).all() or image.min() < -0.01 or image.max() > 1.01:
        raise ValueError(f"{name} must have values from 0 to 1; scale it first")
    return image.astype(np.float32)[None, ..., None]


def _padded(image: np.ndarray, unit: int) -> np.ndarray:
    height, width = image.shape[1:3]
    return np.pad(image, ((0, 0), (0, -height % unit), (0, -width % unit), (0, 0)), mode="edge")


def _reduced(image: np.ndarray, scale: int) -> np.ndarray:
    """Average blocks of ``scale`` x ``scale`` pixels."""
    n, height, width, channels = image.shape
    return image.reshape(n, height // scale, scale, width // scale, scale, channels).mean(axis=(2, 4))
