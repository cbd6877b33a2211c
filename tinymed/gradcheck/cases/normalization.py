"""Cases of batch, layer and group normalisation."""

import numpy as np

from tinymed.gradcheck.case import LayerCase, OpCase
from tinymed.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization


def _hounsfield(rng: np.random.Generator) -> np.ndarray:
    """Draw air as CT shows it: near -1000 HU, with little noise."""
    return -1000.0 + 0.2 * rng.standard_normal((4, 3, 3, 2))


def _positive(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.5, 2.0, 3)


OP_CASES = [
    OpCase("batch_norm", {"x": (4, 3, 2, 3), "gamma": (3,), "beta": (3,)}, analytic=True),
    OpCase("batch_norm", {"x": (5, 3), "gamma": None, "beta": (3,)}, analytic=True, label="rows, no scale"),
    OpCase("batch_norm", {"x": (5, 3)}, analytic=True, label="no weights"),
    OpCase(
        "batch_norm", {"x": (3, 2, 4), "gamma": (2,), "beta": (2,)}, options={"axis": 1}, analytic=True, label="axis 1"
    ),
    OpCase("batch_norm", {"x": _hounsfield, "gamma": (2,), "beta": (2,)}, analytic=True, label="near -1000 HU"),
    OpCase("batch_norm", {"x": (1, 3), "gamma": (3,), "beta": (3,)}, analytic=True, label="one sample"),
    OpCase(
        "batch_norm_inference",
        {"x": (4, 2, 3), "gamma": (3,), "beta": (3,), "moving_mean": (3,), "moving_variance": _positive},
        fixed=("moving_mean", "moving_variance"),
        analytic=True,
    ),
    OpCase(
        "batch_norm_inference",
        {"x": (4, 3, 2), "gamma": None, "beta": None, "moving_mean": (3,), "moving_variance": _positive},
        fixed=("moving_mean", "moving_variance"),
        options={"axis": 1},
        analytic=True,
        label="axis 1, no weights",
    ),
    OpCase("layer_norm", {"x": (3, 4, 5), "gamma": (5,), "beta": (5,)}, analytic=True),
    OpCase(
        "layer_norm",
        {"x": (3, 4, 2, 3), "gamma": (2, 3), "beta": (2, 3)},
        options={"axis": (2, 3)},
        analytic=True,
        label="two axes",
    ),
    OpCase("layer_norm", {"x": (1, 5), "gamma": None, "beta": None}, analytic=True, label="one sample, no weights"),
    OpCase("group_norm", {"x": (2, 3, 2, 6), "gamma": (6,), "beta": (6,)}, options={"groups": 3}, analytic=True),
    OpCase(
        "group_norm", {"x": (2, 6), "gamma": (6,), "beta": None}, options={"groups": 2}, analytic=True, label="rows"
    ),
    OpCase("group_norm", {"x": (2, 3, 3, 2)}, options={"groups": 2}, analytic=True, label="a group for each channel"),
]

LAYER_CASES = [
    LayerCase(lambda: BatchNormalization(), (4, 3, 2, 3)),
    LayerCase(lambda: BatchNormalization(center=False, scale=False), (5, 3), label="no weights"),
    LayerCase(lambda: BatchNormalization(axis=1), (3, 2, 4), label="axis 1"),
    LayerCase(lambda: BatchNormalization(trainable=False), (4, 3), label="not trainable: as at inference"),
    LayerCase(lambda: LayerNormalization(), (3, 2, 5)),
    LayerCase(lambda: LayerNormalization(axis=(1, 2), center=False), (3, 2, 5), label="two axes, no shift"),
    LayerCase(lambda: GroupNormalization(groups=2), (2, 3, 2, 4)),
    LayerCase(lambda: GroupNormalization(groups=-1, scale=False), (2, 3, 2), label="a group for each channel"),
]
