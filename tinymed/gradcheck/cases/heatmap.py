"""Cases of the focal loss of heat maps."""

import numpy as np

from tinymed import losses
from tinymed.gradcheck.case import Draw, LossCase, OpCase


def _heat(*shape: int) -> Draw:
    """Heat maps with some centres, some places near them, and some far away."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        heat = rng.uniform(0, 0.9, shape)
        heat[rng.random(shape) < 0.3] = 0.0
        heat.reshape(-1)[:: max(3, heat.size // 4)] = 1.0
        return heat

    return draw


def _none(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0, 0.9, shape)


def _probabilities(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.05, 0.95, shape)


def _case(op: str, y_true: Draw, y_pred: tuple | Draw, label: str = "", **options: object) -> OpCase:
    return OpCase(op, {"y_true": y_true, "y_pred": y_pred}, fixed=("y_true",), options=options, label=label)


OP_CASES = [
    _case("sigmoid_heatmap_focal_crossentropy", _heat(2, 3, 4, 1), (2, 3, 4, 1)),
    _case("sigmoid_heatmap_focal_crossentropy", _none(2, 5), (2, 5), "no centre"),
    _case("sigmoid_heatmap_focal_crossentropy", _heat(3, 5), (3, 5), "other exponents", alpha=1.0, beta=2.5),
    _case("heatmap_focal_crossentropy", _heat(2, 3, 4, 1), _probabilities(2, 3, 4, 1)),
    _case("heatmap_focal_crossentropy", _none(2, 5), _probabilities(2, 5), "no centre"),
    _case("heatmap_focal_crossentropy", _heat(3, 5), _probabilities(3, 5), "other exponents", alpha=1.5, beta=2.5),
]

LOSS_CASES = [
    LossCase(lambda: losses.HeatmapFocalCrossentropy(), _heat(2, 3, 4, 1), _probabilities(2, 3, 4, 1)),
    LossCase(
        lambda: losses.HeatmapFocalCrossentropy(from_logits=True, reduction="sum"),
        _heat(2, 3, 4, 2),
        (2, 3, 4, 2),
        None,
        "logits, two kinds, sum",
    ),
]
