"""Layers that make images, sequences and volumes larger or smaller: zero padding, cropping, upsampling."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.layers.shaping import Rearrangement, channels_last
from tinymed.ops.resizing import (
    upsampling_bilinear,
    upsampling_bilinear_backward,
    upsampling_nearest,
    upsampling_nearest_backward,
)
from tinymed.ops.shaping import cropping, cropping_backward, zero_padding, zero_padding_backward

_IMAGE_AXES = {1: ("N", "T", "C"), 2: ("N", "H", "W", "C"), 3: ("N", "D", "H", "W", "C")}


def _pairs(layer: Layer, argument: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Spell Keras's short forms out: 1 and (1, 2) and ((1, 1), (2, 2)) become a pair for each axis."""
    items = list(value) if isinstance(value, list | tuple) else [value] * rank
    if rank == 1 and len(items) == 2 and all(isinstance(item, int) for item in items):
        items = [items]
    pairs = [tuple(item) if isinstance(item, list | tuple) else (item, item) for item in items]
    whole = all(isinstance(size, int) and size >= 0 for pair in pairs for size in pair)
    if len(pairs) != rank or any(len(pair) != 2 for pair in pairs) or not whole:
        example = "1 or (1, 2)" if rank == 1 else f"1, {(1,) * rank} or {((1, 1),) * rank}"
        raise ValueError(f"{layer.name} needs {argument} such as {example}, of whole numbers >= 0, but got {value!r}")
    return tuple(pairs)


class _ZeroPadding(Rearrangement):
    rank: int

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = channels_last(self, data_format)
        self.padding = _pairs(self, "padding", padding, self.rank)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with each middle axis longer by its padding."""
        sizes = zip(input_shape[1:-1], self.padding, strict=True)
        return (input_shape[0], *(None if s is None else s + sum(pair) for s, pair in sizes), input_shape[-1])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with zeros around it."""
        self.prepare(x)
        return zero_padding(x, self.padding)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return zero_padding_backward(dy, cache), {}


class ZeroPadding1D(_ZeroPadding):
    """Puts zeros before and after each sequence (N, T, C).

    Arguments:
        padding: Zeros at both ends, or ``(before, after)``.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[1], 1


class ZeroPadding2D(_ZeroPadding):
    """Puts zeros around each image (N, H, W, C).

    Arguments:
        padding: Zeros on every side, ``(rows, columns)``, or ``((top, bottom), (left, right))``.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[2], 2


class ZeroPadding3D(_ZeroPadding):
    """Puts zeros around each volume (N, D, H, W, C).

    Arguments:
        padding: Zeros on every side, one number for each axis, or a pair (before, after) for each axis.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[3], 3


class _Cropping(Rearrangement):
    rank: int

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = channels_last(self, data_format)
        self.cropping = _pairs(self, "cropping", cropping, self.rank)

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless something of an input of this shape is left."""
        super().check_shape(shape)
        for axis, (size, pair) in enumerate(zip(shape[1:-1], self.cropping, strict=True), start=1):
            if size is not None and sum(pair) >= size:
                raise ValueError(
                    f"{self.name} cuts {pair[0]} + {pair[1]} off axis {axis}, which is only {size} long in an input "
                    f"of shape {tuple(shape)}; crop less"
                )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with each middle axis shorter by its cropping."""
        self.check_shape(input_shape)
        sizes = zip(input_shape[1:-1], self.cropping, strict=True)
        return (input_shape[0], *(None if s is None else s - sum(pair) for s, pair in sizes), input_shape[-1])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` without its borders."""
        self.prepare(x)
        return cropping(x, self.cropping)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return cropping_backward(dy, cache), {}


class Cropping1D(_Cropping):
    """Cuts the ends off each sequence (N, T, C).

    Arguments:
        cropping: Steps to cut at both ends, or ``(before, after)``.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[1], 1


class Cropping2D(_Cropping):
    """Cuts the borders off each image (N, H, W, C).

    Arguments:
        cropping: Pixels to cut on every side, ``(rows, columns)``, or ``((top, bottom), (left, right))``.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[2], 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(_Cropping):
    """Cuts the borders off each volume (N, D, H, W, C).

    Arguments:
        cropping: Voxels to cut on every side, one number for each axis, or a pair (before, after) for each axis.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[3], 3


class _UpSampling(Rearrangement):
    rank: int

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = channels_last(self, data_format)
        sizes = tuple(size) if isinstance(size, list | tuple) else (size,) * self.rank
        if len(sizes) != self.rank or not all(isinstance(factor, int) and factor > 0 for factor in sizes):
            raise ValueError(
                f"{self.name} needs size such as 2 or {(2,) * self.rank}, of positive whole numbers, but got {size!r}"
            )
        self.size = sizes

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with each middle axis longer by its factor."""
        sizes = zip(input_shape[1:-1], self.size, strict=True)
        return (input_shape[0], *(None if s is None else s * factor for s, factor in sizes), input_shape[-1])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` enlarged."""
        self.prepare(x)
        return upsampling_nearest(x, self.size)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return upsampling_nearest_backward(dy, cache), {}


class UpSampling1D(_UpSampling):
    """Repeats each step of a sequence (N, T, C).

    Arguments:
        size: How many times.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[1], 1


class UpSampling2D(_UpSampling):
    """Enlarges images (N, H, W, C) by whole factors.

    Arguments:
        size: Factor, or factors for height and width.
        data_format: ``"channels_last"`` only.
        interpolation: ``"nearest"`` repeats pixels, ``"bilinear"`` interpolates between their centres.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[2], 2

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"{self.name} knows interpolation 'nearest' and 'bilinear' but got {interpolation!r}")
        self.interpolation = interpolation

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` enlarged."""
        if self.interpolation == "nearest":
            return super().forward(x, training)
        self.prepare(x)
        return upsampling_bilinear(x, self.size)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        if self.interpolation == "nearest":
            return super().backward(dy, cache, input_gradient)
        return upsampling_bilinear_backward(dy, cache), {}

    def flops(self, input_shape: Shape) -> int:
        """Return 0 where pixels are repeated, 6 per output value where they are interpolated (3 along each axis)."""
        if self.interpolation == "nearest":
            return 0
        return 6 * math.prod(size or 0 for size in self.compute_output_shape(input_shape)[1:])


class UpSampling3D(_UpSampling):
    """Repeats each voxel of a volume (N, D, H, W, C).

    Arguments:
        size: Factor, or factors for the three axes.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, rank = _IMAGE_AXES[3], 3
