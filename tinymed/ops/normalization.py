r"""Batch, layer and group normalisation: zero mean, unit variance, then a learned scale and shift.

The three differ only in the set of values that one mean runs over: for each channel the whole batch, for each sample
its features, for each sample a group of channels. They share one derivation. Let $m$ values $x_i$ share the mean $\mu$
and the variance $v$, let $r = 1 / \sqrt{v + \epsilon}$ and $\hat x_i = r\,(x_i - \mu)$. Then

$\frac{\partial \mu}{\partial x_j} = \frac1m, \qquad
\frac{\partial v}{\partial x_j} = \frac2m (x_j - \mu), \qquad
\frac{\partial r}{\partial x_j} = -\frac{r^3}{2} \frac{\partial v}{\partial x_j} = -\frac{r^2}{m}\, \hat x_j,$

$\frac{\partial \hat x_i}{\partial x_j}
= r \left( \delta_{ij} - \frac1m \right) + (x_i - \mu)\left(-\frac{r^2}{m}\, \hat x_j\right)
= r \left( \delta_{ij} - \frac1m - \frac1m\, \hat x_i \hat x_j \right),$

and, summed against the upstream gradient $d\hat x_i$,

$dx_j = r \left( d\hat x_j - \frac1m \sum_i d\hat x_i - \hat x_j\, \frac1m \sum_i d\hat x_i\, \hat x_i \right).$

So $dx$ is $d\hat x$ without its components along the constant vector and along $\hat x$: moving all values together,
or stretching them, changes nothing in the output. (With all-ones upstream gradients $dx$ is zero: a check that uses
them cannot tell a right backward from one that returns zeros.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op


class NormalizationCache(NamedTuple):
    r"""What a backward of this file needs to know, and what a layer may want to know.

    Arguments:
        normalized: $\hat x$, in the shape of x (of x in groups, for ``group_norm``).
        scale: $r = 1 / \sqrt{v + \epsilon}$, with axes of length 1 where the mean ran.
        gamma: The learned scale, or None.
        beta: The learned shift, or None.
        axes: The axes that the mean ran over.
        weight_axes: The axes of x that ``gamma`` and ``beta`` have.
        mean: $\mu$ as a vector (C,), for ``batch_norm``.
        variance: $v$ as a vector (C,), for ``batch_norm``.
    """

    normalized: Array
    scale: Array
    gamma: Array | None
    beta: Array | None
    axes: tuple[int, ...]
    weight_axes: tuple[int, ...]
    mean: Array | None = None
    variance: Array | None = None


def _mean(x: Array, axes: Sequence[int]) -> Array:
    """Return the mean over ``axes``, one axis after another: short sums round less than one long sum."""
    xp = array_namespace(x)
    for axis in sorted(axes, reverse=True):
        x = xp.mean(x, axis=axis, keepdims=True)
    return x


def _standardize(x: Array, axes: Sequence[int], epsilon: float) -> tuple[Array, Array, Array, Array]:
    r"""Return $\hat x, r, \mu, v$.

    Rounding: with $x$ near -1000 and a deviation of 0.2, a float32 mean may be wrong by more than the deviation's
    last digits. What is left after its subtraction is small and exact, so its own mean corrects the first one.
    """
    if any(x.shape[axis] == 0 for axis in axes):
        raise ValueError(f"a mean needs at least one value but x has shape {x.shape}; leave empty batches out")
    xp = array_namespace(x)
    mean = _mean(x, axes)
    centred = x - mean
    rest = _mean(centred, axes)
    centred, mean = centred - rest, mean + rest
    variance = _mean(centred * centred, axes)
    scale = 1.0 / xp.sqrt(variance + epsilon)
    return centred * scale, scale, mean, variance


def _standardize_backward(dnormalized: Array, normalized: Array, scale: Array, axes: Sequence[int]) -> Array:
    """Return dx (the last formula of the derivation)."""
    along_ones = _mean(dnormalized, axes)
    along_x = _mean(dnormalized * normalized, axes)
    return scale * (dnormalized - along_ones - normalized * along_x)


def _weight(w: Array, ndim: int, axes: Sequence[int], shape: Sequence[int]) -> Array:
    """Return the weight ``w`` with ones for the axes that it does not have."""
    sizes = [shape[axis] if axis in axes else 1 for axis in range(ndim)]
    return array_namespace(w).reshape(w, tuple(sizes))


def _scale_and_shift(y: Array, gamma: Array | None, beta: Array | None, axes: Sequence[int]) -> Array:
    if gamma is not None:
        y = y * _weight(gamma, y.ndim, axes, y.shape)
    if beta is not None:
        y = y + _weight(beta, y.ndim, axes, y.shape)
    return y


def _scale_and_shift_backward(
    dy: Array, normalized: Array, gamma: Array | None, beta: Array | None, axes: Sequence[int]
) -> tuple[Array, Array | None, Array | None]:
    r"""Return $d\hat x$, dgamma and dbeta."""
    xp = array_namespace(dy)
    others = tuple(axis for axis in range(dy.ndim) if axis not in axes)
    dgamma = None if gamma is None else xp.reshape(xp.sum(dy * normalized, axis=others), gamma.shape)
    dbeta = None if beta is None else xp.reshape(xp.sum(dy, axis=others), beta.shape)
    return (dy if gamma is None else dy * _weight(gamma, dy.ndim, axes, dy.shape)), dgamma, dbeta


def _normalize_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array | None, Array | None]:
    """Return dx, dgamma and dbeta: back through the scale and shift, then through the normalisation."""
    dnormalized, dgamma, dbeta = _scale_and_shift_backward(
        dy, cache.normalized, cache.gamma, cache.beta, cache.weight_axes
    )
    return _standardize_backward(dnormalized, cache.normalized, cache.scale, cache.axes), dgamma, dbeta


def _check(name: str, x: Array, axes: Sequence[int], weights: Sequence[Array | None]) -> None:
    wanted = tuple(x.shape[axis] for axis in axes)
    for weight in weights:
        if weight is not None and weight.shape != wanted:
            raise ValueError(f"{name} on x of shape {x.shape} expects weights of shape {wanted} but got {weight.shape}")


@op
def batch_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, axis: int = -1, epsilon: float = 1e-3
) -> tuple[Array, NormalizationCache]:
    r"""Normalise each channel over the batch (training).

    Forward:
        $\mu_c = \frac1m \sum x_{\cdot c}, \quad v_c = \frac1m \sum (x_{\cdot c} - \mu_c)^2, \quad
        \hat x = \frac{x - \mu_c}{\sqrt{v_c + \epsilon}}, \quad y = \gamma_c \hat x + \beta_c$,
        the sums running over all $m$ values of channel $c$ (N, H and W)

    Backward:
        $d\gamma_c = \sum dy\, \hat x, \quad d\beta_c = \sum dy, \quad d\hat x = \gamma_c\, dy$,
        $dx = \frac{1}{\sqrt{v_c + \epsilon}} \left( d\hat x - \overline{d\hat x}
        - \hat x\, \overline{d\hat x\, \hat x} \right)$, bars being means over the channel (derived above)

    Shapes:
        ========  ================  ==================================
        x         (N, H, W, C)      any rank from 2
        gamma     (C,)              may be None (1)
        beta      (C,)              may be None (0)
        y         (N, H, W, C)
        ========  ================  ==================================

    Arguments:
        x: Input, any unit.
        gamma: Scale.
        beta: Shift.
        axis: The axis that is not averaged over.
        epsilon: Keeps the root away from zero, in the unit of ``x`` squared.

    Raises:
        ValueError: If a weight has not C values, or there is no value to take a mean of.

    Example:
        >>> import numpy as np
        >>> y, cache = batch_norm(np.array([[1.0], [3.0]]), np.array([10.0]), np.array([5.0]), epsilon=0.0)
        >>> y
        array([[-5.],
               [15.]])
        >>> cache.mean, cache.variance
        (array([2.]), array([1.]))

    Source:
        D2 §8 (deeper networks); Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    axis = axis % x.ndim
    _check("batch_norm", x, (axis,), (gamma, beta))
    xp = array_namespace(x)
    axes = tuple(a for a in range(x.ndim) if a != axis)
    normalized, scale, mean, variance = _standardize(x, axes, epsilon)
    y = _scale_and_shift(normalized, gamma, beta, (axis,))
    vector = (x.shape[axis],)
    mean, variance = xp.reshape(mean, vector), xp.reshape(variance, vector)
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, (axis,), mean, variance)


