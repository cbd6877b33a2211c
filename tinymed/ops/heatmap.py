r"""Focal cross-entropy of heat maps: 1 at the centre of each lesion, less around it, 0 elsewhere.

On logits and on probabilities, for the reason that :mod:`tinymed.ops.cross_entropy` explains.
"""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.activations_smooth import sigmoid
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import check_same_shape, clipped


@op
def sigmoid_heatmap_focal_crossentropy(
    y_true: Array, y_pred: Array, alpha: float = 2.0, beta: float = 4.0
) -> tuple[Array, tuple]:
    r"""Penalty-reduced focal cross-entropy on logits: the sigmoid is part of the formula.

    Forward:
        $\ell = \frac{1}{\max(1, M)} \sum_i
        \begin{cases} -(1 - p_i)^\alpha \log p_i & y_i = 1 \\
        -(1 - y_i)^\beta\, p_i^\alpha \log(1 - p_i) & \text{otherwise} \end{cases}, \quad p = \sigma(z)$

        with $M$ the number of centres, where $y_i = 1$. Around a centre $y$ falls off from 1 to 0: to answer there is
        hardly wrong, and $(1 - y)^\beta$ makes the penalty small.

    Backward:
        $dz_i = \frac{d\ell}{\max(1, M)}
        \begin{cases} (1 - p)^\alpha \left( \alpha\, p \log p - (1 - p) \right) & y = 1 \\
        (1 - y)^\beta\, p^\alpha \left( p - \alpha (1 - p) \log(1 - p) \right) & \text{otherwise} \end{cases}$

    Shapes:
        ========  ==============  ==================================================
        y_true    any             often (N, H, W, K), a map for each of K kinds
        y_pred    as y_true       $z$
        loss      ()              one number
        ========  ==============  ==================================================

    Arguments:
        y_true: Heat maps from 0 to 1, exactly 1 at the centres; they get no gradient.
        y_pred: Logits.
        alpha: Exponent $\alpha$ of how wrong the answer is, at least 1.
        beta: Exponent $\beta$ of the distance from a centre.

    Raises:
        ValueError: If the shapes differ, or ``alpha`` is below 1.

    Example:
        >>> import numpy as np
        >>> y_true, z = np.array([[1.0, 0.5, 0.0]]), np.array([[0.0, 0.0, 0.0]])
        >>> loss, cache = sigmoid_heatmap_focal_crossentropy(y_true, z)
        >>> round(float(loss), 4)
        0.3574
        >>> sigmoid_heatmap_focal_crossentropy_backward(np.array(1.0), cache).round(4)
        array([[-0.2983,  0.0186,  0.2983]])

    Source:
        Law and Deng, CornerNet, 2018; Zhou, Wang and Krähenbühl, Objects as Points, 2019.
    """
    _check(y_true, y_pred, alpha)
    xp = array_namespace(y_pred)
    p, q = sigmoid(y_pred)[0], sigmoid(-y_pred)[0]  # q = 1 - p, to all its digits
    common = xp.log1p(xp.exp(-xp.abs(y_pred)))
    log_p = xp.minimum(y_pred, 0.0) - common
    log_q = xp.minimum(-y_pred, 0.0) - common
    centre = y_true == 1.0
    far = (1.0 - y_true) ** beta
    values = xp.where(centre, -(q**alpha) * log_p, -far * p**alpha * log_q)
    count = _centres(centre, y_pred)
    return xp.asarray(xp.sum(values) / count), (centre, far, p, q, log_p, log_q, alpha, count)


