"""Readers of real formats, and phantoms: images with known content that need no download (floor 3)."""

from tinymed.datasets import images, lesions, medmnist, phantoms

__all__ = ["images", "lesions", "medmnist", "phantoms"]
