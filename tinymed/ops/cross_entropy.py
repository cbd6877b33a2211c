r"""Cross-entropy: on the scores before a sigmoid or softmax (logits), and on probabilities.

On logits the logarithm and the exponential cancel on paper, before any number is rounded. What remains is exact:

* $\log\sigma(z)$ and $\log\operatorname{softmax}(z)$ are sums, in which nothing overflows and no digit is lost;
* the gradient is $p - y$. For softmax, $\ell = -\sum_c y_c (z_c - \log\sum_k e^{z_k})$, and as
  $\partial \log\sum_k e^{z_k} / \partial z_c = p_c$ and $\sum_c y_c = 1$, we get
  $\partial\ell / \partial z_c = p_c - y_c$. For the sigmoid, $\ell = \log(1 + e^z) - y z$, and the derivative of
  $\log(1 + e^z)$ is $\sigma(z) = p$.

On probabilities the chain rule gives $\frac{p - y}{p (1 - p)} \cdot p (1 - p)$: the same on paper, but where $p$ has
been rounded to 0 or 1 it is $0 / 0$, and clipping turns it into 0. The sample that is most wrong then teaches nothing.
That is why training runs on logits wherever the last activation allows it.
"""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.activations_smooth import sigmoid
from tinymed.ops.registry import backward_of, op
from tinymed.ops.softmax import log_softmax
from tinymed.ops.targets import check_same_shape, clipped, one_hot, smoothed


@op
def sigmoid_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    r"""Binary cross-entropy on logits: the sigmoid is part of the formula.

    Forward:
        $\ell = \frac1K \sum_k \max(0, z_k) - y_k z_k + \log(1 + e^{-|z_k|})$, which is
        $-\frac1K \sum_k y_k \log p_k + (1 - y_k) \log(1 - p_k)$ with $p = \sigma(z)$

    Backward:
        $dz = \frac{d\ell}{K} (p - y)$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        K independent yes/no questions, often K = 1
        y_pred    (..., K)        $z$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets between 0 and 1; they get no gradient.
        y_pred: Logits.
        label_smoothing: $s$ in $y (1 - s) + s / 2$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = sigmoid_crossentropy(np.array([[1.0], [0.0]]), np.array([[0.0], [1e4]]))
        >>> loss.round(4)
        array([6.931e-01, 1.000e+04])
        >>> sigmoid_crossentropy_backward(np.array([1.0, 1.0]), cache)
        array([[-0.5],
               [ 1. ]])

    Source:
        D0 §4, with both terms that one output for two classes needs.
    """
    check_same_shape("binary cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    z, t = y_pred, smoothed(y_true, label_smoothing, 2)
    terms = xp.maximum(z, 0.0) - t * z + xp.log1p(xp.exp(-xp.abs(z)))
    return xp.mean(terms, axis=-1), (t, z)


@backward_of(sigmoid_crossentropy)
def sigmoid_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`sigmoid_crossentropy`)."""
    t, z = cache
    return (dy[..., None] / z.shape[-1]) * (sigmoid(z)[0] - t)


@op
def binary_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    r"""Binary cross-entropy on probabilities.

    Forward:
        $\ell = -\frac1K \sum_k y_k \log p_k + (1 - y_k) \log(1 - p_k)$ with $p$ clipped to
        $[\varepsilon, 1 - \varepsilon], \varepsilon = 10^{-7}$

    Backward:
        $dp = \frac{d\ell}{K} \frac{p - y}{p (1 - p)}$, and 0 where $p$ was clipped

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        K independent yes/no questions, often K = 1
        y_pred    (..., K)        $p$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets between 0 and 1; they get no gradient.
        y_pred: Probabilities.
        label_smoothing: $s$ in $y (1 - s) + s / 2$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = binary_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.5, 0.75]]))
        >>> loss.round(4)
        array([1.0397])
        >>> binary_crossentropy_backward(np.array([1.0]), cache)
        array([[-1.,  2.]])

    Source:
        D0 §4, with both terms that one output for two classes needs.
    """
    check_same_shape("binary cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    t = smoothed(y_true, label_smoothing, 2)
    p, inside = clipped(y_pred)
    return -xp.mean(t * xp.log(p) + (1.0 - t) * xp.log(1.0 - p), axis=-1), (t, p, inside)


@backward_of(binary_crossentropy)
def binary_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`binary_crossentropy`)."""
    t, p, inside = cache
    xp = array_namespace(dy)
    return (dy[..., None] / p.shape[-1]) * xp.where(inside, (p - t) / (p * (1.0 - p)), 0.0)


