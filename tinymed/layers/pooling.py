"""Pooling layers: the largest value or the mean of each window, or of the whole image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.layers.convolution import check_padding, check_windows
from tinymed.layers.shaping import channels_last
from tinymed.ops import global_pooling, pooling
from tinymed.ops.windows import count_windows, per_axis

_AXES = {1: ("N", "T", "C"), 2: ("N", "H", "W", "C"), 3: ("N", "D", "H", "W", "C")}


class _Pooling(Layer):
    """What poolings of one, two and three axes share."""

    pool: Callable[..., Any]
    pool_backward: Callable[..., Any]

    def __init__(
        self,
        pool_size: int | tuple[int, ...] = 2,
        strides: int | tuple[int, ...] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        rank = len(self.axes) - 2
        self.pool_size = per_axis(pool_size, rank, f"{self.name}: pool_size")
        self.strides = self.pool_size if strides is None else per_axis(strides, rank, f"{self.name}: strides")
        self.padding = check_padding(self, padding)
        self.data_format = channels_last(self, data_format)

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless the axes fit and a window fits into the image."""
        super().check_shape(shape)
        check_windows(self, shape, self.pool_size, (1,) * len(self.pool_size), self.padding, "pool_size")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, OH, OW, C)."""
        self.check_shape(input_shape)
        axes = zip(input_shape[1:-1], self.pool_size, self.strides, strict=True)
        sizes = (None if size is None else count_windows(size, k, s, 1, self.padding) for size, k, s in axes)
        return (input_shape[0], *sizes, input_shape[-1])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return one value for each window and channel."""
        self.prepare(x)
        return type(self).pool(x, self.pool_size, self.strides, self.padding)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return type(self).pool_backward(dy, cache), {}

    def flops(self, input_shape: Shape) -> int:
        """Return one operation for each value in each window."""
        outputs = math.prod(size or 0 for size in self.compute_output_shape(input_shape)[1:])
        return outputs * math.prod(self.pool_size)


class MaxPooling1D(_Pooling):
    """Keeps the largest value of each stretch of a signal (N, T, C).

    Arguments:
        pool_size: Length of the window.
        strides: Step from window to window; as large as the window if None.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, pool, pool_backward = _AXES[1], pooling.max_pool1d, pooling.max_pool1d_backward


class MaxPooling2D(_Pooling):
    """Keeps the largest value of each window of an image (N, H, W, C).

    Arguments:
        pool_size: Size of the window: one number, or (rows, columns).
        strides: Step from window to window; as large as the window if None.
        padding: ``"valid"`` (whole windows only) or ``"same"`` (windows may reach over the edge).
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Source:
        D1 §3.1.2, D2 §3.3, D4 §3.1.2; used in D0 §5, D2 §4, D3 §5.1, D4 §4.1.
    """

    axes, pool, pool_backward = _AXES[2], pooling.max_pool2d, pooling.max_pool2d_backward


class MaxPooling3D(_Pooling):
    """Keeps the largest value of each block of a volume (N, D, H, W, C).

    Arguments:
        pool_size: Size of the block: one number, or three.
        strides: Step from block to block; as large as the block if None.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, pool, pool_backward = _AXES[3], pooling.max_pool3d, pooling.max_pool3d_backward


class AveragePooling1D(_Pooling):
    """Takes the mean of each stretch of a signal (N, T, C).

    Arguments:
        pool_size: Length of the window.
        strides: Step from window to window; as large as the window if None.
        padding: ``"valid"``, or ``"same"`` (what lies beyond the ends does not count).
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, pool, pool_backward = _AXES[1], pooling.average_pool1d, pooling.average_pool1d_backward


class AveragePooling2D(_Pooling):
    """Takes the mean of each window of an image (N, H, W, C).

    Arguments:
        pool_size: Size of the window: one number, or (rows, columns).
        strides: Step from window to window; as large as the window if None.
        padding: ``"valid"``, or ``"same"`` (what lies beyond the edge does not count).
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Source:
        D2 §3.3, D4 §3.1.2.
    """

    axes, pool, pool_backward = _AXES[2], pooling.average_pool2d, pooling.average_pool2d_backward


class AveragePooling3D(_Pooling):
    """Takes the mean of each block of a volume (N, D, H, W, C).

    Arguments:
        pool_size: Size of the block: one number, or three.
        strides: Step from block to block; as large as the block if None.
        padding: ``"valid"``, or ``"same"`` (what lies beyond the edge does not count).
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes, pool, pool_backward = _AXES[3], pooling.average_pool3d, pooling.average_pool3d_backward


class _GlobalPooling(Layer):
    """What global poolings of one, two and three axes share."""

    pool: Callable[..., Any]
    pool_backward: Callable[..., Any]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = channels_last(self, data_format)
        self.keepdims = keepdims

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, C), or (N, 1, 1, C) with ``keepdims``."""
        self.check_shape(input_shape)
        ones = (1,) * (len(input_shape) - 2) if self.keepdims else ()
        return (input_shape[0], *ones, input_shape[-1])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return one value for each channel."""
        self.prepare(x)
        return type(self).pool(x, self.keepdims)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return type(self).pool_backward(dy, cache), {}

    def flops(self, input_shape: Shape) -> int:
        """Return one operation for each input value."""
        return math.prod(size or 0 for size in input_shape[1:])


class _GlobalMaxPooling(_GlobalPooling):
    pool, pool_backward = global_pooling.global_max_pool, global_pooling.global_max_pool_backward


class _GlobalAveragePooling(_GlobalPooling):
    pool, pool_backward = global_pooling.global_average_pool, global_pooling.global_average_pool_backward


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """Keeps the largest value of each channel of a signal (N, T, C).

    Arguments:
        data_format: ``"channels_last"`` only.
        keepdims: Whether to keep the axis T, with size 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = _AXES[1]


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """Keeps the largest value of each channel of an image (N, H, W, C).

    Arguments:
        data_format: ``"channels_last"`` only.
        keepdims: Whether to keep the axes H and W, with size 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = _AXES[2]


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """Keeps the largest value of each channel of a volume (N, D, H, W, C).

    Arguments:
        data_format: ``"channels_last"`` only.
        keepdims: Whether to keep the axes D, H and W, with size 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = _AXES[3]


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Takes the mean of each channel of a signal (N, T, C).

    Arguments:
        data_format: ``"channels_last"`` only.
        keepdims: Whether to keep the axis T, with size 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = _AXES[1]


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Takes the mean of each channel of an image (N, H, W, C).

    Arguments:
        data_format: ``"channels_last"`` only.
        keepdims: Whether to keep the axes H and W, with size 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = _AXES[2]


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """Takes the mean of each channel of a volume (N, D, H, W, C).

    Arguments:
        data_format: ``"channels_last"`` only.
        keepdims: Whether to keep the axes D, H and W, with size 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = _AXES[3]


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
