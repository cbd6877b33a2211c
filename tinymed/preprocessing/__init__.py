"""Preparation of data, with Keras's names (floor 3)."""

from tinymed.preprocessing import augmentation, image, missing, sequence, signal

__all__ = ["augmentation", "image", "missing", "sequence", "signal"]
