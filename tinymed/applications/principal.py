r"""Principal components, with which autoencoders are compared.

The first $k$ right singular vectors of the centred images span the $k$-dimensional space in which the images, projected
onto it, keep the most variance: no other linear code of $k$ numbers reconstructs them with less squared error
(Eckart and Young 1936).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend


def components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal components of centred rows, and their variances.

    Args:
        x: Samples (N, D), of mean zero.

    Returns:
        Components (min(N, D), D), orthonormal rows, the one of largest variance first; variances (min(N, D),).
    """
    _, values, rows = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    return rows, values**2 / len(x)


def errors(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mean squared error of the reconstruction of ``x`` by the first 0, 1, 2 ... components.

    >>> errors(np.eye(2), np.array([[3.0, 1.0]]))
    array([5. , 0.5, 0. ])
    """
    x = x.astype(np.float64)
    kept = np.concatenate([[0.0], np.cumsum(np.mean((x @ rows.T) ** 2, axis=0))]) / x.shape[1]
    return np.maximum(np.mean(x**2) - kept, 0.0)


def decoder_rows(model: Any) -> np.ndarray:
    """Return what a linear decoder adds for each number of the code, (code, D): the rows of its kernel."""
    layers = {layer.name: layer for layer in model.layers}
    return backend.to_host(layers["decoder"].params["kernel"]).astype(np.float64)


def angle(model: Any, rows: np.ndarray) -> float:
    """Return the largest principal angle, in degrees, between a linear decoder's space and the components'."""
    from scipy.linalg import subspace_angles

    decoder = decoder_rows(model)
    if not np.isfinite(decoder).all():
        return float("nan")
    return float(np.degrees(subspace_angles(decoder.T, rows[: len(decoder)].T)[0]))


def shadows(decoder: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the first components projected onto the space that the decoder's rows span.

    >>> shadows(np.array([[0.3, 0.4]]), np.array([[1.0, 0.0]])).round(2)
    array([[0.36, 0.48]])
    """
    _, _, axes = np.linalg.svd(decoder, full_matrices=False)
    return rows[: len(axes)] @ axes.T @ axes
