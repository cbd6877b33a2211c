"""Preparation of data, with Keras's names (floor 3)."""

from tinymed.preprocessing import (
    augmentation,
    framing,
    geometry,
    image,
    intensity,
    missing,
    scaling,
    sequence,
    signal,
)

__all__ = [
    "augmentation",
    "framing",
    "geometry",
    "image",
    "intensity",
    "missing",
    "scaling",
    "sequence",
    "signal",
]
