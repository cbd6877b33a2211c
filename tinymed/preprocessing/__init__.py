"""Preparation of data, with Keras's names (floor 3)."""

from tinymed.preprocessing import augmentation, sequence

__all__ = ["augmentation", "sequence"]
