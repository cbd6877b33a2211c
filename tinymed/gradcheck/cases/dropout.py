"""Cases of dropout, with a mask that is given, and of the layers that draw random numbers."""

import numpy as np

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.regularization import (
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)


def _mask(rng: np.random.Generator) -> np.ndarray:
    return rng.random((3, 4, 2)) < 0.6


def _channels(rng: np.random.Generator) -> np.ndarray:
    return rng.random((3, 1, 2)) < 0.6


def _all(rng: np.random.Generator) -> np.ndarray:
    return np.ones((3, 4), dtype=bool)


def _none(rng: np.random.Generator) -> np.ndarray:
    return np.zeros((3, 4), dtype=bool)


OP_CASES = [
    OpCase(
        "dropout",
        {"x": shape, "mask": mask},
        fixed=("mask",),
        options={"rate": rate},
        linear=("x",),
        analytic=True,
        label=label,
    )
    for shape, mask, rate, label in [
        ((3, 4, 2), _mask, 0.4, ""),
        ((3, 4, 2), _channels, 0.4, "whole channels"),
        ((3, 4), _all, 0.0, "rate 0"),
        ((3, 4), _none, 0.999, "nothing kept"),
    ]
]

LAYER_CASES = [
    LayerCase(lambda: Dropout(0.4, seed=1), (3, 4, 2)),
    LayerCase(lambda: Dropout(0.0), (3, 4), label="rate 0"),
    LayerCase(lambda: Dropout(0.5, noise_shape=(None, 1, 2), seed=2), (3, 4, 2), label="noise_shape"),
    LayerCase(lambda: SpatialDropout1D(0.4, seed=3), (3, 4, 5)),
    LayerCase(lambda: SpatialDropout2D(0.4, seed=4), (3, 2, 2, 5)),
    LayerCase(lambda: SpatialDropout3D(0.4, seed=5), (3, 1, 2, 2, 5)),
    LayerCase(lambda: GaussianNoise(0.3, seed=6), (3, 4)),
    LayerCase(lambda: GaussianDropout(0.3, seed=7), (3, 4)),
]
