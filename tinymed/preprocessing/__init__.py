"""Preparation of data, with Keras's names (floor 3)."""

from tinymed.preprocessing import augmentation, image, sequence

__all__ = ["augmentation", "image", "sequence"]
