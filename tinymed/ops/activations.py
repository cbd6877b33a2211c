r"""Activations made of straight pieces: linear, ReLU and its relatives, the hard sigmoid.

At a kink, where no derivative exists, each takes the slope that TensorFlow takes, and says which. NaN stays NaN.
The curved ones are in :mod:`tinymed.ops.activations_smooth`.
"""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op


@op
def linear(x: Array) -> tuple[Array, None]:
    r"""Return a copy of the input: the activation of a layer that has none.

    Forward:
        $y = x$

    Backward:
        $dx = dy$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, any unit.

    Example:
        >>> import numpy as np
        >>> linear(np.array([-1.0, 2.0]))[0]
        array([-1.,  2.])

    Source:
        The identity; nothing is said of it in the documents.
    """
    return array_namespace(x).asarray(x, copy=True), None


@backward_of(linear)
def linear_backward(dy: Array, cache: None) -> Array:
    """Return ``dx`` (see :func:`linear`), a copy of ``dy``."""
    return array_namespace(dy).asarray(dy, copy=True)


@op
def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> tuple[Array, tuple]:
    r"""Keep what is positive and replace the rest by zero.

    Forward:
        $y = \max(0, x)$ with the default arguments; in general, with slope $a$, threshold $t$ and maximum $m$,

        $y = \begin{cases} m & x \ge m \\ x & t < x < m \\ a\,(x - t) & x \le t \end{cases}$

    Backward:
        $dx = dy \cdot \{\,0 \text{ where } x \ge m,\ 1 \text{ where } t < x < m,\ a \text{ where } x \le t\,\}$;
        so the slope at $x = 0$ is 0, as TensorFlow has it.

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, any unit.
        negative_slope: Slope $a$ below the threshold.
        max_value: Upper limit $m$; None for no limit.
        threshold: The value $t$ up to which the input is damped.

    Raises:
        ValueError: If ``max_value`` is negative.

    Example:
        >>> import numpy as np
        >>> y, cache = relu(np.array([-2.0, 0.0, 3.0]))
        >>> y
        array([0., 0., 3.])
        >>> relu_backward(np.array([10.0, 20.0, 30.0]), cache)
        array([ 0.,  0., 30.])

    Source:
        D3 §4.2; the arguments beyond x are Keras's.
    """
    if max_value is not None and max_value < 0:
        raise ValueError(f"relu needs a max_value of 0 or more but got {max_value}")
    xp = array_namespace(x)
    if not negative_slope and max_value is None and not threshold:
        y = xp.maximum(x, 0.0)
        return y, (y, 0.0, None, 0.0)  # y > 0 exactly where x > 0: nothing else need be kept
    y = xp.maximum(x, 0.0) if not threshold else xp.where(x <= threshold, 0.0, x)
    if max_value is not None:
        y = xp.minimum(y, float(max_value))
    if negative_slope:
        y = y + negative_slope * xp.minimum(x - threshold, 0.0)
    return y, (x, negative_slope, max_value, threshold)


@backward_of(relu)
def relu_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`relu`)."""
    x, negative_slope, max_value, threshold = cache
    xp = array_namespace(dy)
    slope = xp.astype(x > threshold, dy.dtype)  # 0 or 1; a product with it is faster than a choice by it
    if negative_slope:
        slope = slope + negative_slope * (1.0 - slope)
    if max_value is not None:
        slope = slope * xp.astype(x < max_value, dy.dtype)
    return dy * slope


@op
def relu6(x: Array) -> tuple[Array, tuple]:
    r"""Limit the input to the range from 0 to 6.

    Forward:
        $y = \min(\max(0, x), 6)$

    Backward:
        $dx = dy$ where $0 < x < 6$, and 0 elsewhere.

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, any unit.

    Example:
        >>> import numpy as np
        >>> relu6(np.array([-1.0, 5.0, 7.0]))[0]
        array([0., 5., 6.])

    Source:
        Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010.
    """
    return relu(x, max_value=6.0)


@backward_of(relu6)
def relu6_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`relu6`)."""
    return relu_backward(dy, cache)


