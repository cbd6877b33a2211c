"""Preparation of data, with Keras's names (floor 3)."""

from tinymed.preprocessing import sequence

__all__ = ["sequence"]
