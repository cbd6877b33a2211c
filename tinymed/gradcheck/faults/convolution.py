"""Mistakes in dense layers and convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import Call, Fault, fresh, kernel_fault, op_fault


def _swap(gradients: tuple, **new: Any) -> tuple:
    """Return (dx, dkernel, dbias) with some of them replaced."""
    names = ("x", "kernel", "bias")
    return tuple(new.get(name, g) for name, g in zip(names, gradients, strict=True))


def _dense_not_transposed(dy: Any, call: Call) -> Any:
    return _swap(call.right(dy), x=dy @ call["kernel"])


def _dense_kernel_transposed(dy: Any, call: Call) -> Any:
    dkernel = call.right(dy)[1]
    return _swap(call.right(dy), kernel=1.0 * dkernel.T)


def _bias_over_wrong_axis(dy: Any, call: Call) -> Any:
    return _swap(call.right(dy), bias=array_namespace(dy).sum(dy, axis=-1))


def _bias_mean(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    return _swap(call.right(dy), bias=xp.mean(dy, axis=tuple(range(dy.ndim - 1))))


def _bias_forgotten(dy: Any, call: Call) -> Any:
    return _swap(call.right(dy), bias=0.0 * call["bias"])


def _kernel_mean(dy: Any, call: Call) -> Any:
    return _swap(call.right(dy), kernel=call.right(dy)[1] / float(dy.shape[0]))


def _first_sample(dy: Any, call: Call) -> Any:
    return _swap(call.right(dy), kernel=call["x"][:1, ...].T @ dy[:1, ...])


def _flipped(dy: Any, call: Call) -> Any:
    turned = array_namespace(dy).flip(call["kernel"], axis=(0, 1))
    return _swap(call.right(dy), x=call.at(kernel=turned).right(dy)[0])


def _kernel_sides_exchanged(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    dkernel = call.right(dy)[1]
    kh, kw, c, f = dkernel.shape
    mixed = xp.permute_dims(xp.reshape(dkernel, (kw, kh, c, f)), (1, 0, 2, 3))
    return _swap(call.right(dy), kernel=1.0 * mixed)


def _not_cropped(dy: Any, call: Call) -> Any:
    xp = array_namespace(dy)
    dx = call.right(dy)[0]
    return _swap(call.right(dy), x=xp.concat([fresh((dx.shape[0], 1, *dx.shape[2:]), dx), dx], axis=1))


def _cropped_at_wrong_side(dy: Any, call: Call) -> Any:
    dx = call.right(dy)[0]
    shifted = fresh(dx.shape, dx)
    shifted[:, 1:, ...] = dx[:, :-1, ...]
    return _swap(call.right(dy), x=shifted)


def _stride_ignored(dy: Any, call: Call) -> Any:
    dense = call.at(strides=1)
    spread = fresh(dense.y.shape, dy)
    spread[:, : dy.shape[1], : dy.shape[2], :] = dy
    return _swap(call.right(dy), x=dense.right(spread)[0])


def _dilation_ignored(dy: Any, call: Call) -> Any:
    close = call.at(dilation_rate=1)
    spread = fresh(close.y.shape, dy)
    spread[:, : dy.shape[1], : dy.shape[2], :] = dy
    return _swap(call.right(dy), kernel=close.right(spread)[1])


def _first_filter_only(dy: Any, call: Call) -> Any:
    masked = fresh(dy.shape, dy)
    masked[..., :1] = dy[..., :1]
    return _swap(call.right(dy), x=call.right(masked)[0])


def _channels_exchanged(dy: Any, call: Call) -> Any:
    swapped = array_namespace(dy).permute_dims(call["kernel"], (0, 1, 3, 2))
    return _swap(call.right(dy), x=call.at(kernel=swapped).right(dy)[0])


def _last_tap_lost(dy: Any, call: Call) -> Any:
    kernel = 1.0 * call["kernel"]
    kernel[-1, ...] = 0.0
    return _swap(call.right(dy), x=call.at(kernel=kernel).right(dy)[0])


def _sums_in_single(right: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any, *args: Any, **kwargs: Any) -> Any:
        y, cache = right(x, *args, **kwargs)
        return y.astype("float32").astype(y.dtype), cache

    return body


_SQUARE = [OpCase("dense", {"x": (4, 4), "kernel": (4, 4), "bias": (4,)}, linear=("x", "kernel"), offsets=("bias",))]

_CONV = {"x": (2, 6, 7, 2), "kernel": (3, 2, 2, 3), "bias": (3,)}

_LINEAR: dict[str, Any] = {"linear": ("x", "kernel"), "offsets": ("bias",)}

_SAME = [OpCase("conv2d", _CONV, options={"padding": "same"}, **_LINEAR)]

_PLAIN = [OpCase("conv2d", _CONV, **_LINEAR)]

_STRIDED = [OpCase("conv2d", _CONV, options={"strides": (2, 2)}, **_LINEAR)]

_DILATED = [OpCase("conv2d", _CONV, options={"dilation_rate": (2, 2)}, **_LINEAR)]

_EVEN_CHANNELS = [OpCase("conv2d_transpose", {"x": (2, 3, 4, 2), "kernel": (3, 2, 2, 2)}, linear=("x", "kernel"))]


FAULTS: list[Fault] = [
    op_fault(
        "dense",
        "dense without the transpose",
        "dx = dy W instead of dy Wᵀ; the shapes fit where the layer is square.",
        "adjoint",
        backward=_dense_not_transposed,
        cases=_SQUARE,
    ),
    op_fault(
        "dense",
        "kernel gradient transposed",
        "dW = dyᵀ x instead of xᵀ dy; the shapes fit where the layer is square.",
        "adjoint",
        backward=_dense_kernel_transposed,
        cases=_SQUARE,
    ),
    op_fault(
        "dense",
        "bias summed over the wrong axis",
        "db sums over the units instead of the samples.",
        "gradient",
        backward=_bias_over_wrong_axis,
        cases=_SQUARE,
    ),
    op_fault(
        "dense",
        "bias averaged",
        "db is the mean over the samples, while the loss has divided by N already.",
        "gradient",
        backward=_bias_mean,
        cases=_SQUARE,
    ),
    op_fault(
        "dense",
        "bias forgotten",
        "db is zero: a joint check of all weights hardly notices.",
        "gradient",
        "hard to see in needle's check, which adds the errors of all arguments",
        backward=_bias_forgotten,
        cases=_SQUARE,
    ),
    op_fault(
        "dense",
        "missing N",
        "dW is divided by N once more.",
        "adjoint",
        backward=_kernel_mean,
        cases=_SQUARE,
    ),
    op_fault(
        "dense",
        "first sample only",
        "dW comes from the first sample; right for a batch of one.",
        "gradient",
        backward=_first_sample,
        cases=_SQUARE,
    ),
    op_fault(
        "conv2d",
        "flipped kernel",
        "dx uses the kernel turned by 180°, as convolution in mathematics does.",
        "adjoint",
        backward=_flipped,
        cases=_PLAIN,
    ),
    op_fault(
        "conv2d",
        "KH and KW exchanged",
        "dkernel is reshaped to (KW, KH, C, F) and turned.",
        "gradient",
        "DeZero (in pooling, with a window that is not square)",
        backward=_kernel_sides_exchanged,
        cases=_PLAIN,
    ),
    op_fault(
        "conv2d",
        "padding not cropped",
        'dx keeps a row of the padding of "same".',
        "shapes",
        backward=_not_cropped,
        cases=_SAME,
    ),
    op_fault(
        "conv2d",
        "padding cropped at the wrong side",
        "dx is shifted by a row: the last rows of the padded gradient are kept instead of the middle.",
        "adjoint",
        backward=_cropped_at_wrong_side,
        cases=_SAME,
    ),
    op_fault(
        "conv2d",
        "stride ignored in backward",
        "dx is computed as if windows lay side by side.",
        "adjoint",
        backward=_stride_ignored,
        cases=_STRIDED,
    ),
    op_fault(
        "conv2d",
        "dilation ignored in backward",
        "dkernel is computed as if the kernel had no gaps.",
        "gradient",
        backward=_dilation_ignored,
        cases=_DILATED,
    ),
    op_fault(
        "conv2d",
        "first filter only",
        "dx sums over one filter; right for a single filter.",
        "adjoint",
        backward=_first_filter_only,
        cases=_PLAIN,
    ),
    op_fault(
        "conv2d",
        "last row of the kernel lost",
        "A loop ends one too early.",
        "adjoint",
        backward=_last_tap_lost,
        cases=_PLAIN,
    ),
    op_fault(
        "conv2d",
        "bias averaged over pixels",
        "db is a mean over images and pixels instead of a sum.",
        "gradient",
        backward=_bias_mean,
        cases=_PLAIN,
    ),
    op_fault(
        "conv2d_transpose",
        "channels and filters exchanged",
        "dx uses the kernel with its last two axes exchanged; the shapes fit where C = F.",
        "adjoint",
        backward=_channels_exchanged,
        cases=_EVEN_CHANNELS,
    ),
    kernel_fault(
        "conv2d", "fast body sums in single precision", "Doubles are rounded to float32 on the way.", _sums_in_single
    ),
]
