"""The loss of a detector's heat maps."""

from __future__ import annotations

from typing import Any

from tinymed.losses.base import Shape
from tinymed.losses.crossentropy import _Crossentropy
from tinymed.losses.targets import mask_shape_advice


class HeatmapFocalCrossentropy(_Crossentropy):
    r"""Focal cross-entropy of heat maps with 1 at the centre of each lesion, summed, for each centre in the batch.

    Where $y = 1$ a value is $-(1 - p)^\alpha \log p$, elsewhere $-(1 - y)^\beta p^\alpha \log(1 - p)$. The sum over the
    batch is divided by its number of centres, so images without any do not weaken the others.

    Arguments:
        alpha: Exponent of how wrong the answer is, at least 1.
        beta: Exponent of the distance from a centre, $1 - y$.
        from_logits: Whether predictions are logits rather than probabilities.
        reduction: How the values become one number, see :class:`Loss`; there is one value for the batch.
        name: Name in messages.

    Source:
        Law and Deng, CornerNet, 2018; Zhou, Wang and Krähenbühl, Objects as Points, 2019. Not in Keras.
    """

    operation_name, logits_operation_name = "heatmap_focal_crossentropy", "sigmoid_heatmap_focal_crossentropy"
    activation_name = "sigmoid"

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 4.0,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self._keep(from_logits, 0.0, -1)
        self.alpha, self.beta = float(alpha), float(beta)

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"alpha": self.alpha, "beta": self.beta}

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with heat maps of this shape."""
        return mask_shape_advice(true_shape, pred_shape)
