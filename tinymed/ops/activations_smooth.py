r"""Curved activations: sigmoid, tanh, softplus and what is built from them, ELU, SELU, GELU.

Each is written so that no intermediate value overflows for inputs of ±1e4, and NaN stays NaN.
"""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op
from tinymed.ops.special import erf

_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772


@op
def sigmoid(x: Array) -> tuple[Array, Array]:
    r"""The logistic function: any number to a number between 0 and 1.

    Forward:
        $y = \sigma(x) = \frac{1}{1 + e^{-x}}$, computed for negative $x$ as $\frac{e^x}{1 + e^x}$: with
        $e^{-|x|} \le 1$ nothing overflows, and small probabilities keep all their digits.

    Backward:
        $dx = dy\, y (1 - y)$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Scores (logits), pure numbers.

    Example:
        >>> import numpy as np
        >>> y, cache = sigmoid(np.array([-1e4, 0.0, np.log(3.0)]))
        >>> y
        array([0.  , 0.5 , 0.75])
        >>> sigmoid_backward(np.array([1.0, 1.0, 16.0]), cache)
        array([0.  , 0.25, 3.  ])

    Source:
        D3 §4.2 (by name); the output of the programs in D0 §5 and D2 §4.
    """
    xp = array_namespace(x)
    y = xp.exp(xp.minimum(x, 0.0)) / (1.0 + xp.exp(-xp.abs(x)))
    return y, y


@backward_of(sigmoid)
def sigmoid_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`sigmoid`)."""
    y = cache
    return dy * (y * (1.0 - y))


@op
def tanh(x: Array) -> tuple[Array, Array]:
    r"""The hyperbolic tangent: any number to a number between -1 and 1.

    Forward:
        $y = \tanh x = \frac{e^x - e^{-x}}{e^x + e^{-x}}$

    Backward:
        $dx = dy\, (1 - y^2)$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> y, cache = tanh(np.array([0.0, np.log(3.0)]))
        >>> y
        array([0. , 0.8])
        >>> tanh_backward(np.array([1.0, 1.0]), cache).round(2)
        array([1.  , 0.36])

    Source:
        D3 §4.2 (by name); D4 §3.2.1.
    """
    y = array_namespace(x).tanh(x)
    return y, y


@backward_of(tanh)
def tanh_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`tanh`)."""
    y = cache
    return dy * (1.0 - y * y)


@op
def exponential(x: Array) -> tuple[Array, Array]:
    r"""The exponential function.

    Forward:
        $y = e^x$ (infinite from $x = 89$ on in float32)

    Backward:
        $dx = dy\, y$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> exponential(np.array([0.0, np.log(2.0)]))[0]
        array([1., 2.])

    Source:
        Keras's activation of that name.
    """
    y = array_namespace(x).exp(x)
    return y, y


@backward_of(exponential)
def exponential_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`exponential`)."""
    return dy * cache


@op
def softplus(x: Array) -> tuple[Array, Array]:
    r"""A smooth ReLU.

    Forward:
        $y = \log(1 + e^x) = \max(0, x) + \log(1 + e^{-|x|})$; the second form does not overflow.

    Backward:
        $dx = dy\, \sigma(x)$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> softplus(np.array([-1e4, 0.0, 1e4]))[0].round(4)
        array([0.000e+00, 6.931e-01, 1.000e+04])

    Source:
        Dugas, Bengio, Belisle, Nadeau and Garcia, Incorporating Second-Order Functional Knowledge, 2001.
    """
    xp = array_namespace(x)
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x))), x


@backward_of(softplus)
def softplus_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`softplus`)."""
    return dy * sigmoid(cache)[0]


@op
def softsign(x: Array) -> tuple[Array, Array]:
    r"""A sigmoid between -1 and 1 that approaches its limits slowly.

    Forward:
        $y = \frac{x}{1 + |x|}$

    Backward:
        $dx = \frac{dy}{(1 + |x|)^2}$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> softsign(np.array([-1.0, 0.0, 3.0]))[0]
        array([-0.5 ,  0.  ,  0.75])

    Source:
        Turian, Bergstra and Bengio, Quadratic Features and Deep Architectures for Chunking, 2009.
    """
    return x / (1.0 + array_namespace(x).abs(x)), x


@backward_of(softsign)
def softsign_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`softsign`)."""
    slope = 1.0 / (1.0 + array_namespace(dy).abs(cache))
    return dy * (slope * slope)


@op
def silu(x: Array) -> tuple[Array, tuple]:
    r"""The input times its own sigmoid; also known as swish.

    Forward:
        $y = x\, \sigma(x)$

    Backward:
        $dx = dy \left( s + x\, s (1 - s) \right), \quad s = \sigma(x)$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> silu(np.array([-1e4, 0.0, 1e4]))[0]
        array([   -0.,     0., 10000.])

    Source:
        Ramachandran, Zoph and Le, Searching for Activation Functions, 2017.
    """
    s, _ = sigmoid(x)
    return x * s, (x, s)


@backward_of(silu)
def silu_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`silu`)."""
    x, s = cache
    return dy * (s + x * s * (1.0 - s))


