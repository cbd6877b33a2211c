"""How good a deformation is: its distance from the known one, and whether it tears or folds the image."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace


def endpoint_error(truth: Array, field: Array, inside: Array | None = None) -> Array:
    r"""Return the mean distance between two displacement fields, in pixels: $\frac1M \sum_p |u_p - v_p|$.

    Arguments:
        truth: The known displacements (N, H, W, 2).
        field: Those that were found.
        inside: Which pixels count, boolean (N, H, W); all if omitted. Where the image is empty nothing can be found.

    Returns:
        One mean for each field, (N,).

    Example:
        >>> import numpy as np
        >>> endpoint_error(np.zeros((1, 2, 2, 2)), np.full((1, 2, 2, 2), (3.0, 4.0)))
        array([5.])
    """
    xp = array_namespace(truth, field)
    if tuple(truth.shape) != tuple(field.shape) or truth.ndim != 4:
        raise ValueError(
            f"endpoint_error expects two fields (N, H, W, 2) but got {tuple(truth.shape)} and {tuple(field.shape)}"
        )
    e = truth - field
    distance = xp.sqrt(xp.sum(e * e, axis=-1))
    if inside is None:
        return xp.mean(distance, axis=(1, 2))
    weight = xp.astype(inside, distance.dtype)
    return xp.sum(distance * weight, axis=(1, 2)) / xp.maximum(xp.sum(weight, axis=(1, 2)), 1.0)


def jacobian_determinant(field: Array) -> Array:
    r"""Return by what factor a deformation $p \mapsto p + u(p)$ changes areas, pixel by pixel.

    $J = (1 + \partial_h u_0)(1 + \partial_w u_1) - \partial_w u_0\, \partial_h u_1$ with differences of neighbouring
    pixels: 1 where nothing is stretched, below 1 where the image shrinks, and 0 or less where it folds over itself.

    Arguments:
        field: Displacements (N, H, W, 2), in pixels.

    Returns:
        (N, H - 1, W - 1): each value belongs to the square between four pixels, at its upper left corner.

    Example:
        >>> import numpy as np
        >>> shrink = np.stack(np.meshgrid([0.0, -0.5], [0.0, 0.0], indexing="ij"), axis=-1)
        >>> jacobian_determinant(shrink[np.newaxis])
        array([[[0.5]]])
    """
    if field.ndim != 4 or field.shape[-1] != 2:
        raise ValueError(f"jacobian_determinant expects fields (N, H, W, 2) but got {tuple(field.shape)}")
    along = field[:, 1:, :-1, :] - field[:, :-1, :-1, :]
    across = field[:, :-1, 1:, :] - field[:, :-1, :-1, :]
    return (1 + along[..., 0]) * (1 + across[..., 1]) - across[..., 0] * along[..., 1]


def folding(field: Array) -> Array:
    """Return which part of the image is folded over itself: where the Jacobian determinant is 0 or less, (N,)."""
    xp = array_namespace(field)
    determinant = jacobian_determinant(field)
    return xp.mean(xp.astype(determinant <= 0, determinant.dtype), axis=(1, 2))