@backward_of(batch_norm)
def batch_norm_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array | None, Array | None]:
    """Return ``dx, dgamma, dbeta`` (see :func:`batch_norm`)."""
    return _normalize_backward(dy, cache)


@op
def batch_norm_inference(
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    moving_mean: Array,
    moving_variance: Array,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, NormalizationCache]:
    r"""Normalise each channel with a mean and a variance known from training.

    Forward:
        $\hat x = \frac{x - \mu_c}{\sqrt{v_c + \epsilon}}, \quad y = \gamma_c \hat x + \beta_c$
        with given $\mu_c$ and $v_c$

    Backward:
        $dx = \frac{\gamma_c}{\sqrt{v_c + \epsilon}}\, dy, \quad d\gamma_c = \sum dy\, \hat x, \quad
        d\beta_c = \sum dy$ (nothing flows into the constants)

    Shapes:
        ===============  ================  ==================================
        x                (N, H, W, C)      any rank from 2
        gamma, beta      (C,)              may be None
        moving_mean      (C,)              $\mu$
        moving_variance  (C,)              $v$
        y                (N, H, W, C)
        ===============  ================  ==================================

    Arguments:
        x: Input, any unit.
        gamma: Scale.
        beta: Shift.
        moving_mean: In the unit of ``x``.
        moving_variance: In the unit of ``x`` squared.
        axis: The axis of the channels.
        epsilon: Keeps the root away from zero.

    Raises:
        ValueError: If a weight has not C values.

    Example:
        >>> import numpy as np
        >>> y, cache = batch_norm_inference(np.array([[7.0]]), None, None, np.ones(1), np.array([4.0]), epsilon=0.0)
        >>> y
        array([[3.]])
        >>> batch_norm_inference_backward(np.array([[10.0]]), cache)[0]
        array([[5.]])

    Source:
        D2 §8; Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2.
    """
    axis = axis % x.ndim
    _check("batch_norm_inference", x, (axis,), (gamma, beta, moving_mean, moving_variance))
    xp = array_namespace(x)
    axes = tuple(a for a in range(x.ndim) if a != axis)
    scale = 1.0 / xp.sqrt(_weight(moving_variance, x.ndim, (axis,), x.shape) + epsilon)
    normalized = (x - _weight(moving_mean, x.ndim, (axis,), x.shape)) * scale
    y = _scale_and_shift(normalized, gamma, beta, (axis,))
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, (axis,), moving_mean, moving_variance)


