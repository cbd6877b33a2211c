r"""Overlap of a predicted mask with the true one: the Dice and Tversky losses of segmentation.

Cross-entropy asks each pixel on its own, so that a small organ hardly counts; Dice asks for the whole region, but says
little where nothing overlaps yet. Their sum has the virtues of both.
"""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op
from tinymed.ops.softmax import log_softmax
from tinymed.ops.targets import EPSILON, check_same_shape, clipped, one_hot

Axes = int | tuple[int, ...] | None


@op
def dice_loss(y_true: Array, y_pred: Array, axis: Axes = None) -> tuple[Array, tuple]:
    r"""One minus the Dice coefficient, which is F1 of the pixels.

    Forward:
        $\ell = 1 - \frac{2 I}{S}, \quad I = \sum y p, \quad S = \sum y + \sum p + \varepsilon$, with
        $\varepsilon = 10^{-7}$

        With an empty mask ($\sum y = 0$) the loss is 1 whatever is predicted, also for an empty prediction.

    Backward:
        $dp = -d\ell\, \frac{2}{S} \left( y - \frac{I}{S} \right)$

    Shapes:
        ========  ==============  ======================================================
        y_true    any             often (N, H, W, 1)
        y_pred    as y_true
        loss      the axes that are not in ``axis``; none of them, a single number, if ``axis`` is None
        ========  ==============  ======================================================

    Arguments:
        y_true: Masks of 0 and 1; they get no gradient.
        y_pred: Probabilities.
        axis: The axes summed over; None for all, the batch included; ``(1, 2, 3)`` for one loss per image.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> loss, cache = dice_loss(np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.5, 0.5]]), axis=-1)
        >>> loss.round(4)
        array([0.25])
        >>> dice_loss_backward(np.array([1.0]), cache).round(4)
        array([[-0.3125, -0.3125,  0.1875]])

    Source:
        Milletari, Navab and Ahmadi, V-Net, 2016; the formula is Keras's.
    """
    check_same_shape("the Dice loss", y_true, y_pred)
    overlap = _total(y_true * y_pred, axis)
    size = _total(y_true, axis) + _total(y_pred, axis) + EPSILON
    return _without(1.0 - 2.0 * overlap / size, axis), (y_true, overlap, size)


@backward_of(dice_loss)
def dice_loss_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`dice_loss`)."""
    y_true, overlap, size = cache
    dy = array_namespace(dy).reshape(dy, size.shape)
    return -dy * (2.0 / size) * (y_true - overlap / size)


@op
def tversky_loss(
    y_true: Array, y_pred: Array, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None
) -> tuple[Array, tuple]:
    r"""One minus the Tversky index: Dice with a weight for each kind of mistake.

    Forward:
        $\ell = 1 - \frac{I}{S}, \quad I = \sum y p, \quad
        S = I + \alpha \sum y (1 - p) + \beta \sum (1 - y) p + \varepsilon, \quad \varepsilon = 10^{-7}$

        So $\alpha$ weighs what was missed and $\beta$ what was invented. That is what Keras computes, though its
        documentation and the paper name them the other way round. $\alpha = \beta = 1/2$ is Dice.

    Backward:
        $dp = -\frac{d\ell}{S} \left( y - \frac{I}{S} \left( y - \alpha y + \beta (1 - y) \right) \right)$

    Shapes:
        ========  ==============  ======================================================
        y_true    any             often (N, H, W, 1)
        y_pred    as y_true
        loss      the axes that are not in ``axis``; none of them, a single number, if ``axis`` is None
        ========  ==============  ======================================================

    Arguments:
        y_true: Masks of 0 and 1; they get no gradient.
        y_pred: Probabilities.
        alpha: Weight $\alpha$ of missed pixels (false negatives).
        beta: Weight $\beta$ of invented pixels (false positives).
        axis: The axes summed over; None for all, the batch included; ``(1, 2, 3)`` for one loss per image.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import numpy as np
        >>> y_true, y_pred = np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
        >>> tversky_loss(y_true, y_pred, alpha=1.0, beta=0.0, axis=-1)[0].round(4)
        array([0.5])

    Source:
        Salehi, Erdogmus and Gholipour, Tversky Loss Function for Image Segmentation, 2017; the formula is Keras's.
    """
    check_same_shape("the Tversky loss", y_true, y_pred)
    overlap = _total(y_true * y_pred, axis)
    missed = _total(y_true * (1.0 - y_pred), axis)
    invented = _total((1.0 - y_true) * y_pred, axis)
    size = overlap + alpha * missed + beta * invented + EPSILON
    return _without(1.0 - overlap / size, axis), (y_true, overlap, size, alpha, beta)


@backward_of(tversky_loss)
def tversky_loss_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`tversky_loss`)."""
    y_true, overlap, size, alpha, beta = cache
    dy = array_namespace(dy).reshape(dy, size.shape)
    dsize = (1.0 - alpha) * y_true + beta * (1.0 - y_true)
    return -(dy / size) * (y_true - (overlap / size) * dsize)


