r"""One step of each optimizer: from a weight, its gradient and what the optimizer remembers, the new values.

The functions are pure. What an optimizer remembers of a weight (its *slots*: momentum $m$, velocity $v$ ...) has the
weight's shape, comes in as an argument and goes out as a result. With ``out``, a tuple of arrays in the order of
the results, the new values are written there instead of into new arrays; ``out`` may hold the arguments
themselves, and then the step happens in place.

Symbols: $w$ weight, $g$ its gradient, $\eta$ learning rate, $\lambda$ weight decay, $t$ the step's number from 1.
Weight decay is decoupled in all of them (Loshchilov and Hutter 2019): it shrinks the weight itself,
$w - \eta\lambda w$, and does not pass through momentum or scaling as a term of the loss would.
"""

from __future__ import annotations

import math
import operator

from tinymed.backend import Array, array_namespace
from tinymed.live import Live, itself, number
from tinymed.ops.registry import update

Slot = Array | None


@update
def sgd_update(
    param: Array,
    grad: Array,
    m: Slot = None,
    learning_rate: float | Live = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    out: tuple[Slot, ...] | None = None,
) -> tuple[Slot, ...]:
    r"""Step against the gradient, with or without momentum.

    Forward:
        $w \leftarrow w - \eta\lambda w$; without momentum $w \leftarrow w - \eta g$; with momentum $\mu$
        $m \leftarrow \mu m - \eta g$ and $w \leftarrow w + m$; Nesterov's $w \leftarrow w + \mu m - \eta g$

    Shapes:
        ============  ========  ======================================
        param, grad   (...)     $w, g$
        m             (...)     or None where ``momentum`` is 0
        ============  ========  ======================================

    Arguments:
        param: Weight.
        grad: Its gradient.
        m: Momentum, zero at first.
        learning_rate: $\eta$.
        momentum: $\mu$, from 0 to 1.
        nesterov: Whether to step from where momentum will lead.
        weight_decay: $\lambda$.
        out: Where the new ``param, m`` go; new arrays if omitted.

    Example:
        >>> import numpy as np
        >>> w, g = np.array([1.0, 2.0]), np.array([10.0, -10.0])
        >>> sgd_update(w, g, learning_rate=0.1)
        (array([0., 3.]), None)

    Source:
        Robbins and Monro 1951; Polyak 1964; Sutskever et al. 2013 for both forms of momentum.
    """
    param = _decayed(param, learning_rate, weight_decay)
    eta = number(param, itself, learning_rate)
    if m is None:
        return _deliver((param - eta * grad, None), out)
    m = momentum * m - eta * grad
    if nesterov:
        return _deliver((param + (momentum * m - eta * grad), m), out)
    return _deliver((param + m, m), out)


@update
def adam_update(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    v_max: Slot = None,
    step: int | Live = 1,
    learning_rate: float | Live = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: tuple[Slot, ...] | None = None,
) -> tuple[Slot, ...]:
    r"""Step by the running mean of gradients, over the root of the running mean of their squares.

    Forward:
        $w \leftarrow w - \eta\lambda w, \quad m \leftarrow m + (1 - \beta_1)(g - m), \quad
        v \leftarrow v + (1 - \beta_2)(g^2 - v)$

        $w \leftarrow w - \alpha \dfrac{m}{\sqrt{v} + \epsilon}$ with
        $\alpha = \eta \dfrac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}$, which makes up for $m$ and $v$ starting at zero

        AMSGrad divides by $\sqrt{\hat v}$, where $\hat v \leftarrow \max(\hat v, v)$.

    Shapes:
        ============  ========  ======================================
        param, grad   (...)     $w, g$
        m, v          (...)
        v_max         (...)     $\hat v$, or None without AMSGrad
        ============  ========  ======================================

    Arguments:
        param: Weight.
        grad: Its gradient.
        m: Running mean of gradients, zero at first.
        v: Running mean of squares, zero at first.
        v_max: Largest ``v`` so far, zero at first.
        step: $t$, 1 at the first step.
        learning_rate: $\eta$.
        beta_1: $\beta_1$.
        beta_2: $\beta_2$.
        epsilon: $\epsilon$, added to the uncorrected root as Keras does ("epsilon hat" in the paper).
        weight_decay: $\lambda$; with it this is AdamW.
        out: Where the new ``param, m, v, v_max`` go; new arrays if omitted.

    Example:
        The first step is one learning rate long, whatever the gradient's size:

        >>> import numpy as np
        >>> w, g, zero = np.array([1.0, 1.0]), np.array([1e4, -1.0]), np.zeros(2)
        >>> w, m, v, _ = adam_update(w, g, zero, zero, learning_rate=0.5)
        >>> np.round(w, 4)
        array([0.5, 1.5])

    Source:
        Kingma and Ba 2015, algorithm 1 and the reordering at the end of its §2; Loshchilov and Hutter 2019 (AdamW);
        Reddi et al. 2018 (AMSGrad).
    """
    xp = array_namespace(param)
    alpha = number(param, adam_step_size, step, learning_rate, beta_1, beta_2)
    param = _decayed(param, learning_rate, weight_decay)
    m = m + (1 - beta_1) * (grad - m)
    v = v + (1 - beta_2) * (grad * grad - v)
    if v_max is not None:
        v_max = xp.maximum(v_max, v)
    root = xp.sqrt(v if v_max is None else v_max)
    return _deliver((param - alpha * m / (root + epsilon), m, v, v_max), out)


