"""Readers of real formats, and phantoms: images with known content that need no download (floor 3)."""

from tinymed.datasets import chests, deformations, ecg, ecg_files, images, lesions, medmnist, phantoms

__all__ = ["chests", "deformations", "ecg", "ecg_files", "images", "lesions", "medmnist", "phantoms"]