@op
def leaky_relu(x: Array, negative_slope: float = 0.2) -> tuple[Array, tuple]:
    r"""Keep what is positive and shrink what is negative.

    Forward:
        $y = \begin{cases} x & x > 0 \\ a x & x \le 0 \end{cases}$

    Backward:
        $dx = dy$ where $x > 0$, and $a\,dy$ elsewhere, $x = 0$ included.

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, any unit.
        negative_slope: $a$.

    Example:
        >>> import numpy as np
        >>> leaky_relu(np.array([-10.0, 0.0, 3.0]))[0]
        array([-2.,  0.,  3.])

    Source:
        Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013.
    """
    return relu(x, negative_slope=negative_slope)


@backward_of(leaky_relu)
def leaky_relu_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`leaky_relu`)."""
    return relu_backward(dy, cache)


@op
def prelu(x: Array, alpha: Array) -> tuple[Array, tuple]:
    r"""Shrink what is negative by a slope that is learned.

    Forward:
        $y = \max(0, x) + \alpha \min(0, x)$

    Backward:
        $dx = dy \cdot \{1 \text{ where } x > 0,\ \alpha \text{ where } x \le 0\}, \quad
        d\alpha = \sum dy \min(0, x)$, the sum running over samples and over the axes in which $\alpha$ has size 1.

    Shapes:
        ========  ============  ==================================================
        x         (N, ...)
        alpha     (...)         the axes of x without N, any of them of size 1
        y         (N, ...)
        ========  ============  ==================================================

    Arguments:
        x: Input, any unit.
        alpha: Slopes.

    Raises:
        ValueError: If ``alpha`` does not fit ``x``.

    Example:
        >>> import numpy as np
        >>> y, cache = prelu(np.array([[-4.0, 2.0]]), np.array([0.25, 0.25]))
        >>> y
        array([[-1.,  2.]])
        >>> prelu_backward(np.array([[1.0, 1.0]]), cache)
        (array([[0.25, 1.  ]]), array([-4.,  0.]))

    Source:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015.
    """
    fits = len(alpha.shape) == len(x.shape) - 1 and all(
        a in (1, size) for a, size in zip(alpha.shape, x.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"prelu expects alpha of the shape {tuple(x.shape[1:])} (or 1 in some axes) but got {tuple(alpha.shape)}"
        )
    xp = array_namespace(x)
    return xp.maximum(x, 0.0) + alpha * xp.minimum(x, 0.0), (x, alpha)


@backward_of(prelu)
def prelu_backward(dy: Array, cache: tuple) -> tuple[Array, Array]:
    """Return ``dx, dalpha`` (see :func:`prelu`)."""
    x, alpha = cache
    xp = array_namespace(dy)
    dx = xp.where(x > 0, dy, alpha * dy)
    dalpha = xp.sum(dy * xp.minimum(x, 0.0), axis=0)  # (N, ...) -> (...)
    shared = tuple(i for i, size in enumerate(alpha.shape) if size == 1)
    return dx, xp.sum(dalpha, axis=shared, keepdims=True) if shared else dalpha


@op
def hard_sigmoid(x: Array) -> tuple[Array, Array]:
    r"""A sigmoid of three straight pieces.

    Forward:
        $y = \tfrac16 \min(\max(0, x + 3), 6)$

    Backward:
        $dx = \tfrac16 dy$ where $-3 < x < 3$, and 0 elsewhere.

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, any unit.

    Example:
        >>> import numpy as np
        >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5, 4.0]))[0]
        array([0.  , 0.5 , 0.75, 1.  ])

    Source:
        Courbariaux, Bengio and David, BinaryConnect, 2015; the slope 1/6 is Keras 3's.
    """
    xp = array_namespace(x)
    return xp.minimum(xp.maximum(x + 3.0, 0.0), 6.0) / 6.0, x


@backward_of(hard_sigmoid)
def hard_sigmoid_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`hard_sigmoid`)."""
    x = cache
    xp = array_namespace(dy)
    return xp.where((x > -3) & (x < 3), dy / 6.0, 0.0)
