"""What the losses' operations have in common: the shape of the targets, their smoothing, clipped probabilities."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace, device_of

EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1 before a logarithm, as in Keras."""


def check_same_shape(name: str, y_true: Array, y_pred: Array) -> None:
    """Raise ValueError unless targets and predictions have one shape; nothing is broadcast by accident."""
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ValueError(
            f"{name} expects y_true and y_pred of one shape but got {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        )


def smoothed(y_true: Array, amount: float, classes: int) -> Array:
    """Move each target the fraction ``amount`` of its way towards ``1 / classes`` (label smoothing)."""
    return y_true * (1.0 - amount) + amount / classes if amount else y_true


def clipped(p: Array) -> tuple[Array, Array]:
    """Return probabilities clipped to [epsilon, 1 - epsilon], and where they lay in it: elsewhere the slope is 0."""
    xp = array_namespace(p)
    inside = (p >= EPSILON) & (p <= 1.0 - EPSILON)
    return xp.minimum(xp.maximum(p, EPSILON), 1.0 - EPSILON), inside


def one_hot(name: str, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Return class numbers as whole numbers (...), and where each class is the right one, boolean (..., K)."""
    if tuple(y_true.shape) != tuple(y_pred.shape[:-1]):
        raise ValueError(
            f"{name} expects one class number for each row of y_pred, y_true of shape {tuple(y_pred.shape[:-1])}, "
            f"but got {tuple(y_true.shape)}"
        )
    xp = array_namespace(y_pred)
    labels = xp.astype(y_true, xp.int64)
    classes = xp.arange(y_pred.shape[-1], dtype=xp.int64, device=device_of(y_pred))
    return labels, labels[..., None] == classes