@backward_of(batch_norm_inference)
def batch_norm_inference_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array | None, Array | None]:
    """Return ``dx, dgamma, dbeta`` (see :func:`batch_norm_inference`)."""
    dnormalized, dgamma, dbeta = _scale_and_shift_backward(
        dy, cache.normalized, cache.gamma, cache.beta, cache.weight_axes
    )
    return dnormalized * cache.scale, dgamma, dbeta


@op
def layer_norm(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, NormalizationCache]:
    r"""Normalise each sample over its features, whatever else is in the batch.

    Forward:
        $\hat x_n = \frac{x_n - \mu_n}{\sqrt{v_n + \epsilon}}, \quad y_n = \gamma\, \hat x_n + \beta$
        with mean and variance over ``axis``

    Backward:
        $d\gamma = \sum_n dy_n\, \hat x_n, \quad d\beta = \sum_n dy_n, \quad d\hat x = \gamma\, dy$,
        $dx = \frac{1}{\sqrt{v_n + \epsilon}} \left( d\hat x - \overline{d\hat x}
        - \hat x\, \overline{d\hat x\, \hat x} \right)$, bars being means over ``axis`` (derived above)

    Shapes:
        ===========  ================  ==========================================
        x            (N, ..., D)
        gamma, beta  (D,)              the sizes of all axes in ``axis``; may be None
        y            (N, ..., D)
        ===========  ================  ==========================================

    Arguments:
        x: Input, any unit.
        gamma: Scale.
        beta: Shift.
        axis: The axis or axes that the mean runs over, and that the weights have.
        epsilon: Keeps the root away from zero, in the unit of ``x`` squared.

    Raises:
        ValueError: If a weight has not the sizes of these axes.

    Example:
        >>> import numpy as np
        >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), epsilon=0.0)[0]
        array([[-1.,  1.],
               [-1.,  1.]])

    Source:
        Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """
    axes = tuple(sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)))
    _check("layer_norm", x, axes, (gamma, beta))
    normalized, scale, _, _ = _standardize(x, axes, epsilon)
    y = _scale_and_shift(normalized, gamma, beta, axes)
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, axes)


