r"""Focal cross-entropy: what is classified well already counts little.

Each on logits and on probabilities, for the reason that :mod:`tinymed.ops.cross_entropy` explains.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.backend import Array, array_namespace, constant
from tinymed.ops.activations_smooth import sigmoid
from tinymed.ops.registry import backward_of, op
from tinymed.ops.softmax import log_softmax
from tinymed.ops.targets import check_same_shape, clipped, smoothed


@op
def sigmoid_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> tuple[Array, tuple]:
    r"""Binary focal cross-entropy on logits: the sigmoid is part of the formula.

    Forward:
        $\ell = \frac1K \sum_k w u^\gamma b, \quad b = \max(0, z) - y z + \log(1 + e^{-|z|}), \quad
        u = y (1 - p) + (1 - y) p, \quad p = \sigma(z)$

        with $w = y \alpha + (1 - y)(1 - \alpha)$ for balanced classes, else $w = 1$; $u$ is how wrong the answer is.

    Backward:
        $dz = \frac{d\ell}{K} w \left( u^\gamma (p - y) + \gamma u^{\gamma - 1} b\, (1 - 2 y)\, p (1 - p) \right)$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        K independent yes/no questions, often K = 1
        y_pred    (..., K)        $z$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets between 0 and 1; they get no gradient.
        y_pred: Logits.
        apply_class_balancing: Whether to weigh the two classes.
        alpha: Weight $\alpha$ of class 1.
        gamma: Exponent $\gamma$; 0 is plain cross-entropy.
        label_smoothing: $s$ in $y (1 - s) + s / 2$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> sigmoid_focal_crossentropy(np.array([[1.0], [1.0]]), np.array([[0.0], [np.log(9.0)]]))[0].round(4)
        array([0.1733, 0.0011])

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal Loss for Dense Object Detection, 2017.
    """
    check_same_shape("binary focal cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    z, t = y_pred, smoothed(y_true, label_smoothing, 2)
    p, q = sigmoid(z)[0], sigmoid(-z)[0]  # q = 1 - p, to all its digits
    b = xp.maximum(z, 0.0) - t * z + xp.log1p(xp.exp(-xp.abs(z)))
    u = t * q + (1.0 - t) * p
    w = t * alpha + (1.0 - t) * (1.0 - alpha) if apply_class_balancing else 1.0
    return xp.mean(w * u**gamma * b, axis=-1), (t, p, q, b, u, w, gamma)


@backward_of(sigmoid_focal_crossentropy)
def sigmoid_focal_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`sigmoid_focal_crossentropy`)."""
    t, p, q, b, u, w, gamma = cache
    dz = u**gamma * (p - t) + _power_slope(u, gamma) * b * (1.0 - 2.0 * t) * p * q
    return (dy[..., None] / p.shape[-1]) * w * dz


@op
def binary_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> tuple[Array, tuple]:
    r"""Binary focal cross-entropy on probabilities.

    Forward:
        $\ell = \frac1K \sum_k w u^\gamma b, \quad b = -y \log p - (1 - y) \log(1 - p), \quad u = y (1 - p) + (1 - y) p$

        with $p$ clipped to $[\varepsilon, 1 - \varepsilon], \varepsilon = 10^{-7}$, in $b$ only;
        $w = y \alpha + (1 - y)(1 - \alpha)$ for balanced classes and $w = 1$ otherwise.

    Backward:
        $dp = \frac{d\ell}{K} w \left( u^\gamma \frac{p - y}{p (1 - p)} + \gamma u^{\gamma - 1} b\, (1 - 2 y) \right)$,
        the first term 0 where $p$ was clipped

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        K independent yes/no questions, often K = 1
        y_pred    (..., K)        $p$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets between 0 and 1; they get no gradient.
        y_pred: Probabilities.
        apply_class_balancing: Whether to weigh the two classes.
        alpha: Weight $\alpha$ of class 1.
        gamma: Exponent $\gamma$; 0 is plain cross-entropy.
        label_smoothing: $s$ in $y (1 - s) + s / 2$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> binary_focal_crossentropy(np.array([[1.0], [1.0]]), np.array([[0.5], [0.9]]))[0].round(4)
        array([0.1733, 0.0011])

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal Loss for Dense Object Detection, 2017.
    """
    check_same_shape("binary focal cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    t = smoothed(y_true, label_smoothing, 2)
    p, inside = clipped(y_pred)
    b = -t * xp.log(p) - (1.0 - t) * xp.log(1.0 - p)
    u = t * (1.0 - y_pred) + (1.0 - t) * y_pred
    w = t * alpha + (1.0 - t) * (1.0 - alpha) if apply_class_balancing else 1.0
    return xp.mean(w * u**gamma * b, axis=-1), (t, p, inside, b, u, w, gamma)


@backward_of(binary_focal_crossentropy)
def binary_focal_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`binary_focal_crossentropy`)."""
    t, p, inside, b, u, w, gamma = cache
    xp = array_namespace(dy)
    db = xp.where(inside, (p - t) / (p * (1.0 - p)), 0.0)
    return (dy[..., None] / p.shape[-1]) * w * (u**gamma * db + _power_slope(u, gamma) * b * (1.0 - 2.0 * t))


@op
def softmax_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> tuple[Array, tuple]:
    r"""Focal cross-entropy of K classes on logits: the softmax is part of the formula.

    Forward:
        $\ell = -\sum_c \alpha_c y_c (1 - p_c)^\gamma \log p_c, \quad \log p_c = z_c - \log \sum_k e^{z_k}$

    Backward:
        $g_c = -d\ell\, \alpha_c y_c \left( (1 - p_c)^\gamma - \gamma (1 - p_c)^{\gamma - 1} p_c \log p_c \right), \quad
        dz_c = g_c - p_c \sum_k g_k$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        one-hot, or any distribution over the classes
        y_pred    (..., K)        $z$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Logits.
        alpha: Weight $\alpha$ of all classes, or one for each of the K classes.
        gamma: Exponent $\gamma$; 0 is plain cross-entropy.
        label_smoothing: $s$ in $y (1 - s) + s / K$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> softmax_focal_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]), alpha=1.0)[0].round(4)
        array([0.1733])

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal Loss for Dense Object Detection, 2017.
    """
    check_same_shape("categorical focal cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    t = _weights(alpha, y_pred) * smoothed(y_true, label_smoothing, y_true.shape[-1])
    log_p, _ = log_softmax(y_pred)
    u = -xp.expm1(log_p)  # 1 - p, to all its digits
    return -xp.sum(t * u**gamma * log_p, axis=-1), (t, log_p, u, gamma)


@backward_of(softmax_focal_crossentropy)
def softmax_focal_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`softmax_focal_crossentropy`)."""
    t, log_p, u, gamma = cache
    xp = array_namespace(dy)
    p = xp.exp(log_p)
    g = -dy[..., None] * t * (u**gamma - _power_slope(u, gamma) * p * log_p)
    return g - p * xp.sum(g, axis=-1, keepdims=True)


