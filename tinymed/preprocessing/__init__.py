"""Preparation of data, with Keras's names (floor 3)."""

from tinymed.preprocessing import augmentation, geometry, image, intensity, missing, sequence, signal

__all__ = ["augmentation", "geometry", "image", "intensity", "missing", "sequence", "signal"]
