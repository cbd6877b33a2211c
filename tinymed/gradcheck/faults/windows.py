"""Mistakes in dense layers, convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinymed.backend import array_namespace, device_of
from tinymed.gradcheck.case import OpCase
from tinymed.gradcheck.faults.fault import Call, Fault, kernel_fault, op_fault


def _fresh(shape: tuple[int, ...], like: Any) -> Any:
    xp = array_namespace(like)
    return xp.zeros(shape, dtype=like.dtype, device=device_of(like))


def _swap(gradients: tuple, **new: Any) -> tuple:
    """Return (dx, dkernel, dbias) with some of them replaced."""
    names = ("x", "kernel", "bias")
    return tuple(new.get(name, g) for name, g in zip(names, gradients, strict=True))


# --- dense -----------------------------------------------------------------------------------------------------


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


# --- convolution -----------------------------------------------------------------------------------------------


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
    return _swap(call.right(dy), x=xp.concat([_fresh((dx.shape[0], 1, *dx.shape[2:]), dx), dx], axis=1))


def _cropped_at_wrong_side(dy: Any, call: Call) -> Any:
    dx = call.right(dy)[0]
    shifted = _fresh(dx.shape, dx)
    shifted[:, 1:, ...] = dx[:, :-1, ...]
    return _swap(call.right(dy), x=shifted)


def _stride_ignored(dy: Any, call: Call) -> Any:
    dense = call.at(strides=1)
    spread = _fresh(dense.y.shape, dy)
    spread[:, : dy.shape[1], : dy.shape[2], :] = dy
    return _swap(call.right(dy), x=dense.right(spread)[0])


def _dilation_ignored(dy: Any, call: Call) -> Any:
    close = call.at(dilation_rate=1)
    spread = _fresh(close.y.shape, dy)
    spread[:, : dy.shape[1], : dy.shape[2], :] = dy
    return _swap(call.right(dy), kernel=close.right(spread)[1])


def _first_filter_only(dy: Any, call: Call) -> Any:
    masked = _fresh(dy.shape, dy)
    masked[..., :1] = dy[..., :1]
    return _swap(call.right(dy), x=call.right(masked)[0])


def _channels_exchanged(dy: Any, call: Call) -> Any:
    swapped = array_namespace(dy).permute_dims(call["kernel"], (0, 1, 3, 2))
    return _swap(call.right(dy), x=call.at(kernel=swapped).right(dy)[0])


def _last_tap_lost(dy: Any, call: Call) -> Any:
    kernel = 1.0 * call["kernel"]
    kernel[-1, ...] = 0.0
    return _swap(call.right(dy), x=call.at(kernel=kernel).right(dy)[0])


def _overlaps_overwritten(dy: Any, call: Call) -> Any:
    """Take each pixel's gradient from the last window that holds it, instead of all of them."""
    dx = _fresh(call["x"].shape, dy)
    size, step = call["pool_size"], call["strides"]
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            one = _fresh(dy.shape, dy)
            one[:, i, j, :] = dy[:, i, j, :]
            rows = slice(i * step[0], i * step[0] + size[0])
            columns = slice(j * step[1], j * step[1] + size[1])
            dx[:, rows, columns, :] = call.right(one)[:, rows, columns, :]
    return dx


# --- pooling ---------------------------------------------------------------------------------------------------


def _all_ties(dy: Any, call: Call) -> Any:
    """Give the whole gradient to every element that equals its window's maximum."""
    xp = array_namespace(dy)
    x, (h, w) = call["x"], call["pool_size"]
    dx = _fresh(x.shape, dy)
    for p in range(h):
        for q in range(w):
            rows, columns = slice(p, h * dy.shape[1], h), slice(q, w * dy.shape[2], w)
            dx[:, rows, columns, :] = xp.where(x[:, rows, columns, :] == call.y, dy, 0.0 * dy)
    return dx


def _mean_instead_of_max(dy: Any, call: Call) -> Any:
    from tinymed.ops.pooling import average_pool2d, average_pool2d_backward

    _, cache = average_pool2d(call["x"], call["pool_size"], call["strides"], call["padding"])
    return average_pool2d_backward(dy, cache)


def _square_window(dy: Any, call: Call) -> Any:
    h, w = call["pool_size"]
    return call.right(dy) * (float(h * w) / float(h * h))


