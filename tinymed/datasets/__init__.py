"""Readers of real formats, and phantoms: images with known content that need no download (floor 3)."""

from tinymed.datasets import images, medmnist, phantoms

__all__ = ["images", "medmnist", "phantoms"]
