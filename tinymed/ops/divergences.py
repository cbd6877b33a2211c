r"""Losses between distributions, counts and directions: Kullback-Leibler, Poisson, cosine."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import EPSILON, check_same_shape


@op
def kl_divergence(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""The Kullback-Leibler divergence of one distribution from another.

    Forward:
        $\ell = \sum_c y_c \log \frac{y_c}{p_c}$, both clipped to $[\varepsilon, 1], \varepsilon = 10^{-7}$

    Backward:
        $dp = -d\ell\, \frac{y}{p}$, and 0 where $p$ was clipped

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $p$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Probabilities; they get no gradient.
        y_pred: Probabilities.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = kl_divergence(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]]))
        >>> loss.round(4)
        array([0.1438])
        >>> kl_divergence_backward(np.array([3.0]), cache)
        array([[-6., -2.]])

    Source:
        Kullback and Leibler, On Information and Sufficiency, 1951.
    """
    check_same_shape("the KL divergence", y_true, y_pred)
    xp = array_namespace(y_pred)
    y = xp.minimum(xp.maximum(y_true, EPSILON), 1.0)
    p = xp.minimum(xp.maximum(y_pred, EPSILON), 1.0)
    return xp.sum(y * xp.log(y / p), axis=-1), (y, p, (y_pred >= EPSILON) & (y_pred <= 1.0))


@backward_of(kl_divergence)
def kl_divergence_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`kl_divergence`)."""
    y, p, inside = cache
    return dy[..., None] * array_namespace(dy).where(inside, -y / p, 0.0)


@op
def poisson(y_true: Array, y_pred: Array) -> tuple[Array, tuple]:
    r"""The negative log-likelihood of counts, up to a constant.

    Forward:
        $\ell = \frac1K \sum_k \lambda_k - y_k \log(\lambda_k + \varepsilon), \quad \varepsilon = 10^{-7}$

    Backward:
        $d\lambda = \frac{d\ell}{K} \left( 1 - \frac{y}{\lambda + \varepsilon} \right)$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\lambda$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Counts; they get no gradient.
        y_pred: Expected counts, none below 0.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> poisson(np.array([[2.0]]), np.array([[1.0]]))[0].round(4)
        array([1.])

    Source:
        Keras's poisson.
    """
    check_same_shape("the Poisson loss", y_true, y_pred)
    xp = array_namespace(y_pred)
    return xp.mean(y_pred - y_true * xp.log(y_pred + EPSILON), axis=-1), (y_true, y_pred)


@backward_of(poisson)
def poisson_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the expected counts (see :func:`poisson`)."""
    y_true, y_pred = cache
    return (dy[..., None] / y_pred.shape[-1]) * (1.0 - y_true / (y_pred + EPSILON))


@op
def cosine_similarity(y_true: Array, y_pred: Array, axis: int = -1) -> tuple[Array, tuple]:
    r"""The negative cosine of the angle between two vectors: -1 for one direction, 1 for opposite ones.

    Forward:
        $\ell = -\sum_k u_k v_k, \quad u = y / \max(\lVert y \rVert, \varepsilon), \quad
        v = \hat y / \max(\lVert \hat y \rVert, \varepsilon), \quad \varepsilon = 10^{-7}$

    Backward:
        $d\hat y = -d\ell\, \frac{u - v \sum_k u_k v_k}{\max(\lVert \hat y \rVert, \varepsilon)}$, without the second
        term where $\lVert \hat y \rVert < \varepsilon$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        $y$
        y_pred    (..., K)        $\hat y$
        loss      (...)           the shape of y_pred without ``axis``
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Predictions.
        axis: The axis along which the vectors lie.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]))[0].round(4)
        array([-0.6])

    Source:
        Keras's cosine_similarity, with its sign.
    """
    check_same_shape("the cosine similarity", y_true, y_pred)
    xp = array_namespace(y_pred)
    u, _ = _unit(y_true, axis)
    v, norm = _unit(y_pred, axis)
    return -xp.sum(u * v, axis=axis), (u, v, norm, axis)


@backward_of(cosine_similarity)
def cosine_similarity_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the predictions (see :func:`cosine_similarity`)."""
    u, v, norm, axis = cache
    xp = array_namespace(dy)
    along = xp.where(norm >= EPSILON, xp.sum(u * v, axis=axis, keepdims=True), 0.0)
    return -xp.expand_dims(dy, axis=axis) * (u - v * along) / xp.maximum(norm, EPSILON)


def _unit(x: Array, axis: int) -> tuple[Array, Array]:
    xp = array_namespace(x)
    norm = xp.sqrt(xp.sum(x * x, axis=axis, keepdims=True))
    return x / xp.maximum(norm, EPSILON), norm
