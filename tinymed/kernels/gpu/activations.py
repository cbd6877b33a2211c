"""Activations and dropout on the GPU: one launch each, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymed.backend import Array
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.ops import activations, activations_smooth, special
from tinymed.ops.dropout import dropout, dropout_backward

load("elements")

_KINDS = (
    "sigmoid", "tanh", "exponential", "softplus", "softsign", "silu", "mish", "elu", "selu", "gelu", "tanh_gelu",
    "hard_sigmoid", "erf",
)  # fmt: skip
"""In the order of the list in elements.cu."""


def finish(y: Array, bias: Array | None, relu: bool = False) -> Array:
    """Add the bias and keep what is positive, in place of ``y`` (..., F), which must be in C order."""
    if bias is not None or relu:
        arguments = (y, None if bias is None else contiguous(bias), y.shape[-1], relu, y.size)
        launch("finish", blocks(y.size), THREADS, arguments)
    return y


@on_gpu(activations.relu)
def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> tuple[Array, tuple]:
    """See :func:`tinymed.ops.activations.relu`."""
    if not supported(x) or (max_value is not None and max_value < 0):
        return activations.relu.textbook(x, negative_slope, max_value, threshold)
    y = empty(x.shape, x)
    numbers = (negative_slope, max_value is not None, max_value or 0.0, threshold)
    launch("relu", blocks(x.size), THREADS, (contiguous(x), y, *numbers, x.size))
    plain = not negative_slope and max_value is None and not threshold
    return y, (y, 0.0, None, 0.0) if plain else (x, negative_slope, max_value, threshold)


@on_gpu(activations.relu_backward)
def relu_backward(dy: Array, cache: tuple) -> Array:
    """See :func:`tinymed.ops.activations.relu_backward`."""
    x, slope, max_value, threshold = cache
    if not _usable(dy, x):
        return activations.relu_backward.textbook(dy, cache)
    dx = empty(dy.shape, dy)
    numbers = (slope, max_value is not None, max_value or 0.0, threshold)
    launch("relu_backward", blocks(dy.size), THREADS, (contiguous(dy), contiguous(x), dx, *numbers, dy.size))
    return dx


def _values(kind: str, x: Array, alpha: float = 0.0, keep: bool = False) -> tuple[Array, Array | None]:
    y = empty(x.shape, x)
    kept = empty(x.shape, x) if keep else None
    launch("activate", blocks(x.size), THREADS, (contiguous(x), y, kept, _KINDS.index(kind), alpha, x.size))
    return y, kept


def _slopes(kind: str, dy: Array, x: Array, alpha: float = 0.0, kept: Array | None = None) -> Array:
    dx = empty(dy.shape, dy)
    arrays = (contiguous(dy), contiguous(x), None if kept is None else contiguous(kept), dx)
    launch("activate_backward", blocks(dy.size), THREADS, (*arrays, _KINDS.index(kind), alpha, dy.size))
    return dx


def _usable(dy: Array, *kept: Array) -> bool:
    return supported(dy, *kept) and all(a.shape == dy.shape for a in kept)


def _enter_plain(kind: str, forward: Any, backward: Any, keeps_output: bool) -> None:
    """Enter an activation without arguments whose cache is its input, or its output."""

    @on_gpu(forward)
    def activate(x: Array) -> tuple[Array, Array]:
        if not supported(x):
            return forward.textbook(x)
        y, _ = _values(kind, x)
        return y, y if keeps_output else x

    @on_gpu(backward)
    def activate_backward(dy: Array, cache: Array) -> Array:
        return _slopes(kind, dy, cache) if _usable(dy, cache) else backward.textbook(dy, cache)


def _enter_product(kind: str, forward: Any, backward: Any) -> None:
    """Enter an activation that multiplies its input by something, which it remembers beside the input."""

    @on_gpu(forward)
    def activate(x: Array) -> tuple[Array, tuple]:
        if not supported(x):
            return forward.textbook(x)
        y, kept = _values(kind, x, keep=True)
        return y, (x, kept)

    @on_gpu(backward)
    def activate_backward(dy: Array, cache: tuple) -> Array:
        x, kept = cache
        return _slopes(kind, dy, x, kept=kept) if _usable(dy, x, kept) else backward.textbook(dy, cache)


def _pair(module: Any, name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return getattr(module, name), getattr(module, f"{name}_backward")


for _name in ("sigmoid", "tanh", "exponential", "softplus", "softsign", "selu"):
    _enter_plain(_name, *_pair(activations_smooth, _name), keeps_output=_name in ("sigmoid", "tanh", "exponential"))
_enter_plain("hard_sigmoid", *_pair(activations, "hard_sigmoid"), keeps_output=False)
_enter_plain("erf", *_pair(special, "erf"), keeps_output=False)
for _name in ("silu", "mish"):
    _enter_product(_name, *_pair(activations_smooth, _name))


@on_gpu(activations_smooth.elu)
def _elu(x: Array, alpha: float = 1.0) -> tuple[Array, tuple]:
    if not supported(x):
        return activations_smooth.elu.textbook(x, alpha)
    return _values("elu", x, alpha)[0], (x, alpha)


@on_gpu(activations_smooth.elu_backward)
def _elu_backward(dy: Array, cache: tuple) -> Array:
    x, alpha = cache
    return _slopes("elu", dy, x, alpha) if _usable(dy, x) else activations_smooth.elu_backward.textbook(dy, cache)


@on_gpu(activations_smooth.gelu)
def _gelu(x: Array, approximate: bool = False) -> tuple[Array, tuple]:
    if not supported(x):
        return activations_smooth.gelu.textbook(x, approximate)
    y, t = _values("tanh_gelu" if approximate else "gelu", x, keep=True)
    return y, (x, t, approximate)


@on_gpu(activations_smooth.gelu_backward)
def _gelu_backward(dy: Array, cache: tuple) -> Array:
    x, t, approximate = cache
    if not _usable(dy, x, t):
        return activations_smooth.gelu_backward.textbook(dy, cache)
    return _slopes("tanh_gelu" if approximate else "gelu", dy, x, kept=t)


# --- dropout --------------------------------------------------------------------------------------------------------


def _keep(x: Array, mask: Array, rate: float) -> Array:
    y = empty(x.shape, x)
    launch("keep", blocks(x.size), THREADS, (contiguous(x), contiguous(mask), y, 1.0 / (1.0 - rate), x.size))
    return y


def _mask_fits(x: Array, mask: Array) -> bool:
    return supported(x) and mask.dtype == bool and mask.shape == x.shape


@on_gpu(dropout)
def _dropout(x: Array, mask: Array, rate: float) -> tuple[Array, tuple]:
    if not 0 <= rate < 1 or not _mask_fits(x, mask):
        return dropout.textbook(x, mask, rate)
    return _keep(x, mask, rate), (mask, rate)


@on_gpu(dropout_backward)
def _dropout_backward(dy: Array, cache: tuple) -> Array:
    mask, rate = cache
    return _keep(dy, mask, rate) if _mask_fits(dy, mask) else dropout_backward.textbook(dy, cache)
