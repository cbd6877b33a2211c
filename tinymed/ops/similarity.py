r"""How alike two images are: the losses by which registration learns, for one modality and for several.

Like all losses they take the image that is aimed at as ``y_true`` (the fixed one) and the one that changes as
``y_pred`` (the moving image, warped). The sums of the local correlation run in double precision, about each image's
own mean: a variance is the small difference of large numbers otherwise.
"""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace, device_of
from tinymed.ops.registry import backward_of, op
from tinymed.ops.targets import check_same_shape
from tinymed.ops.windows import plan_windows, taps


@op
def local_correlation(y_true: Array, y_pred: Array, window: int = 9, epsilon: float = 1e-5) -> tuple[Array, tuple]:
    r"""One minus the squared correlation coefficient of the two images in a window, averaged over all windows.

    It does not change where one image is made brighter or gets more contrast, also if only in a part of it; squared,
    it does not mind black and white changing places either.

    Forward:
        in the window $W_p$ of $M_p$ pixels around $p$, of the fixed image $f$ and the other $g$: means
        $\bar f_p, \bar g_p$, covariance $c_p = \frac{1}{M_p} \sum_{q \in W_p} (f_q - \bar f_p)(g_q - \bar g_p)$,
        variances $v_p$ (of $f$) and $w_p$ (of $g$), and

        $\ell = 1 - \frac{1}{HWC} \sum_p \frac{c_p^2}{v_p w_p + \varepsilon}$

    Backward:
        with $D_p = v_p w_p + \varepsilon$, $a_p = \frac{2 c_p}{M_p D_p}$, $b_p = \frac{2 c_p^2 v_p}{M_p D_p^2}$

        $dg_q = -\frac{d\ell}{HWC} \sum_{p:\, q \in W_p} a_p (f_q - \bar f_p) - b_p (g_q - \bar g_p)$

    Shapes:
        ========  ==============  ==============================
        y_true    (N, H, W, C)    $f$, the fixed image
        y_pred    (N, H, W, C)    $g$, the moving image, warped
        loss      (N,)            from 0 (alike) to 1
        ========  ==============  ==============================

    Arguments:
        y_true: Fixed images, values from about 0 to 1; they get no gradient.
        y_pred: The others; contrast and brightness may differ.
        window: Height and width of a window, odd. At the border windows are cut off.
        epsilon: Variances whose product is far below it count as flat, and the window as not alike.

    Raises:
        ValueError: If the shapes differ, or the window is even.

    Example:
        >>> import numpy as np
        >>> f = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> loss, cache = local_correlation(f, 5 - 2 * f, window=3)
        >>> abs(loss.item()) < 1e-5
        True

    Source:
        Avants et al., Medical Image Analysis, 2008; as a loss of a network in Balakrishnan et al., VoxelMorph, 2019.
    """
    check_same_shape("the local correlation", y_true, y_pred)
    if y_pred.ndim != 4:
        raise ValueError(f"local_correlation expects images (N, H, W, C) but got shape {tuple(y_pred.shape)}")
    if int(window) != window or window < 1 or window % 2 == 0:
        raise ValueError(f"local_correlation needs a window of odd size, such as 9, but got {window!r}")
    xp = array_namespace(y_pred)
    f, g = _about_mean(y_true), _about_mean(y_pred)
    count = _box(xp.ones((1, *f.shape[1:3], 1), dtype=f.dtype, device=device_of(f)), window)  # M_p
    mean_f, mean_g = _box(f, window) / count, _box(g, window) / count
    covariance = _box(f * g, window) / count - mean_f * mean_g
    variance_f = xp.maximum(_box(f * f, window) / count - mean_f * mean_f, 0.0)
    variance_g = xp.maximum(_box(g * g, window) / count - mean_g * mean_g, 0.0)
    divisor = variance_f * variance_g + epsilon
    alike = covariance * covariance / divisor
    loss = 1.0 - xp.mean(alike, axis=(1, 2, 3))
    tape = (f, g, mean_f, mean_g, covariance, variance_f, divisor, count, int(window))
    return xp.astype(loss, y_pred.dtype), tape


