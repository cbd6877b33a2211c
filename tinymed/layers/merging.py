"""Layers that make one array of several: Add, Concatenate and their kin, as classes and as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tinymed.backend import Array, array_namespace, device_of
from tinymed.layers.base import Layer, Shape
from tinymed.ops import merging
from tinymed.ops.merging import broadcast_sizes
from tinymed.ops.registry import REGISTRY


class _Merge(Layer):
    """Base of the layers whose inputs broadcast to each other."""

    supports_masking = True

    operation: ClassVar[str]
    inputs_at_most: ClassVar[int | None] = None

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError, naming the axis, unless inputs of these shapes go together."""
        self.compute_output_shape(shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape that all inputs broadcast to."""
        shapes = _list_of_shapes(self, input_shape, self.inputs_at_most)
        sizes_by_axis = zip(*broadcast_sizes(shapes), strict=True)
        return tuple(self._common_size(axis, sizes, shapes) for axis, sizes in enumerate(sizes_by_axis))

    def _common_size(self, axis: int, sizes: Sequence[int | None], shapes: list[Shape]) -> int | None:
        known = set(sizes) - {None} if axis == 0 else set(sizes) - {None, 1}
        if len(known) > 1:
            raise ValueError(
                f"{self.name} expects inputs of the same shape but got {_spell(shapes)}: they differ in axis {axis} "
                f"({' and '.join(map(str, sizes))}); "
                + (
                    "all inputs need the same number of samples"
                    if axis == 0
                    else "only an axis of length 1 is repeated"
                )
            )
        return known.pop() if known else None if None in sizes else 1

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return where any of the inputs counts; None unless all have a mask."""
        return _any_of(mask)

    def forward(self, x: Sequence[Array], training: bool = False) -> tuple[Array, Any]:
        """Return the inputs made one."""
        self.prepare(x)
        return REGISTRY[self.operation].forward(*x)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[list[Array], dict[str, Array]]:
        """Return a gradient for each input; there are no weights."""
        return list(REGISTRY[self.operation].backward(dy, cache)), {}


class Add(_Merge):
    """Adds its inputs: ``Add()([a, b])``, the skip connection of a residual network.

    Arguments:
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    operation = "add"


class Subtract(_Merge):
    """Subtracts the second of two inputs from the first.

    Arguments:
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    operation, inputs_at_most = "subtract", 2


class Multiply(_Merge):
    """Multiplies its inputs element by element.

    Arguments:
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    operation = "multiply"


class Average(_Merge):
    """Takes the mean of its inputs element by element.

    Arguments:
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    operation = "average"


class Maximum(_Merge):
    """Takes the largest of its inputs element by element; of equal ones the first gets the gradient.

    Arguments:
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    operation = "maximum"


class Minimum(_Merge):
    """Takes the smallest of its inputs element by element; of equal ones the first gets the gradient.

    Arguments:
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    operation = "minimum"


class Concatenate(Layer):
    """Puts its inputs one after another along an axis.

    Arguments:
        axis: The axis, the channels by default.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Source:
        D0 §6: a segmentation network joins the encoder's features to the decoder's this way.
    """

    supports_masking = True

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, int):
            raise ValueError(f"{self.name} needs axis, a whole number, but got {axis!r}")
        self.axis = axis

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError, naming the axis, unless inputs of these shapes go together."""
        self.compute_output_shape(shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape with the sizes along ``axis`` summed."""
        shapes = _list_of_shapes(self, input_shape, None)
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank <= self.axis < rank:
            raise ValueError(
                f"{self.name} expects inputs with equally many axes, axis {self.axis} among them, "
                f"but got {_spell(shapes)}; a Reshape layer before it can add axes"
            )
        output: list[int | None] = []
        for axis, sizes in enumerate(zip(*shapes, strict=True)):
            known = [size for size in sizes if size is not None]
            if axis == self.axis % rank:
                output.append(sum(known) if len(known) == len(sizes) else None)
                continue
            if len(set(known)) > 1:
                raise ValueError(
                    f"{self.name} joins along axis {self.axis % rank} and expects equal sizes in the others but got "
                    f"{_spell(shapes)}: they differ in axis {axis}; pad, crop or resize one of them first"
                )
            output.append(known[0] if known else None)
        return tuple(output)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the masks one after another (joined in time), or where any input counts (joined in features)."""
        if mask is None:
            return None
        xp = array_namespace(*mask)
        known = next(m for m in mask if m is not None)
        masks = [
            xp.ones(v.shape[:2], dtype=xp.bool, device=device_of(known)) if m is None else m
            for v, m in zip(x, mask, strict=True)
        ]
        if self.axis % x[0].ndim == 1:
            return xp.concat(masks, axis=1)
        return _any_of(masks)

    def forward(self, x: Sequence[Array], training: bool = False) -> tuple[Array, Any]:
        """Return the inputs put together."""
        self.prepare(x)
        return merging.concatenate(*x, axis=self.axis)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[list[Array], dict[str, Array]]:
        """Return each input's part of ``dy``; there are no weights."""
        return list(merging.concatenate_backward(dy, cache)), {}

    def flops(self, input_shape: Any) -> int:
        """Return 0: nothing is computed."""
        return 0


def _any_of(masks: Any) -> Array | None:
    """Return where any of several masks is True; None unless all are known."""
    if masks is None or any(mask is None for mask in masks):
        return None
    found = masks[0]
    for mask in masks[1:]:
        found = found | mask
    return found


def _list_of_shapes(layer: Layer, shapes: Any, at_most: int | None) -> list[Shape]:
    """Return ``shapes`` if it is a list of two or more shapes, and raise ValueError otherwise."""
    several = isinstance(shapes, list | tuple) and all(isinstance(shape, list | tuple) for shape in shapes)
    if not several or len(shapes) < 2 or (at_most is not None and len(shapes) > at_most):
        wanted = f"exactly {at_most}" if at_most else "at least two"
        found = f"{len(shapes)} of shapes {_spell(shapes)}" if several else f"one array of shape {tuple(shapes)}"
        raise ValueError(f"{layer.name} expects a list of {wanted} inputs, as in {layer.name}([a, b]), but got {found}")
    return [tuple(shape) for shape in shapes]


def _spell(shapes: Sequence[Shape]) -> str:
    return " and ".join(str(tuple(shape)) for shape in shapes)


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Return ``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis=axis, **kwargs)(inputs)
