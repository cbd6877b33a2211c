r"""How rough a displacement field is: the penalty that keeps registration from tearing the image apart."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import check_same_shape


@op
def displacement_smoothness(y_true: Array, y_pred: Array, order: int = 1) -> tuple[Array, tuple]:
    r"""The squared derivatives of a displacement field, averaged over the pixels.

    Forward:
        with $u = \hat y - y$ (targets of zero, as in learning without known displacements, leave $u = \hat y$) and the
        differences $(\Delta_h u)_{h,w} = u_{h+1,w} - u_{h,w}$, $(\Delta_w u)_{h,w} = u_{h,w+1} - u_{h,w}$

        order 1 (diffusion): $\ell = \frac{1}{HW} \sum (\Delta_h u)^2 + (\Delta_w u)^2$; only a constant field costs
        nothing

        order 2 (bending energy): $\ell = \frac{1}{HW} \sum (\Delta_h \Delta_h u)^2 + 2 (\Delta_h \Delta_w u)^2 +
        (\Delta_w \Delta_w u)^2$; no affine field costs anything

        each sum running over the pixels at which the difference lies inside the image, and over both components

    Backward:
        $du = \frac{2\, d\ell}{HW} \sum_D m_D\, D^T D u$ over the differences $D$ above with their factors $m_D$;
        $(\Delta_h^T v)_{h,w} = v_{h-1,w} - v_{h,w}$, where $v$ outside its range is 0

    Shapes:
        ========  ==============  ==========================================
        y_true    (N, H, W, C)    zeros, or displacements that are expected
        y_pred    (N, H, W, C)    $\hat y$, often C = 2
        loss      (N,)
        ========  ==============  ==========================================

    Arguments:
        y_true: What the roughness is measured from; gets no gradient.
        y_pred: Displacement fields, in pixels.
        order: 1 for first derivatives, 2 for second ones.

    Raises:
        ValueError: If the shapes differ, there are not four axes, or the order is neither 1 nor 2.

    Example:
        >>> import numpy as np
        >>> field = np.array([0.0, 0.0, 3.0]).reshape(1, 1, 3, 1)
        >>> loss, cache = displacement_smoothness(np.zeros_like(field), field)
        >>> loss
        array([3.])
        >>> displacement_smoothness_backward(np.array([1.0]), cache)[0, 0, :, 0]
        array([ 0., -2.,  2.])

    Source:
        Order 1: Balakrishnan et al., VoxelMorph, 2019. Order 2: Rueckert et al., IEEE Transactions on Medical Imaging,
        1999.
    """
    check_same_shape("the smoothness of a displacement field", y_true, y_pred)
    if y_pred.ndim != 4:
        raise ValueError(f"displacement_smoothness expects fields (N, H, W, 2) but got shape {tuple(y_pred.shape)}")
    if order not in (1, 2):
        raise ValueError(f"displacement_smoothness knows order 1 and 2 but got {order!r}")
    xp = array_namespace(y_pred)
    u = y_pred - y_true
    total = xp.zeros((u.shape[0],), dtype=u.dtype, device=device_of(u))
    for axes, factor in _terms(u, order):
        d = u
        for axis in axes:
            d = _difference(d, axis)
        total = total + factor * xp.sum(d * d, axis=(1, 2, 3))
    return total / (u.shape[1] * u.shape[2]), (u, order)


@backward_of(displacement_smoothness)
def displacement_smoothness_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the field (see :func:`displacement_smoothness`)."""
    u, order = cache
    xp = array_namespace(u)
    du = xp.zeros(u.shape, dtype=u.dtype, device=device_of(u))
    for axes, factor in _terms(u, order):
        d = u
        for axis in axes:
            d = _difference(d, axis)
        for axis in reversed(axes):
            d = _difference_adjoint(d, axis)
        du = du + factor * d
    return du * (dy * (2.0 / (u.shape[1] * u.shape[2])))[:, None, None, None]


_TERMS: dict[int, tuple[tuple[tuple[int, ...], int], ...]] = {
    1: (((1,), 1), ((2,), 1)),
    2: (((1, 1), 1), ((1, 2), 2), ((2, 2), 1)),
}
"""For each order: the axes along which differences are taken, one after the other, and the factor of the square."""


def _terms(u: Array, order: int) -> list[tuple[tuple[int, ...], int]]:
    """Return the terms for which the field is large enough."""
    return [term for term in _TERMS[order] if all(u.shape[axis] > term[0].count(axis) for axis in term[0])]


def _difference(u: Array, axis: int) -> Array:
    """Return each value's step to the next along an axis, which becomes shorter by one."""
    if axis == 1:
        return u[:, 1:, :, :] - u[:, :-1, :, :]
    return u[:, :, 1:, :] - u[:, :, :-1, :]


def _difference_adjoint(v: Array, axis: int) -> Array:
    """Return the adjoint: each value goes to its two neighbours, with minus to the former. Longer by one."""
    xp = array_namespace(v)
    size = list(v.shape)
    size[axis] = 1
    edge = xp.zeros(tuple(size), dtype=v.dtype, device=device_of(v))
    return xp.concat([edge, v], axis=axis) - xp.concat([v, edge], axis=axis)