@op
def softmax_dice_crossentropy(
    y_true: Array, y_pred: Array, dice_weight: float = 1.0, smooth: float = 1.0, background: bool = False
) -> tuple[Array, tuple]:
    r"""Cross-entropy of all pixels plus one minus the mean Dice coefficient of the classes, on logits.

    Forward:
        $\ell = -\frac1M \sum_m \log p_{m y_m} + \lambda \left( 1 - \frac{1}{|C|} \sum_{c \in C} D_c \right), \quad
        D_c = \frac{2 I_c + s}{S_c}, \quad I_c = \sum_m t_{mc} p_{mc}, \quad S_c = \sum_m t_{mc} + \sum_m p_{mc} + s$

        with $p = \operatorname{softmax}(z)$, $t_{mc} = [y_m = c]$, and the sums over all M pixels of the batch. A class
        that occurs nowhere and is predicted nowhere has $D_c = 1$, thanks to $s$.

    Backward:
        $dp_{mc} = -\frac{\lambda}{|C|} \frac{2 t_{mc} - D_c}{S_c}$ for $c \in C$, 0 for others;

        $dz_{mc} = d\ell \left( \frac{p_{mc} - t_{mc}}{M} + p_{mc} \left( dp_{mc} - \sum_k dp_{mk} p_{mk} \right)
        \right)$

    Shapes:
        ========  ==============  =============================================
        y_true    (...)           class numbers from 0 to K - 1; often (N, H, W)
        y_pred    (..., K)        $z$
        loss      ()              one number for the batch
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Logits.
        dice_weight: $\lambda$.
        smooth: $s > 0$, in pixels.
        background: Whether class 0 is one of C; without it C has the classes from 1 on.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> y, z = np.array([1, 0]), np.array([[0.0, np.log(3.0)], [np.log(3.0), 0.0]])  # p of the right class: 3/4
        >>> loss, cache = softmax_dice_crossentropy(y, z)
        >>> round(float(loss), 4)  # -log 3/4 + 1 - (2 * 3/4 + 1) / (1 + 1 + 1)
        0.4543
        >>> softmax_dice_crossentropy_backward(np.array(1.0), cache).round(4)
        array([[ 0.1979, -0.1979],
               [-0.1771,  0.1771]])

    Source:
        Isensee, Jaeger, Kohl, Petersen and Maier-Hein, nnU-Net, Nature Methods 18, 2021.
    """
    _, hot = one_hot("Dice with cross-entropy", y_true, y_pred)
    log_p, _ = log_softmax(y_pred)
    xp = array_namespace(y_pred)
    t, p = xp.astype(hot, y_pred.dtype), xp.exp(log_p)
    pixels = max(math.prod(y_true.shape), 1)
    loss, dice, size, share = _dice_of_classes(t, p, dice_weight, smooth, background)
    return xp.asarray(loss - xp.sum(t * log_p) / pixels), (t, p, dice, size, share, pixels)


