r"""Overlap of a predicted mask with the true one: the Dice and Tversky losses of segmentation."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import EPSILON, check_same_shape

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


def _total(x: Array, axis: Axes) -> Array:
    return array_namespace(x).sum(x, axis=axis, keepdims=True)


def _without(x: Array, axis: Axes) -> Array:
    """Drop the summed axes, which have size 1 now."""
    xp = array_namespace(x)
    return xp.reshape(x, ()) if axis is None else xp.squeeze(x, axis=axis)