@backward_of(local_correlation)
def local_correlation_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the warped image (see :func:`local_correlation`)."""
    f, g, mean_f, mean_g, covariance, variance_f, divisor, count, window = cache
    xp = array_namespace(dy)
    a = 2.0 * covariance / (count * divisor)
    b = 2.0 * covariance * covariance * variance_f / (count * divisor * divisor)
    # Each pixel sums over the windows that contain it, which lie around it as its own window does.
    dg = f * _box(a, window) - g * _box(b, window) + _box(b * mean_g - a * mean_f, window)
    factor = xp.astype(dy, g.dtype) * (-1.0 / math.prod(g.shape[1:]))
    return xp.astype(dg * factor[:, None, None, None], dy.dtype)


def _about_mean(x: Array) -> Array:
    """Return each channel of each image minus its mean, in double precision."""
    xp = array_namespace(x)
    x = xp.astype(x, xp.float64)
    return x - xp.mean(x, axis=(1, 2), keepdims=True)


def _box(x: Array, window: int) -> Array:
    """Return the sum over the window around each pixel: along the rows, then along the columns."""
    for shape in ((window, 1), (1, window)):
        x = sum(taps(x, plan_windows(x.shape[1:3], shape, 1, "same")))
    return x


@op
def mutual_information(y_true: Array, y_pred: Array, bins: int = 32) -> tuple[Array, tuple]:
    r"""Minus the mutual information of two images: how much the grey value of one says about that of the other.

    Nothing is assumed about *what* it says: bright may mean dark and two tissues may share a grey value, so that it
    compares images of different modalities. The histogram is soft (Parzen windows), which gives it a slope: a pixel
    belongs to the four bins around its value.

    Forward:
        a pixel of value $v$, from 0 to 1, belongs to bin $k = 0, \dots, B - 1$ to the part
        $\omega_k(v) = \beta(1 + (B - 3) v - k)$ with the cubic B-spline $\beta(d) = \frac23 - d^2 + \frac12 |d|^3$ for
        $|d| < 1$, $\frac16 (2 - |d|)^3$ for $1 \le |d| < 2$, else 0

        $P_{kl} = \frac1M \sum_m \omega_k(f_m)\, \omega_l(g_m)$ over the $M$ pixels, $p_k = \sum_l P_{kl}$,
        $q_l = \sum_k P_{kl}$, and

        $\ell = - \sum_{kl} \varphi(P_{kl}) + \sum_k \varphi(p_k) + \sum_l \varphi(q_l)$ with
        $\varphi(p) = p \log (p + \varepsilon)$, $\varepsilon = 10^{-7}$

    Backward:
        $dP_{kl} = d\ell \left( -\varphi'(P_{kl}) + \varphi'(p_k) + \varphi'(q_l) \right)$ with
        $\varphi'(p) = \log (p + \varepsilon) + \frac{p}{p + \varepsilon}$, and
        $dg_m = \frac1M \sum_{kl} \omega_k(f_m)\, \omega_l'(g_m)\, dP_{kl}$ with
        $\omega_l'(v) = (B - 3)\, \beta'(1 + (B - 3) v - l)$; 0 for values outside of 0 to 1

    Shapes:
        ========  ==============  ==============================================
        y_true    (N, ...)        $f$, the fixed image, often (N, H, W, 1)
        y_pred    (N, ...)        $g$, the moving image, warped
        loss      (N,)            in nats: 0 if they have nothing in common, else negative
        ========  ==============  ==============================================

    Arguments:
        y_true: Fixed images with values from 0 to 1; they get no gradient. Values beyond count as 0 or 1.
        y_pred: The others, likewise.
        bins: Number B of bins for each image, at least 4.

    Raises:
        ValueError: If the shapes differ, or there are fewer than four bins.

    Example:
        >>> import numpy as np
        >>> f = np.array([0.0, 0.0, 1.0, 1.0]).reshape(1, 2, 2, 1)
        >>> loss, cache = mutual_information(f, 1 - f, bins=16)
        >>> loss.round(4)  # one bit is log 2
        array([-0.6931])

    Source:
        Viola and Wells, International Journal of Computer Vision, 1997; with B-splines in Mattes et al., IEEE
        Transactions on Medical Imaging, 2003.
    """
    check_mutual(y_true, y_pred, bins)
    xp = array_namespace(y_pred)
    of_f, of_g = _parts(y_true, bins)[0], _parts(y_pred, bins)[0]
    joint = xp.matrix_transpose(of_f) @ of_g / of_f.shape[1]  # (N, B, M) @ (N, M, B)
    return minus_information(joint), (y_true, y_pred, joint)


@backward_of(mutual_information)
def mutual_information_backward(dy: Array, cache: tuple) -> Array:
    """Return the gradient of the warped image (see :func:`mutual_information`)."""
    y_true, y_pred, joint = cache
    xp = array_namespace(dy)
    bins = joint.shape[1]
    of_f, (_, slope) = _parts(y_true, bins)[0], _parts(y_pred, bins)
    djoint = minus_information_slope(dy, joint)
    dg = xp.sum((of_f @ djoint) * slope, axis=2) / of_f.shape[1]  # (N, M, B) @ (N, B, B)
    return xp.reshape(dg, y_pred.shape)


def check_mutual(y_true: Array, y_pred: Array, bins: int) -> None:
    """Raise ValueError unless :func:`mutual_information` can work on these."""
    check_same_shape("the mutual information", y_true, y_pred)
    if int(bins) != bins or bins < 4:
        raise ValueError(f"mutual_information needs four bins or more but got {bins!r}")


def minus_information(joint: Array) -> Array:
    """Return minus the mutual information of joint histograms (N, B, B), each of sum one."""
    xp = array_namespace(joint)
    p, q = xp.sum(joint, axis=2), xp.sum(joint, axis=1)
    return xp.sum(_phi(p), axis=1) + xp.sum(_phi(q), axis=1) - xp.sum(_phi(joint), axis=(1, 2))


def minus_information_slope(dy: Array, joint: Array) -> Array:
    """Return the gradient of :func:`minus_information`, (N, B, B)."""
    xp = array_namespace(joint)
    p, q = xp.sum(joint, axis=2, keepdims=True), xp.sum(joint, axis=1, keepdims=True)
    return (_phi_slope(p) + _phi_slope(q) - _phi_slope(joint)) * dy[:, None, None]


_EPSILON = 1e-7


def _phi(p: Array) -> Array:
    return p * array_namespace(p).log(p + _EPSILON)


def _phi_slope(p: Array) -> Array:
    return array_namespace(p).log(p + _EPSILON) + p / (p + _EPSILON)


def _parts(x: Array, bins: int) -> tuple[Array, Array]:
    """Return to which part each pixel belongs to each bin, (N, M, B), and the slope of that in its value."""
    xp = array_namespace(x)
    x = xp.reshape(x, (x.shape[0], math.prod(x.shape[1:]), 1))
    inside = (x >= 0) & (x <= 1)
    place = xp.minimum(xp.maximum(x, 0.0), 1.0) * (bins - 3) + 1
    d = place - xp.arange(bins, dtype=x.dtype, device=device_of(x))
    size, sign = xp.abs(d), xp.sign(d)
    rest = xp.maximum(2 - size, 0.0)  # 0 from a distance of 2 on
    near = size < 1
    part = xp.where(near, 2 / 3 - d * d + 0.5 * size * d * d, rest * rest * rest / 6)
    slope = xp.where(near, 1.5 * d * size - 2 * d, -0.5 * sign * rest * rest) * (bins - 3)
    return part, xp.where(inside, slope, xp.zeros_like(slope))