@op
def mish(x: Array) -> tuple[Array, tuple]:
    r"""The input times the tanh of its softplus.

    Forward:
        $y = x \tanh(\log(1 + e^x))$

    Backward:
        $dx = dy \left( t + x\, \sigma(x) (1 - t^2) \right), \quad t = \tanh(\log(1 + e^x))$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> mish(np.array([0.0, 1.0]))[0].round(4)
        array([0.    , 0.8651])

    Source:
        Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019.
    """
    t = array_namespace(x).tanh(softplus(x)[0])
    return x * t, (x, t)


@backward_of(mish)
def mish_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`mish`)."""
    x, t = cache
    return dy * (t + x * sigmoid(x)[0] * (1.0 - t * t))


@op
def elu(x: Array, alpha: float = 1.0) -> tuple[Array, tuple]:
    r"""Keep what is positive; let what is negative level off at $-\alpha$.

    Forward:
        $y = \begin{cases} x & x > 0 \\ \alpha (e^x - 1) & x \le 0 \end{cases}$

    Backward:
        $dx = dy$ where $x > 0$, and $\alpha e^x dy$ elsewhere, $x = 0$ included.

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.
        alpha: $\alpha$.

    Example:
        >>> import numpy as np
        >>> elu(np.array([-1e4, -np.log(2.0), 3.0]))[0]
        array([-1. , -0.5,  3. ])

    Source:
        Clevert, Unterthiner and Hochreiter, Fast and Accurate Deep Network Learning by ELUs, 2015.
    """
    xp = array_namespace(x)
    return xp.maximum(x, 0.0) + alpha * xp.expm1(xp.minimum(x, 0.0)), (x, alpha)


@backward_of(elu)
def elu_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`elu`)."""
    x, alpha = cache
    xp = array_namespace(dy)
    return xp.where(x > 0, dy, dy * (alpha * xp.exp(xp.minimum(x, 0.0))))


@op
def selu(x: Array) -> tuple[Array, Array]:
    r"""An ELU scaled so that mean 0 and variance 1 are kept from layer to layer.

    Forward:
        $y = \lambda \begin{cases} x & x \ge 0 \\ \alpha (e^x - 1) & x < 0 \end{cases}$
        with $\lambda = 1.0507\ldots, \alpha = 1.6733\ldots$

    Backward:
        $dx = \lambda\, dy$ where $x \ge 0$, and $\lambda \alpha e^x dy$ elsewhere.

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> selu(np.array([-1e4, 0.0, 1.0]))[0].round(4)
        array([-1.7581,  0.    ,  1.0507])

    Source:
        Klambauer, Unterthiner, Mayr and Hochreiter, Self-Normalizing Neural Networks, 2017.
    """
    xp = array_namespace(x)
    return _SELU_SCALE * (xp.maximum(x, 0.0) + _SELU_ALPHA * xp.expm1(xp.minimum(x, 0.0))), x


@backward_of(selu)
def selu_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`selu`)."""
    x = cache
    xp = array_namespace(dy)
    return dy * xp.where(x >= 0, _SELU_SCALE, _SELU_SCALE * _SELU_ALPHA * xp.exp(xp.minimum(x, 0.0)))


@op
def gelu(x: Array, approximate: bool = False) -> tuple[Array, tuple]:
    r"""The input times the probability that a standard normal variable is below it.

    Forward:
        $y = x\, \Phi(x) = \tfrac{x}{2} \left( 1 + \operatorname{erf}(x / \sqrt2) \right)$, or approximately
        $\tfrac{x}{2} (1 + t), \quad t = \tanh\left( \sqrt{2/\pi}\, (x + 0.044715\, x^3) \right)$

    Backward:
        $dx = dy \left( \Phi(x) + x\, \tfrac{1}{\sqrt{2\pi}} e^{-x^2/2} \right)$, or approximately
        $dy\, \tfrac12 \left( 1 + t + x (1 - t^2) \sqrt{2/\pi}\, (1 + 3 \cdot 0.044715\, x^2) \right)$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.
        approximate: Whether to use the form with tanh.

    Example:
        >>> import numpy as np
        >>> gelu(np.array([-1.0, 0.0, 1.0]))[0].round(4)
        array([-0.1587,  0.    ,  0.8413])

    Source:
        Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    xp = array_namespace(x)
    if approximate:
        t = xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    else:
        t, _ = erf(x * math.sqrt(0.5))
    return 0.5 * x * (1.0 + t), (x, t, approximate)


@backward_of(gelu)
def gelu_backward(dy: Array, cache: tuple) -> Array:
    """Return ``dx`` (see :func:`gelu`)."""
    x, t, approximate = cache
    if approximate:
        slope = (1.0 - t * t) * math.sqrt(2 / math.pi) * (1.0 + 3 * 0.044715 * x * x)
        return 0.5 * dy * (1.0 + t + x * slope)
    density = array_namespace(dy).exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return dy * (0.5 * (1.0 + t) + x * density)