def adam_step_size(step: int, learning_rate: float, beta_1: float, beta_2: float) -> float:
    r"""Return Adam's $\alpha = \eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)$."""
    return learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)


@update
def rmsprop_update(
    param: Array,
    grad: Array,
    v: Array,
    m: Slot = None,
    average: Slot = None,
    learning_rate: float | Live = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: tuple[Slot, ...] | None = None,
) -> tuple[Slot, ...]:
    r"""Step by the gradient over the root of the running mean of its squares.

    Forward:
        $w \leftarrow w - \eta\lambda w, \quad v \leftarrow \rho v + (1 - \rho) g^2, \quad
        d = \dfrac{\eta g}{\sqrt{v + \epsilon}}, \quad w \leftarrow w - d$

        With momentum $\mu$: $m \leftarrow \mu m + d$ and $w \leftarrow w - m$. Centered:
        $a \leftarrow \rho a + (1 - \rho) g$, and the root is $\sqrt{\max(v - a^2, 0) + \epsilon}$ (a variance is never
        negative, but its rounded value can be when gradients hardly change).

    Shapes:
        ============  ========  ======================================
        param, grad   (...)     $w, g$
        v             (...)
        m             (...)     or None where ``momentum`` is 0
        average       (...)     $a$, or None if not centered
        ============  ========  ======================================

    Arguments:
        param: Weight.
        grad: Its gradient.
        v: Running mean of squares, zero at first.
        m: Momentum, zero at first.
        average: Running mean of gradients, zero at first.
        learning_rate: $\eta$.
        rho: $\rho$.
        momentum: $\mu$.
        epsilon: $\epsilon$, inside the root as in Keras.
        weight_decay: $\lambda$.
        out: Where the new ``param, v, m, average`` go; new arrays if omitted.

    Example:
        >>> import numpy as np
        >>> w, g, zero = np.array([1.0]), np.array([2.0]), np.zeros(1)
        >>> w, v, m, average = rmsprop_update(w, g, zero, rho=0.75, learning_rate=0.5)
        >>> np.round(w, 4), v
        (array([0.]), array([1.]))

    Source:
        Tieleman and Hinton 2012 (lecture 6.5); Graves 2013, eqs. 38 to 41, for the centered form.
    """
    xp = array_namespace(param)
    param = _decayed(param, learning_rate, weight_decay)
    v = rho * v + (1 - rho) * (grad * grad)
    spread = v
    if average is not None:
        average = rho * average + (1 - rho) * grad
        spread = xp.maximum(v - average * average, 0.0)
    d = number(param, itself, learning_rate) * grad / xp.sqrt(spread + epsilon)
    if m is None:
        return _deliver((param - d, v, None, average), out)
    m = momentum * m + d
    return _deliver((param - m, v, m, average), out)


@update
def adagrad_update(
    param: Array,
    grad: Array,
    accumulator: Array,
    learning_rate: float | Live = 0.001,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
    out: tuple[Slot, ...] | None = None,
) -> tuple[Slot, ...]:
    r"""Step by the gradient over the root of the sum of all its squares so far.

    Forward:
        $w \leftarrow w - \eta\lambda w, \quad s \leftarrow s + g^2, \quad
        w \leftarrow w - \dfrac{\eta g}{\sqrt{s + \epsilon}}$

    Shapes:
        ============  ========  ======================================
        param, grad   (...)     $w, g$
        accumulator   (...)     $s$
        ============  ========  ======================================

    Arguments:
        param: Weight.
        grad: Its gradient.
        accumulator: Sum of squares; Keras starts it at 0.1.
        learning_rate: $\eta$.
        epsilon: $\epsilon$, inside the root as in Keras.
        weight_decay: $\lambda$.
        out: Where the new ``param, accumulator`` go; new arrays if omitted.

    Example:
        >>> import numpy as np
        >>> w, s = adagrad_update(np.array([1.0]), np.array([4.0]), np.array([9.0]), learning_rate=0.5, epsilon=0.0)
        >>> w, s
        (array([0.6]), array([25.]))

    Source:
        Duchi, Hazan and Singer 2011.
    """
    xp = array_namespace(param)
    param = _decayed(param, learning_rate, weight_decay)
    accumulator = accumulator + grad * grad
    eta = number(param, itself, learning_rate)
    return _deliver((param - eta * grad / xp.sqrt(accumulator + epsilon), accumulator), out)


def _decayed(param: Array, learning_rate: float | Live, weight_decay: float) -> Array:
    """Return ``param`` shrunk by a part of itself; where that part is known to be 0, even infinity stays as it is."""
    if not weight_decay or (not isinstance(learning_rate, Live) and learning_rate == 0):
        return param
    return param - number(param, operator.mul, learning_rate, weight_decay) * param


def _deliver(new: tuple[Slot, ...], out: tuple[Slot, ...] | None) -> tuple[Slot, ...]:
    """Write the new arrays into those of ``out``, if it is given."""
    if out is None:
        return new
    for target, value in zip(out, new, strict=True):
        if target is not None:
            target[...] = value
    return out
