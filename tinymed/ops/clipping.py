r"""Limits on the size of gradients, applied before an optimizer's step.

A gradient that is not finite is never hidden: with a norm that is infinite or NaN, the clipped values are all NaN.
The norms stay on the device.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.backend import Array, array_namespace, device_of


def clip_by_value(x: Array, limit: float) -> Array:
    r"""Return each value cut off at $\pm$ ``limit``.

    >>> import numpy as np
    >>> clip_by_value(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-1. ,  0.5,  1. ])
    """
    xp = array_namespace(x)
    return xp.minimum(xp.maximum(x, -limit), limit)


def clip_by_norm(x: Array, limit: float) -> Array:
    r"""Return $x \cdot \min(1, \text{limit} / \lVert x \rVert_2)$: the same direction, no longer than ``limit``.

    >>> import numpy as np
    >>> clip_by_norm(np.array([3.0, 4.0]), 1.0)
    array([0.6, 0.8])
    """
    return clip_by_global_norm([x], limit)[0]


def clip_by_global_norm(arrays: Sequence[Array], limit: float) -> list[Array]:
    r"""Return all arrays times $\min(1, \text{limit} / \text{norm})$, with their common :func:`global_norm`.

    >>> import numpy as np
    >>> clip_by_global_norm([np.array([3.0]), np.array([4.0])], 1.0)
    [array([0.6]), array([0.8])]

    Source:
        Pascanu, Mikolov and Bengio 2013, algorithm 1.
    """
    if not arrays:
        return []
    norm = global_norm(arrays)
    xp = array_namespace(norm)
    scale = limit / xp.maximum(norm, limit)  # exactly 1 for a norm within the limit
    scale = xp.where(xp.isfinite(norm), scale, xp.nan)
    return [x * xp.astype(scale, x.dtype, copy=False) for x in arrays]


def global_norm(arrays: Sequence[Array]) -> Array:
    r"""Return $\sqrt{\sum_k \sum_i x_{ki}^2}$, the length of all arrays joined into one vector.

    >>> import numpy as np
    >>> float(global_norm([np.array([3.0]), np.array([[4.0]])]))
    5.0
    """
    xp = array_namespace(*arrays)
    largest = total = xp.zeros((), dtype=arrays[0].dtype, device=device_of(arrays[0]))
    for x in arrays:
        if x.size:
            largest = xp.maximum(largest, xp.astype(xp.max(xp.abs(x)), largest.dtype, copy=False))
    # The gradients of a network that begins to diverge fit into float32, while their squares do not. A power of two
    # makes large ones smaller without any rounding; others are multiplied by 1.
    large = xp.astype(largest > 2.0**60, largest.dtype)
    scale = large * 2.0**-70 + (1.0 - large)
    for x in arrays:
        smaller = x * xp.astype(scale, x.dtype, copy=False)
        total = total + xp.sum(smaller * smaller)
    return xp.asarray(xp.sqrt(total) / scale)
