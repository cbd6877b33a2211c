"""The layer that deforms images, for networks that predict displacement fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.ops.sampling import BORDERS, warp, warp_backward


class Warp(Layer):
    r"""Deforms images by displacement fields: ``Warp()([image, displacement])``.

    Each pixel of the result looks up the image at its own place plus the displacement, bilinearly between four pixels;
    see :func:`tinymed.ops.warp`. Both inputs get a gradient: it is what makes registration learn.

    Arguments:
        border: What lies outside the image: ``"clamp"`` (the outermost pixels go on) or ``"zeros"``.
        **kwargs: ``name``, ``trainable``, ``dtype``.

    Shapes:
        Inputs ``(N, H, W, C)`` and ``(N, H, W, 2)``, output ``(N, H, W, C)``; no weights.

    Source:
        Jaderberg et al., Spatial Transformer Networks, 2015.
    """

    def __init__(self, border: str = "clamp", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if border not in BORDERS:
            raise ValueError(f"{self.name} knows border 'clamp' and 'zeros' but got {border!r}")
        self.border = border

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError unless there is an image and a field of the same size."""
        several = isinstance(shape, list | tuple) and all(isinstance(item, list | tuple) for item in shape)
        if not several or len(shape) != 2:
            raise ValueError(
                f"{self.name} expects a list of an image and a displacement field, as in {self.name}([image, field]), "
                f"but got {shape}"
            )
        image, field = (tuple(item) for item in shape)
        same = len(image) == len(field) == 4 and all(
            a is None or b is None or a == b for a, b in zip(image[:3], field[:3], strict=True)
        )
        if not same or field[3] not in (2, None):
            raise ValueError(
                f"{self.name} expects images (N, H, W, C) and displacements (N, H, W, 2) of the same size but got "
                f"{image} and {field}"
            )

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the image's shape."""
        return tuple(input_shape[0])

    def forward(self, x: Sequence[Array], training: bool = False) -> tuple[Array, Any]:
        """Return the image, deformed."""
        self.prepare(x)
        return warp(x[0], x[1], border=self.border)

    def backward(
        self, dy: Array, cache: Any, input_gradient: bool = True
    ) -> tuple[list[Array | None], dict[str, Array]]:
        """Return the gradients of image and field; there are no weights."""
        return list(warp_backward(dy, cache)), {}

    def flops(self, input_shape: Any) -> int:
        """Return 8 for each output value: four products and their sum."""
        return 8 * super().flops(input_shape)