@op
def softmax_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    r"""Cross-entropy of K classes on logits: the softmax is part of the formula.

    Forward:
        $\ell = -\sum_c y_c \log p_c, \quad \log p_c = z_c - \log \sum_k e^{z_k}$ (shifted by the maximum)

    Backward:
        $dz_c = d\ell \left( p_c \sum_k y_k - y_c \right)$, so $d\ell\, (p_c - y_c)$ for targets that add up to one

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        one-hot, or any distribution over the classes
        y_pred    (..., K)        $z$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Logits.
        label_smoothing: $s$ in $y (1 - s) + s / K$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = softmax_crossentropy(np.array([[0.0, 1.0]]), np.array([[0.0, np.log(3.0)]]))
        >>> loss.round(4)
        array([0.2877])
        >>> softmax_crossentropy_backward(np.array([1.0]), cache)
        array([[ 0.25, -0.25]])

    Source:
        D0 §4 with D4 §3.1.3.
    """
    check_same_shape("categorical cross-entropy", y_true, y_pred)
    t = smoothed(y_true, label_smoothing, y_true.shape[-1])
    log_p, _ = log_softmax(y_pred)
    return -array_namespace(y_pred).sum(t * log_p, axis=-1), (t, log_p)


@backward_of(softmax_crossentropy)
def softmax_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`softmax_crossentropy`)."""
    t, log_p = cache
    xp = array_namespace(dy)
    return dy[..., None] * (xp.exp(log_p) * xp.sum(t, axis=-1, keepdims=True) - t)


@op
def categorical_crossentropy(y_true: Array, y_pred: Array, label_smoothing: float = 0.0) -> tuple[Array, tuple]:
    r"""Cross-entropy of K classes on probabilities.

    Forward:
        $\ell = -\sum_c y_c \log q_c, \quad q_c = p_c / \sum_k p_k$, then clipped to $[\varepsilon, 1 - \varepsilon]$
        with $\varepsilon = 10^{-7}$

    Backward:
        $dq_c = -d\ell\, y_c / q_c$ (0 where clipped), $\quad dp_c = \frac{dq_c - \sum_k dq_k q_k}{\sum_k p_k}$

    Shapes:
        ========  ==============  =============================================
        y_true    (..., K)        one-hot, or any distribution over the classes
        y_pred    (..., K)        $p$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Probabilities, or positive numbers in proportion to them.
        label_smoothing: $s$ in $y (1 - s) + s / K$, which replaces $y$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = categorical_crossentropy(np.array([[0.0, 1.0]]), np.array([[0.25, 0.75]]))
        >>> loss.round(4)
        array([0.2877])
        >>> categorical_crossentropy_backward(np.array([0.75]), cache)
        array([[ 0.75, -0.25]])

    Source:
        D0 §4.
    """
    check_same_shape("categorical cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    t = smoothed(y_true, label_smoothing, y_true.shape[-1])
    total = xp.sum(y_pred, axis=-1, keepdims=True)
    total = xp.where(total == 0, 1.0, total)  # probabilities that are all zero are clipped below, not 0/0
    q = y_pred / total
    return -xp.sum(t * xp.log(clipped(q)[0]), axis=-1), (t, q, total)


@backward_of(categorical_crossentropy)
def categorical_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`categorical_crossentropy`)."""
    t, q, total = cache
    xp = array_namespace(dy)
    safe, inside = clipped(q)
    dq = dy[..., None] * xp.where(inside, -t / safe, 0.0)
    return (dq - xp.sum(dq * q, axis=-1, keepdims=True)) / total