def _pads_counted(dy: Any, call: Call) -> Any:
    """Divide by the whole window at the edge too, where forward counts only what lies inside the image."""
    xp = array_namespace(dy)
    ones = xp.ones(call["x"].shape, dtype=dy.dtype, device=device_of(dy))
    big = call.at(x=ones, padding="same")
    inside = _count_inside(big)
    return call.right(dy * inside / float(math.prod(call["pool_size"])))


def _count_inside(call: Call) -> Any:
    """Return how many pixels of the image each window of a "same" pooling holds, (OH, OW, 1)."""
    xp = array_namespace(call.y)
    out = _fresh((*call.y.shape[1:3], 1), call.y)
    size, steps, shape = call["pool_size"], call["strides"] or call["pool_size"], call["x"].shape[1:3]
    before = [
        max((n - 1) * s + k - length, 0) // 2
        for n, s, k, length in zip(call.y.shape[1:3], steps, size, shape, strict=True)
    ]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            counts = 1
            for index, axis in ((i, 0), (j, 1)):
                start = index * steps[axis] - before[axis]
                counts *= min(start + size[axis], shape[axis]) - max(start, 0)
            out[i, j, :] = float(counts)
    return xp.asarray(out)


def _global_mean_not_divided(dy: Any, call: Call) -> Any:
    return call.right(dy) * float(math.prod(call["x"].shape[1:-1]))


def _forgets_last_row(right: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any, *args: Any, **kwargs: Any) -> Any:
        y, cache = right(x, *args, **kwargs)
        y = 1.0 * y
        y[:, -1, ...] = 0.0
        return y, cache

    return body


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
_WIDE = [OpCase("average_pool2d", {"x": (2, 4, 6, 2)}, options={"pool_size": (2, 3)}, linear=("x",))]
_EDGE = [
    OpCase(
        "average_pool2d",
        {"x": (2, 5, 5, 1)},
        options={"pool_size": (2, 2), "strides": (2, 2), "padding": "same"},
        linear=("x",),
    )
]
_MAX = [OpCase("max_pool2d", {"x": (2, 4, 6, 2)}, options={"pool_size": (2, 2)})]
_OVERLAP = [OpCase("max_pool2d", {"x": (2, 4, 5, 2)}, options={"pool_size": (3, 3), "strides": (1, 1)})]

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
        "needle's check adds the errors of all inputs, which hides it",
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
        "DeZero (pooling with a window that is not square)",
        backward=_kernel_sides_exchanged,
        cases=_PLAIN,
    ),
    op_fault(
        "conv2d",
        "padding not cropped",
        'dx keeps a row of the padding of "same".',
        "shapes",
        "deep-learning-from-scratch (Pooling(pad=1))",
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
    op_fault(
        "max_pool2d",
        "ties counted more than once",
        "Every element that equals the maximum gets all of dy.",
        "kinks",
        "engines that compare x with the maximum (a mask instead of a position)",
        backward=_all_ties,
        cases=_MAX,
    ),
    op_fault(
        "max_pool2d",
        "maximum treated as mean",
        "dy is spread over the window.",
        "gradient",
        backward=_mean_instead_of_max,
        cases=_MAX,
    ),
    op_fault(
        "max_pool2d",
        "overlapping windows overwrite",
        "Where windows overlap, the last one's gradient replaces the others' instead of adding.",
        "gradient",
        backward=_overlaps_overwritten,
        cases=_OVERLAP,
    ),
    op_fault(
        "average_pool2d",
        "window taken for a square",
        "dy is divided by KH·KH instead of KH·KW.",
        "adjoint",
        "DeZero (average_pooling((2, 3)) raises IndexError)",
        backward=_square_window,
        cases=_WIDE,
    ),
    op_fault(
        "average_pool2d",
        "padding counted at the edge",
        "Backward divides by the whole window where forward counts only pixels inside the image.",
        "adjoint",
        backward=_pads_counted,
        cases=_EDGE,
    ),
    op_fault(
        "global_average_pool",
        "global mean not divided",
        "Every pixel gets all of dy.",
        "adjoint",
        backward=_global_mean_not_divided,
    ),
    kernel_fault("max_pool2d", "fast body forgets the last row", "A loop ends one too early.", _forgets_last_row),
    kernel_fault(
        "conv2d", "fast body sums in single precision", "Doubles are rounded to float32 on the way.", _sums_in_single
    ),
]