@backward_of(sigmoid_heatmap_focal_crossentropy)
def sigmoid_heatmap_focal_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`sigmoid_heatmap_focal_crossentropy`)."""
    centre, far, p, q, log_p, log_q, alpha, count = cache
    found = q**alpha * (alpha * p * log_p - q)
    elsewhere = far * p**alpha * (p - alpha * q * log_q)
    return (dy / count) * array_namespace(p).where(centre, found, elsewhere)


@op
def heatmap_focal_crossentropy(
    y_true: Array, y_pred: Array, alpha: float = 2.0, beta: float = 4.0
) -> tuple[Array, tuple]:
    r"""Penalty-reduced focal cross-entropy on probabilities.

    Forward:
        $\ell = \frac{1}{\max(1, M)} \sum_i
        \begin{cases} -(1 - p_i)^\alpha \log p_i & y_i = 1 \\
        -(1 - y_i)^\beta\, p_i^\alpha \log(1 - p_i) & \text{otherwise} \end{cases}$

        with $p$ clipped to $[\varepsilon, 1 - \varepsilon], \varepsilon = 10^{-7}$, in the logarithms only, and $M$ the
        number of centres, where $y_i = 1$.

    Backward:
        $dp_i = \frac{d\ell}{\max(1, M)}
        \begin{cases} (1 - p)^{\alpha - 1} \left( \alpha \log p - \frac{1 - p}{p} \right) & y = 1 \\
        (1 - y)^\beta\, p^{\alpha - 1} \left( \frac{p}{1 - p} - \alpha \log(1 - p) \right)
        & \text{otherwise} \end{cases}$, the quotients 0 where $p$ was clipped

    Shapes:
        ========  ==============  ==================================================
        y_true    any             often (N, H, W, K), a map for each of K kinds
        y_pred    as y_true       $p$
        loss      ()              one number
        ========  ==============  ==================================================

    Arguments:
        y_true: Heat maps from 0 to 1, exactly 1 at the centres; they get no gradient.
        y_pred: Probabilities.
        alpha: Exponent $\alpha$ of how wrong the answer is, at least 1.
        beta: Exponent $\beta$ of the distance from a centre.

    Raises:
        ValueError: If the shapes differ, or ``alpha`` is below 1.

    Example:
        >>> import numpy as np
        >>> y_true, p = np.array([[1.0, 0.5, 0.0]]), np.array([[0.5, 0.5, 0.5]])
        >>> round(float(heatmap_focal_crossentropy(y_true, p)[0]), 4)
        0.3574

    Source:
        Law and Deng, CornerNet, 2018; Zhou, Wang and Krähenbühl, Objects as Points, 2019.
    """
    _check(y_true, y_pred, alpha)
    xp = array_namespace(y_pred)
    safe, inside = clipped(y_pred)
    centre = y_true == 1.0
    far = (1.0 - y_true) ** beta
    values = xp.where(centre, -((1.0 - y_pred) ** alpha) * xp.log(safe), -far * y_pred**alpha * xp.log1p(-safe))
    count = _centres(centre, y_pred)
    return xp.asarray(xp.sum(values) / count), (centre, far, y_pred, safe, inside, alpha, count)


@backward_of(heatmap_focal_crossentropy)
def heatmap_focal_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`heatmap_focal_crossentropy`)."""
    centre, far, p, safe, inside, alpha, count = cache
    xp = array_namespace(p)
    slope = xp.astype(inside, p.dtype)
    found = (1.0 - p) ** (alpha - 1.0) * (alpha * xp.log(safe) - slope * (1.0 - p) / safe)
    elsewhere = far * p ** (alpha - 1.0) * (slope * p / (1.0 - safe) - alpha * xp.log1p(-safe))
    return (dy / count) * xp.where(centre, found, elsewhere)


def _check(y_true: Array, y_pred: Array, alpha: float) -> None:
    check_same_shape("the focal loss of heat maps", y_true, y_pred)
    if alpha < 1:
        raise ValueError(f"the focal loss of heat maps needs alpha of at least 1 but got {alpha}")


def _centres(centre: Array, like: Array) -> Array:
    """Return the number of centres, at least 1, in the dtype of ``like``."""
    xp = array_namespace(like)
    return xp.maximum(xp.sum(xp.astype(centre, like.dtype)), 1.0)