@op
def sparse_softmax_crossentropy(y_true: Array, y_pred: Array, ignore_class: int | None = None) -> tuple[Array, tuple]:
    r"""Cross-entropy of K classes on logits, for targets that are class numbers.

    Forward:
        $\ell = -\log p_y, \quad \log p_c = z_c - \log \sum_k e^{z_k}$ (shifted by the maximum);
        0 where $y$ is the ignored class, NaN where $y$ is no class at all

    Backward:
        $dz_c = d\ell\, (p_c - [c = y])$; 0 where $y$ is the ignored class

    Shapes:
        ========  ==============  =============================================
        y_true    (...)           class numbers from 0 to K - 1
        y_pred    (..., K)        $z$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Logits.
        ignore_class: A number that means "do not count this one", such as -1 or 255; None for no such number.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss, cache = sparse_softmax_crossentropy(np.array([1, -1]), np.zeros((2, 2)), ignore_class=-1)
        >>> loss.round(4)
        array([0.6931, 0.    ])
        >>> sparse_softmax_crossentropy_backward(np.array([1.0, 1.0]), cache)
        array([[ 0.5, -0.5],
               [ 0. ,  0. ]])

    Source:
        D0 §4 with D4 §3.1.3; the loss of the program in D3 §5.1.
    """
    labels, hot = one_hot("sparse categorical cross-entropy", y_true, y_pred)
    log_p, _ = log_softmax(y_pred)
    return _picked(log_p, labels, hot, ignore_class), (log_p, labels, hot, ignore_class)


@backward_of(sparse_softmax_crossentropy)
def sparse_softmax_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`sparse_softmax_crossentropy`)."""
    log_p, labels, hot, ignore_class = cache
    xp = array_namespace(dy)
    if ignore_class is not None:
        dy = xp.where(labels == ignore_class, 0.0, dy)
    return dy[..., None] * (xp.exp(log_p) - xp.astype(hot, dy.dtype))


@op
def sparse_categorical_crossentropy(
    y_true: Array, y_pred: Array, ignore_class: int | None = None
) -> tuple[Array, tuple]:
    r"""Cross-entropy of K classes on probabilities, for targets that are class numbers.

    Forward:
        $\ell = -\log \frac{q_y}{\sum_k q_k}$ with $q$ the probabilities clipped to $[\varepsilon, 1 - \varepsilon],
        \varepsilon = 10^{-7}$; 0 where $y$ is the ignored class, NaN where $y$ is no class at all

    Backward:
        $dp_c = d\ell \left( \frac{1}{\sum_k q_k} - \frac{[c = y]}{q_c} \right)$; 0 where $p$ was clipped and where $y$
        is the ignored class

    Shapes:
        ========  ==============  =============================================
        y_true    (...)           class numbers from 0 to K - 1
        y_pred    (..., K)        $p$
        loss      (...)
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Probabilities.
        ignore_class: A number that means "do not count this one", such as -1 or 255; None for no such number.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss, cache = sparse_categorical_crossentropy(np.array([1]), np.array([[0.75, 0.25]]))
        >>> loss.round(4)
        array([1.3863])
        >>> sparse_categorical_crossentropy_backward(np.array([1.0]), cache)
        array([[ 1., -3.]])

    Source:
        D0 §4; the loss of the program in D3 §5.1.
    """
    labels, hot = one_hot("sparse categorical cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    q, inside = clipped(y_pred)
    log_q = xp.log(q) - xp.log(xp.sum(q, axis=-1, keepdims=True))
    return _picked(log_q, labels, hot, ignore_class), (q, inside, labels, hot, ignore_class)


@backward_of(sparse_categorical_crossentropy)
def sparse_categorical_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`sparse_categorical_crossentropy`)."""
    q, inside, labels, hot, ignore_class = cache
    xp = array_namespace(dy)
    if ignore_class is not None:
        dy = xp.where(labels == ignore_class, 0.0, dy)
    dq = 1.0 / xp.sum(q, axis=-1, keepdims=True) - xp.where(hot, 1.0 / q, 0.0)
    return dy[..., None] * xp.where(inside, dq, 0.0)


def _picked(log_p: Array, labels: Array, hot: Array, ignore_class: int | None) -> Array:
    r"""Return $-\log p$ of the right class: 0 for the ignored class, NaN for a number that is no class."""
    xp = array_namespace(log_p)
    loss = -xp.sum(xp.where(hot, log_p, 0.0), axis=-1)  # (..., K) -> (...)
    loss = xp.where((labels >= 0) & (labels < log_p.shape[-1]), loss, float("nan"))
    return loss if ignore_class is None else xp.where(labels == ignore_class, 0.0, loss)
