r"""The same numbers in another shape: flatten, reshape, permute, repeat, zero padding, cropping.

Each of these is a linear map that moves numbers and computes nothing, so its backward is the transposed move:
what was copied is summed, what was added is cropped, what was cropped is filled with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op

Pairs = Sequence[tuple[int, int]]
"""(before, after) for each axis between the batch and the channels."""


def full_shape(shape: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """Return the per-sample shape ``target`` with its -1, if it has one, worked out for samples of ``shape``.

    >>> full_shape((4, 6), (3, -1))
    (3, 8)

    Raises:
        ValueError: If the sizes do not multiply to the same number.
    """
    values, known = math.prod(shape), math.prod(size for size in target if size != -1)
    if list(target).count(-1) > 1:
        raise ValueError(f"a target shape may hold -1 once, got {tuple(target)}")
    if any(size < 1 and size != -1 for size in target):
        raise ValueError(f"a target shape holds positive sizes and at most one -1, got {tuple(target)}")
    if -1 in target and values % known == 0:
        return tuple(values // known if size == -1 else size for size in target)
    if -1 in target or values != known:
        raise ValueError(
            f"samples of shape {tuple(shape)} hold {values} values, which cannot become {tuple(target)} "
            f"({'a multiple of ' if -1 in target else ''}{known} values); -1 stands for 'whatever is left'"
        )
    return tuple(target)


@op
def reshape(x: Array, target_shape: Sequence[int]) -> tuple[Array, tuple]:
    r"""Give each sample another shape; the numbers keep their order.

    Forward:
        $y_{n,j} = x_{n,i}$, where $i$ and $j$ are the same place in row-major order

    Backward:
        $dx_{n,i} = dy_{n,j}$

    Shapes:
        ========  ====================  =====================================
        x         (N, ...)
        y         (N, \*target_shape)    as many values per sample as ``x`` has
        ========  ====================  =====================================

    Arguments:
        x: Input.
        target_shape: Shape of one sample, without the batch axis; one size may be -1.

    Raises:
        ValueError: If the number of values per sample differs.

    Example:
        >>> import numpy as np
        >>> y, cache = reshape(np.arange(6.0).reshape(1, 6), (2, -1))
        >>> y
        array([[[0., 1., 2.],
                [3., 4., 5.]]])
        >>> reshape_backward(y, cache)
        array([[0., 1., 2., 3., 4., 5.]])

    Source:
        D1 §3.1.2 (from feature maps to the fully connected layer).
    """
    xp = array_namespace(x)
    target = full_shape(x.shape[1:], target_shape)
    return xp.reshape(x, (x.shape[0], *target)), (x.shape,)


@backward_of(reshape)
def reshape_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`reshape`)."""
    (shape,) = cache
    return array_namespace(dy).reshape(dy, shape, copy=True)


@op
def flatten(x: Array) -> tuple[Array, tuple]:
    r"""Make each sample one row.

    Forward:
        $y_{n,\,(hW + w)C + c} = x_{n,h,w,c}$

    Backward:
        $dx_{n,h,w,c} = dy_{n,\,(hW + w)C + c}$

    Shapes:
        ========  ================  ===================================
        x         (N, H, W, C)      any number of axes after the first
        y         (N, H\*W\*C)
        ========  ================  ===================================

    Arguments:
        x: Input.

    Example:
        >>> import numpy as np
        >>> y, cache = flatten(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
        >>> y
        array([[1., 2., 3., 4.]])
        >>> flatten_backward(y, cache).shape
        (1, 2, 2)

    Source:
        D1 §3.1.2, D0 §5 (``Flatten`` between the last pooling and the first dense layer).
    """
    xp = array_namespace(x)
    return xp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), (x.shape,)


@backward_of(flatten)
def flatten_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`flatten`)."""
    (shape,) = cache
    return array_namespace(dy).reshape(dy, shape, copy=True)


@op
def permute(x: Array, dims: Sequence[int]) -> tuple[Array, tuple]:
    r"""Exchange the axes of each sample.

    Forward:
        $y_{n,\,i_{p_1}, i_{p_2}, \dots} = x_{n,\,i_1, i_2, \dots}$ with the permutation $p$ = ``dims``

    Backward:
        the inverse permutation of $dy$

    Shapes:
        ========  ==================  ======================================
        x         (N, A, B, ...)
        y         (N, B, A, ...)      for ``dims`` (2, 1, ...)
        ========  ==================  ======================================

    Arguments:
        x: Input.
        dims: Each axis of a sample once, counted from 1 (0 is the batch, which stays).

    Raises:
        ValueError: If ``dims`` does not name each axis once.

    Example:
        >>> import numpy as np
        >>> y, cache = permute(np.array([[[1.0, 2.0], [3.0, 4.0]]]), (2, 1))
        >>> y
        array([[[1., 3.],
                [2., 4.]]])
    """
    if sorted(dims) != list(range(1, x.ndim)):
        raise ValueError(f"permute expects dims with each of the axes 1 to {x.ndim - 1} once but got {tuple(dims)}")
    order = (0, *dims)
    return array_namespace(x).permute_dims(x, order), (order,)


@backward_of(permute)
def permute_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`permute`)."""
    (order,) = cache
    xp = array_namespace(dy)
    inverse = tuple(order.index(axis) for axis in range(len(order)))
    return xp.asarray(xp.permute_dims(dy, inverse), copy=True)