@backward_of(softmax_dice_crossentropy)
def softmax_dice_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the logits (see :func:`softmax_dice_crossentropy`)."""
    t, p, dice, size, share, pixels = cache
    dp = share * (dice - 2.0 * t) / size
    dz = (p - t) / pixels + p * (dp - array_namespace(dy).sum(dp * p, axis=-1, keepdims=True))
    return dy * dz


@op
def dice_crossentropy(
    y_true: Array, y_pred: Array, dice_weight: float = 1.0, smooth: float = 1.0, background: bool = False
) -> tuple[Array, tuple]:
    r"""Cross-entropy of all pixels plus one minus the mean Dice coefficient of the classes, on probabilities.

    Forward:
        As :func:`softmax_dice_crossentropy`, with the probabilities clipped to $[\varepsilon, 1 - \varepsilon],
        \varepsilon = 10^{-7}$, in the logarithm.

    Backward:
        $dp_{mc} = d\ell \left( -\frac{t_{mc}}{M p_{mc}} - \frac{\lambda}{|C|} \frac{2 t_{mc} - D_c}{S_c} \right)$,
        the first term 0 where $p$ was clipped, the second for $c \in C$ only

    Shapes:
        ========  ==============  =============================================
        y_true    (...)           class numbers from 0 to K - 1; often (N, H, W)
        y_pred    (..., K)        $p$
        loss      ()              one number for the batch
        ========  ==============  =============================================

    Arguments:
        y_true: Targets; they get no gradient.
        y_pred: Probabilities.
        dice_weight: $\lambda$.
        smooth: $s > 0$, in pixels.
        background: Whether class 0 is one of C; without it C has the classes from 1 on.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss, cache = dice_crossentropy(np.array([1, 0]), np.array([[0.25, 0.75], [0.75, 0.25]]))
        >>> round(float(loss), 4)
        0.4543
        >>> dice_crossentropy_backward(np.array(1.0), cache).round(4)
        array([[ 0.    , -1.0556],
               [-0.6667,  0.2778]])

    Source:
        As :func:`softmax_dice_crossentropy`.
    """
    _, hot = one_hot("Dice with cross-entropy", y_true, y_pred)
    xp = array_namespace(y_pred)
    t = xp.astype(hot, y_pred.dtype)
    q, inside = clipped(y_pred)
    pixels = max(math.prod(y_true.shape), 1)
    loss, dice, size, share = _dice_of_classes(t, y_pred, dice_weight, smooth, background)
    return xp.asarray(loss - xp.sum(t * xp.log(q)) / pixels), (t, q, inside, dice, size, share, pixels)


@backward_of(dice_crossentropy)
def dice_crossentropy_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the probabilities (see :func:`dice_crossentropy`)."""
    t, q, inside, dice, size, share, pixels = cache
    xp = array_namespace(dy)
    return dy * (share * (dice - 2.0 * t) / size - xp.where(inside, t / q, 0.0) / pixels)


def _dice_of_classes(
    t: Array, p: Array, weight: float, smooth: float, background: bool
) -> tuple[Array, Array, Array, Array]:
    """Return the Dice term of the loss; Dice and size of each class (K,), and its share in the mean."""
    xp = array_namespace(p)
    over = tuple(range(p.ndim - 1))
    size = xp.sum(t, axis=over) + xp.sum(p, axis=over) + smooth
    dice = (2.0 * xp.sum(t * p, axis=over) + smooth) / size
    classes = xp.arange(p.shape[-1], device=device_of(p))
    counted = xp.astype(classes >= (0 if background or p.shape[-1] == 1 else 1), p.dtype)
    share = counted * (weight / xp.sum(counted))
    return xp.sum(share * (1.0 - dice)), dice, size, share


def _total(x: Array, axis: Axes) -> Array:
    return array_namespace(x).sum(x, axis=axis, keepdims=True)


def _without(x: Array, axis: Axes) -> Array:
    """Drop the summed axes, which have size 1 now."""
    xp = array_namespace(x)
    return xp.reshape(x, ()) if axis is None else xp.squeeze(x, axis=axis)
