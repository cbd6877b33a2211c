"""Layers that put the same numbers into another shape: flatten, reshape, permute, repeat."""

from __future__ import annotations

import math
from typing import Any

from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.ops.shaping import (
    flatten,
    flatten_backward,
    full_shape,
    permute,
    permute_backward,
    repeat_vector,
    repeat_vector_backward,
    reshape,
    reshape_backward,
)


def channels_last(layer: Layer, data_format: str | None) -> str:
    """Return ``"channels_last"``, or raise ValueError for another data format."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"{layer.name} works on channels-last arrays only but got data_format={data_format!r}; "
            "leave data_format out and move the channels last with np.moveaxis(x, 1, -1)"
        )
    return "channels_last"


class Rearrangement(Layer):
    """Base of the layers that move numbers and compute nothing."""

    def flops(self, input_shape: Shape) -> int:
        """Return 0: nothing is computed."""
        return 0


class Flatten(Rearrangement):
    """Makes each sample one row, as a dense layer wants it.

    Arguments:
        data_format: ``"channels_last"`` only.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, ...)``, output ``(N, product of the rest)``.

    Source:
        D0 §5, D2 §4, D3 §5.1.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = channels_last(self, data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, H*W*C)."""
        return (input_shape[0], _product(input_shape[1:]))

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with one row per sample."""
        self.prepare(x)
        return flatten(x)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return flatten_backward(dy, cache), {}


class Reshape(Rearrangement):
    """Gives each sample another shape.

    Arguments:
        target_shape: Shape of one sample, without the batch axis; one size may be -1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, ...)``, output ``(N, *target_shape)``.
    """

    def __init__(self, target_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless samples of this shape can become ``target_shape``."""
        self.compute_output_shape(shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, *target_shape) with -1 worked out, None where it cannot be."""
        known = [size for size in input_shape[1:] if size is not None]
        if len(known) < len(input_shape) - 1:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        try:
            return (input_shape[0], *full_shape(known, self.target_shape))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` in the new shape."""
        self.prepare(x)
        return reshape(x, self.target_shape)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return reshape_backward(dy, cache), {}


class Permute(Rearrangement):
    """Exchanges the axes of each sample: ``Permute((2, 1))`` turns (N, A, B) into (N, B, A).

    Arguments:
        dims: Each axis of a sample once, counted from 1.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    def __init__(self, dims: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self.name} needs dims with each axis from 1 to {len(self.dims)} once (axis 0 is the batch and "
                f"stays) but got {self.dims}"
            )

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless ``shape`` has an axis for each of ``dims``."""
        if len(shape) != len(self.dims) + 1:
            raise ValueError(
                f"{self.name} permutes {len(self.dims)} axes after the batch axis but got an input of shape "
                f"{tuple(shape)}, which has {len(shape) - 1}; give dims one number for each"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with its axes exchanged."""
        self.check_shape(input_shape)
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with its axes exchanged."""
        self.prepare(x)
        return permute(x, self.dims)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return permute_backward(dy, cache), {}


class RepeatVector(Rearrangement):
    """Repeats each sample's vector ``n`` times, as the input of a sequence layer.

    Arguments:
        n: Number of time steps.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, D)``, output ``(N, n, D)``.
    """

    axes = ("N", "D")

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"{self.name} needs n, a positive whole number, but got {n!r}")
        self.n = n

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, n, D)."""
        return (input_shape[0], self.n, input_shape[1])

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` at each of ``n`` time steps."""
        self.prepare(x)
        return repeat_vector(x, self.n)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx; there are no weights."""
        return repeat_vector_backward(dy, cache), {}


def _product(sizes: tuple[int | None, ...]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None