@backward_of(layer_norm)
def layer_norm_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array | None, Array | None]:
    """Return ``dx, dgamma, dbeta`` (see :func:`layer_norm`)."""
    return _normalize_backward(dy, cache)


@op
def group_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, groups: int = 32, epsilon: float = 1e-3
) -> tuple[Array, NormalizationCache]:
    r"""Normalise each sample over its pixels and a group of its channels.

    Forward:
        $\hat x_{n,g} = \frac{x_{n,g} - \mu_{n,g}}{\sqrt{v_{n,g} + \epsilon}}, \quad y = \gamma_c\, \hat x + \beta_c$,
        where $x_{n,g}$ are all pixels of channels $g\frac{C}{G}$ to $(g+1)\frac{C}{G} - 1$ of sample $n$

    Backward:
        $d\gamma_c = \sum dy\, \hat x, \quad d\beta_c = \sum dy, \quad d\hat x = \gamma_c\, dy$,
        $dx = \frac{1}{\sqrt{v_{n,g} + \epsilon}} \left( d\hat x - \overline{d\hat x}
        - \hat x\, \overline{d\hat x\, \hat x} \right)$, bars being means over the group (derived above)

    Shapes:
        ===========  ================  ==================================
        x            (N, H, W, C)      any rank from 2
        gamma, beta  (C,)              may be None
        y            (N, H, W, C)
        ===========  ================  ==================================

    Arguments:
        x: Input, any unit.
        gamma: Scale.
        beta: Shift.
        groups: Number of groups $G$, a divisor of C: 1 is a layer normalisation over the whole image,
            C an instance normalisation.
        epsilon: Keeps the root away from zero, in the unit of ``x`` squared.

    Raises:
        ValueError: If C is not a multiple of ``groups``, or a weight has not C values.

    Example:
        >>> import numpy as np
        >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), groups=2, epsilon=0.0)[0]
        array([[-1.,  1., -1.,  1.]])

    Source:
        Wu and He 2018, arXiv:1803.08494.
    """
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise ValueError(f"group_norm cannot make {groups} equal groups of {channels} channels; choose a divisor")
    _check("group_norm", x, (x.ndim - 1,), (gamma, beta))
    xp = array_namespace(x)
    grouped = xp.reshape(x, (*x.shape[:-1], groups, channels // groups))  # (N, H, W, G, C/G)
    axes = (*range(1, x.ndim - 1), x.ndim)
    normalized, scale, _, _ = _standardize(grouped, axes, epsilon)
    y = _scale_and_shift(xp.reshape(normalized, x.shape), gamma, beta, (x.ndim - 1,))
    return y, NormalizationCache(normalized, scale, gamma, beta, axes, (x.ndim - 1,))


@backward_of(group_norm)
def group_norm_backward(dy: Array, cache: NormalizationCache) -> tuple[Array, Array | None, Array | None]:
    """Return ``dx, dgamma, dbeta`` (see :func:`group_norm`)."""
    xp = array_namespace(dy)
    dnormalized, dgamma, dbeta = _scale_and_shift_backward(
        dy, xp.reshape(cache.normalized, dy.shape), cache.gamma, cache.beta, cache.weight_axes
    )
    dgrouped = xp.reshape(dnormalized, cache.normalized.shape)
    dx = _standardize_backward(dgrouped, cache.normalized, cache.scale, cache.axes)
    return xp.reshape(dx, dy.shape), dgamma, dbeta
