"""Layers: operations that own weights, with Keras's names, arguments and defaults (floor 4)."""

from tinymed.layers.base import Layer
from tinymed.layers.core import Dense
from tinymed.layers.resizing import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from tinymed.layers.shaping import Flatten, Permute, RepeatVector, Reshape
from tinymed.layers.symbolic import Input, InputLayer

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "Permute",
    "RepeatVector",
    "Reshape",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]
