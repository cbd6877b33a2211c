"""Losses of registration: how unlike two images still are, and how rough the deformation is."""

from __future__ import annotations

from typing import Any

from tinymed.losses.base import Loss, Shape


class _Similarity(Loss):
    def shape_advice(self, true_shape: Shape, pred_shape: Shape) -> str:
        """Return what may be wrong with images of this shape."""
        return "the fixed image and the warped one must have the same height, width and channels; resample one of them"


class LocalCorrelation(_Similarity):
    r"""One minus the squared correlation of two images in small windows, averaged: for images of one modality.

    Brightness and contrast may differ, also from place to place.

    Arguments:
        window: Height and width of the windows, odd.
        epsilon: Windows in which the product of the two variances is far below it count as flat.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Avants et al., Medical Image Analysis, 2008; Balakrishnan et al., VoxelMorph, 2019.
    """

    operation_name = "local_correlation"

    def __init__(
        self,
        window: int = 9,
        epsilon: float = 1e-5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.window, self.epsilon = int(window), float(epsilon)

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"window": self.window, "epsilon": self.epsilon}


class MutualInformation(_Similarity):
    r"""Minus the mutual information of two images with values from 0 to 1: for images of different modalities.

    Arguments:
        bins: Number of grey values that are told apart.
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Viola and Wells, International Journal of Computer Vision, 1997.
    """

    operation_name = "mutual_information"

    def __init__(
        self,
        bins: int = 32,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.bins = int(bins)

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"bins": self.bins}


class DisplacementSmoothness(Loss):
    r"""How rough displacement fields (N, H, W, 2) are: their squared first or second derivatives, averaged.

    The targets are zeros; other targets are displacements from which the roughness is measured.

    Arguments:
        order: 1 for first derivatives (diffusion), 2 for second ones (bending energy).
        reduction: How the values become one number, see :class:`Loss`.
        name: Name in messages.

    Source:
        Balakrishnan et al., VoxelMorph, 2019; Rueckert et al., 1999 (bending energy).
    """

    operation_name = "displacement_smoothness"

    def __init__(self, order: int = 1, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        if order not in (1, 2):
            raise ValueError(f"DisplacementSmoothness knows order 1 and 2 but got {order!r}")
        self.order = order

    @property
    def options(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"order": self.order}
