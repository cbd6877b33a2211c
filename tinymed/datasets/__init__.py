"""Readers of real formats, and phantoms: images with known content that need no download (floor 3)."""

from tinymed.datasets import chests, images, lesions, medmnist, phantoms

__all__ = ["chests", "images", "lesions", "medmnist", "phantoms"]