@op
def repeat_vector(x: Array, n: int) -> tuple[Array, tuple]:
    r"""Repeat each sample's vector for ``n`` time steps.

    Forward:
        $y_{b,t,d} = x_{b,d}$

    Backward:
        $dx_{b,d} = \sum_t dy_{b,t,d}$

    Shapes:
        ========  ============
        x         (N, D)
        y         (N, T, D)     T = ``n``
        ========  ============

    Arguments:
        x: Input.
        n: Number of repetitions.

    Raises:
        ValueError: If ``x`` has not two axes.

    Example:
        >>> import numpy as np
        >>> y, cache = repeat_vector(np.array([[1.0, 2.0]]), 2)
        >>> y
        array([[[1., 2.],
                [1., 2.]]])
        >>> repeat_vector_backward(y, cache)
        array([[2., 4.]])
    """
    if x.ndim != 2:
        raise ValueError(f"repeat_vector expects x of shape (N, D) but got shape {x.shape}")
    xp = array_namespace(x)
    return xp.repeat(x[:, None, :], n, axis=1), ()


@backward_of(repeat_vector)
def repeat_vector_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`repeat_vector`)."""
    return array_namespace(dy).sum(dy, axis=1)


def _inside(pairs: Pairs, shape: Sequence[int]) -> tuple:
    """Return the index that leaves out ``pairs`` at the ends of the middle axes of an array of ``shape``."""
    middle = (slice(before, size - after) for (before, after), size in zip(pairs, shape[1:-1], strict=True))
    return (slice(None), *middle, slice(None))


def _embed(x: Array, pairs: Pairs) -> Array:
    """Return ``x`` with zeros around its middle axes."""
    xp = array_namespace(x)
    middle = (before + size + after for (before, after), size in zip(pairs, x.shape[1:-1], strict=True))
    y = xp.zeros((x.shape[0], *middle, x.shape[-1]), dtype=x.dtype, device=device_of(x))
    y[_inside(pairs, y.shape)] = x
    return y


def _check_pairs(name: str, x: Array, pairs: Pairs) -> None:
    if len(pairs) != x.ndim - 2:
        raise ValueError(f"{name} expects a (before, after) pair for each of {x.ndim - 2} axes but got {pairs}")
    if any(size < 0 for pair in pairs for size in pair):
        raise ValueError(f"{name} expects sizes of at least 0 but got {pairs}")


@op
def zero_padding(x: Array, padding: Pairs) -> tuple[Array, tuple]:
    r"""Put zeros around each image, sequence or volume.

    Forward:
        $y_{n,\,h + p,\,w + q,\,c} = x_{n,h,w,c}$, and zero elsewhere

    Backward:
        $dx_{n,h,w,c} = dy_{n,\,h + p,\,w + q,\,c}$

    Shapes:
        ========  ======================  ==========================================
        x         (N, H, W, C)            one, two or three axes between N and C
        y         (N, p+H+p', q+W+q', C)
        ========  ======================  ==========================================

    Arguments:
        x: Input.
        padding: Numbers of zeros ``((p, p'), (q, q'))``, a pair for each middle axis.

    Raises:
        ValueError: If there are not as many pairs as axes, or a number is negative.

    Example:
        >>> import numpy as np
        >>> y, cache = zero_padding(np.array([[[5.0]]]), ((1, 2),))
        >>> y[0, :, 0]
        array([0., 5., 0., 0.])
        >>> zero_padding_backward(np.array([[[1.0], [2.0], [3.0], [4.0]]]), cache)
        array([[[2.]]])

    Source:
        D1 §3.1.1 (padding of a convolution).
    """
    _check_pairs("zero_padding", x, padding)
    return _embed(x, padding), (padding,)


@backward_of(zero_padding)
def zero_padding_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`zero_padding`)."""
    (padding,) = cache
    return array_namespace(dy).asarray(dy[_inside(padding, dy.shape)], copy=True)


@op
def cropping(x: Array, cropping: Pairs) -> tuple[Array, tuple]:
    r"""Cut the borders off each image, sequence or volume.

    Forward:
        $y_{n,h,w,c} = x_{n,\,h + p,\,w + q,\,c}$

    Backward:
        $dx_{n,\,h + p,\,w + q,\,c} = dy_{n,h,w,c}$, and zero elsewhere

    Shapes:
        ========  ======================  ==========================================
        x         (N, H, W, C)            one, two or three axes between N and C
        y         (N, H-p-p', W-q-q', C)
        ========  ======================  ==========================================

    Arguments:
        x: Input.
        cropping: Numbers of rows and columns to cut ``((p, p'), (q, q'))``, a pair for each middle axis.

    Raises:
        ValueError: If there are not as many pairs as axes, a number is negative, or nothing would be left.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[1.0], [2.0], [3.0], [4.0]]])
        >>> y, cache = cropping(x, ((1, 2),))
        >>> y
        array([[[2.]]])
        >>> cropping_backward(y, cache)[0, :, 0]
        array([0., 2., 0., 0.])
    """
    _check_pairs("cropping", x, cropping)
    if any(before + after >= size for (before, after), size in zip(cropping, x.shape[1:-1], strict=True)):
        raise ValueError(f"cropping {tuple(cropping)} leaves nothing of samples of shape {x.shape[1:]}; crop less")
    return x[_inside(cropping, x.shape)], (cropping,)


@backward_of(cropping)
def cropping_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`cropping`)."""
    (cropping,) = cache
    return _embed(dy, cropping)
