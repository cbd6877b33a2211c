"""Layers: operations that own weights, with Keras's names, arguments and defaults (floor 4)."""

from tinymed.layers.base import Layer
from tinymed.layers.core import Dense
from tinymed.layers.shaping import Flatten, Permute, RepeatVector, Reshape
from tinymed.layers.symbolic import Input, InputLayer

__all__ = [
    "Dense",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "Permute",
    "RepeatVector",
    "Reshape",
]
