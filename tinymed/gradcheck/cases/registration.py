"""Cases of warping, of the similarity of images, and of the smoothness of displacement fields."""

from typing import Any

import numpy as np

from tinymed import losses
from tinymed.gradcheck.case import Draw, LayerCase, LossCase, OpCase
from tinymed.layers.sampling import Warp


def _between_pixels(*shape: int, most: int = 2) -> Draw:
    """Draw displacements that end between pixels: at the pixels themselves the slope of the image has a step."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.integers(-most - 1, most + 1, shape) + rng.uniform(0.1, 0.9, shape)

    return draw


def _image_and_field(channels: int) -> Any:
    return lambda rng: [rng.standard_normal((2, 4, 5, channels)), _between_pixels(2, 4, 5, 2)(rng)]


def _grey(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.0, 1.0, shape)


def _similarity(op: str, shape: tuple[int, ...], label: str = "", **options: Any) -> OpCase:
    arrays = {"y_true": _grey(*shape), "y_pred": _grey(*shape)}
    return OpCase(op, arrays, fixed=("y_true",), options=options, label=label)


def _fields(shape: tuple[int, ...], order: int, label: str = "") -> OpCase:
    arrays = {"y_true": shape, "y_pred": shape}
    options = {"order": order}
    return OpCase("displacement_smoothness", arrays, fixed=("y_true",), options=options, label=label, analytic=True)


OP_CASES = [
    OpCase("warp", {"x": (2, 4, 5, 3), "displacement": _between_pixels(2, 4, 5, 2)}, linear=("x",)),
    OpCase(
        "warp",
        {"x": (2, 4, 5, 1), "displacement": _between_pixels(2, 4, 5, 2, most=5)},
        options={"border": "zeros"},
        linear=("x",),
        label="zeros outside, far displacements",
    ),
    OpCase(
        "warp",
        {"x": (1, 4, 3, 2), "displacement": _between_pixels(1, 4, 3, 2, most=6)},
        linear=("x",),
        label="far displacements",
    ),
    OpCase("warp", {"x": (3, 1, 6, 1), "displacement": _between_pixels(3, 1, 6, 2)}, linear=("x",), label="one row"),
    _similarity("local_correlation", (2, 6, 5, 1), window=3),
    _similarity("local_correlation", (1, 4, 3, 2), "window larger than the image", window=9),
    OpCase(
        "local_correlation",
        {"y_true": (2, 4, 5, 1), "y_pred": (2, 4, 5, 1)},
        fixed=("y_true",),
        options={"window": 5},
        label="any values",
    ),
    _similarity("mutual_information", (2, 4, 5, 1), bins=8),
    _similarity("mutual_information", (1, 3, 4, 2), "many bins, two channels", bins=32),
    OpCase(
        "mutual_information",
        {"y_true": _grey(2, 12), "y_pred": lambda rng: rng.uniform(0.2, 1.8, (2, 12))},
        fixed=("y_true",),
        options={"bins": 6},
        label="values beyond the bins",
    ),
    _fields((2, 4, 5, 2), 1),
    _fields((2, 4, 5, 2), 2, "second derivatives"),
    _fields((1, 1, 2, 2), 2, "too small for second derivatives"),
]

LAYER_CASES = [
    LayerCase(
        lambda: Warp(),
        [(2, 4, 5, 2), (2, 4, 5, 2)],
        draw=_image_and_field(2),
    ),
    LayerCase(
        lambda: Warp(border="zeros"),
        [(2, 4, 5, 1), (2, 4, 5, 2)],
        label="zeros outside",
        draw=_image_and_field(1),
    ),
]

LOSS_CASES = [
    LossCase(lambda: losses.LocalCorrelation(window=3), _grey(3, 5, 4, 1), _grey(3, 5, 4, 1)),
    LossCase(
        lambda: losses.LocalCorrelation(window=3),
        _grey(3, 5, 4, 1),
        _grey(3, 5, 4, 1),
        sample_weight=lambda rng: rng.uniform(0.2, 2.0, (3,)),
        label="weighted",
    ),
    LossCase(lambda: losses.MutualInformation(bins=8), _grey(2, 5, 4, 1), _grey(2, 5, 4, 1)),
    LossCase(lambda: losses.DisplacementSmoothness(), (2, 4, 5, 2), (2, 4, 5, 2)),
    LossCase(lambda: losses.DisplacementSmoothness(order=2), (2, 4, 5, 2), (2, 4, 5, 2), label="second derivatives"),
]