@op
def categorical_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> tuple[Array, tuple]:
    r"""Focal cross-entropy of K classes on probabilities.

    Forward:
        $\ell = -\sum_c \alpha_c y_c (1 - q_c)^\gamma \log q_c, \quad q_c = p_c / \sum_k p_k$, then clipped to
        $[\varepsilon, 1 - \varepsilon]$ with $\varepsilon = 10^{-7}$

    Backward:
        $dq_c = -d\ell\, \alpha_c y_c \left( (1 - q_c)^\gamma / q_c - \gamma (1 - q_c)^{\gamma - 1} \log q_c \right)$
        (0 where clipped), $\quad dp_c = \frac{dq_c - \sum_k dq_k q_k}{\sum_k p_k}$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        one-hot, or any distribution over the classes
        y_pred    (..., K)        $p$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Probabilities, or positive numbers in proportion to them.
        alpha: Weight $\alpha$ of all classes, or one for each of the K classes.
        gamma: Exponent $\gamma$; 0 is plain cross-entropy.
        label_smoothing: $s$ in $y (1 - s) + s / K$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> categorical_focal_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), alpha=1.0)[0].round(4)
        array([0.1733])

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal Loss for Dense Object Detection, 2017.
    """
    check_same_shape("categorical focal cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    t = _weights(alpha, y_pred) * smoothed(y_true, label_smoothing, y_true.shape[-1])
    total = xp.sum(y_pred, axis=-1, keepdims=True)
    total = xp.where(total == 0, 1.0, total)  # probabilities that are all zero are clipped below, not 0/0
    q = y_pred / total
    safe, _ = clipped(q)
    return -xp.sum(t * (1.0 - safe) ** gamma * xp.log(safe), axis=-1), (t, q, total, gamma)


@backward_of(categorical_focal_crossentropy)
def categorical_focal_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`categorical_focal_crossentropy`)."""
    t, q, total, gamma = cache
    xp = array_namespace(dy)
    safe, inside = clipped(q)
    slope = (1.0 - safe) ** gamma / safe - _power_slope(1.0 - safe, gamma) * xp.log(safe)
    dq = -dy[..., None] * xp.where(inside, t * slope, 0.0)
    return (dq - xp.sum(dq * q, axis=-1, keepdims=True)) / total


def _power_slope(u: Array, gamma: float) -> Array:
    r"""Return the derivative of $u^\gamma$; finite at $u = 0$ also for gamma below 1, where it is multiplied by 0."""
    xp = array_namespace(u)
    if gamma == 0:
        return xp.zeros_like(u)
    return gamma * (u if gamma >= 1 else xp.maximum(u, 1e-30)) ** (gamma - 1.0)


def _weights(alpha: float | Sequence[float], y_pred: Array) -> Array | float:
    if not isinstance(alpha, list | tuple):
        return alpha
    if len(alpha) != y_pred.shape[-1]:
        raise ValueError(f"alpha has {len(alpha)} weights but y_pred has {y_pred.shape[-1]} classes")
    return constant(alpha, y_pred)
