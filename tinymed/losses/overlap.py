"""Losses of segmentation: how little the predicted mask and the true one overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed.losses.base import Loss, Shape
from tinymed.losses.crossentropy import SparseCategoricalCrossentropy
from tinymed.losses.targets import check_between_0_and_1, mask_shape_advice

Axes = int | tuple[int, ...] | list[int] | None


class _Overlap(Loss):
    axis: Axes

    def fit_shapes(self, true_shape: Shape, pred_shape: Shape) -> tuple[Shape, Shape]:
        """Return the shapes, a channel added to masks that have none, so that ``axis`` means the same for both."""
        if len(true_shape) == len(pred_shape) + 1 and true_shape[-1] == 1:
            pred_shape = (*pred_shape, 1)
        elif len(pred_shape) == len(true_shape) + 1 and pred_shape[-1] == 1:
            true_shape = (*true_shape, 1)
        return true_shape, pred_shape

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"axis": tuple(self.axis) if isinstance(self.axis, list) else self.axis}

    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with masks of this shape."""
        return mask_shape_advice(true_shape, pred_shape)

    def check_values(self, y_true: np.ndarray, classes: int | None) -> None:
        """Raise ValueError unless all targets lie between 0 and 1."""
        check_between_0_and_1(self.name, y_true)


class Dice(_Overlap):
    r"""One minus the Dice coefficient, $1 - 2 \sum y p / (\sum y + \sum p + \varepsilon)$.

    With an empty mask the loss is 1 and its gradient is finite.

    Arguments:
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
        axis: Axes summed over: None for the whole batch at once, ``(1, 2, 3)`` for one value per image.

    Source:
        Milletari, Navab and Ahmadi, V-Net, 2016; the formula is Keras's.
    """

    operation_name, default_name = "dice_loss", "dice"

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, axis: Axes = None
    ) -> None:
        super().__init__(reduction, name)
        self.axis = axis


class Tversky(_Overlap):
    r"""Dice with a weight for each kind of mistake.

    As in Keras's code, ``alpha`` weighs missed pixels (false negatives) and ``beta`` invented ones (false positives);
    Keras's documentation says the opposite.

    Arguments:
        alpha: Weight of missed pixels.
        beta: Weight of invented pixels.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.
        axis: Axes summed over: None for the whole batch at once, ``(1, 2, 3)`` for one value per image.

    Source:
        Salehi, Erdogmus and Gholipour, Tversky Loss Function for Image Segmentation, 2017.
    """

    operation_name, default_name = "tversky_loss", "tversky"

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: Axes = None,
    ) -> None:
        super().__init__(reduction, name)
        self.alpha, self.beta, self.axis = float(alpha), float(beta), axis

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {**super().options, "alpha": self.alpha, "beta": self.beta}


class DiceCrossentropy(SparseCategoricalCrossentropy):
    r"""Cross-entropy of all pixels plus one minus the mean Dice of the classes, for masks of class numbers.

    One number for the whole batch: $\ell = -\frac1M \sum_m \log p_{m y_m} + \lambda (1 - \operatorname{mean}_c D_c)$.

    Arguments:
        dice_weight: $\lambda$, the weight of the Dice term.
        smooth: Added to numerator and denominator of each Dice coefficient, in pixels.
        background: Whether class 0 counts in the mean.
        from_logits: Whether predictions are logits rather than probabilities.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Isensee, Jaeger, Kohl, Petersen and Maier-Hein, nnU-Net, Nature Methods 18, 2021.
    """

    operation_name, logits_operation_name = "dice_crossentropy", "softmax_dice_crossentropy"

    def __init__(
        self,
        dice_weight: float = 1.0,
        smooth: float = 1.0,
        background: bool = False,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, reduction=reduction, name=name)
        if not smooth > 0:
            raise ValueError(f"{self.name} needs smooth above 0, which keeps empty masks from 0/0, but got {smooth!r}")
        self.dice_weight, self.smooth, self.background = float(dice_weight), float(smooth), bool(background)

    @property
    def options(self) -> dict[str, Any]:
        """The operations' arguments."""
        return {"dice_weight": self.dice_weight, "smooth": self.smooth, "background": self.background}
