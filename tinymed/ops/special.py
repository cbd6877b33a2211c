r"""The error function, for which the array API standard has no name."""

from __future__ import annotations

import math

from tinymed.backend import Array, array_namespace
from tinymed.ops.registry import backward_of, op

_SPLIT = 2.5
"""Below this |x| the series is summed, above it the continued fraction is evaluated."""


@op
def erf(x: Array) -> tuple[Array, Array]:
    r"""The error function: twice the area under a Gaussian of variance 1/2 between 0 and x.

    Forward:
        $y = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt$, computed for small $|x|$ from the series

        $\operatorname{erf} x = \frac{2}{\sqrt\pi} e^{-x^2} \sum_{n \ge 0} \frac{2^n x^{2n+1}}{1 \cdot 3 \cdots (2n+1)}$

        (all terms have one sign, so nothing cancels), and for large $|x|$ from the continued fraction

        $1 - \operatorname{erf} x = \frac{e^{-x^2}}{\sqrt\pi}\,
        \cfrac{1}{x + \cfrac{1/2}{x + \cfrac{2/2}{x + \cfrac{3/2}{x + \cdots}}}}$

    Backward:
        $dx = dy\, \frac{2}{\sqrt\pi} e^{-x^2}$

    Shapes:
        x and y: any shape.

    Arguments:
        x: Input, a pure number.

    Example:
        >>> import numpy as np
        >>> erf(np.array([0.0, 0.5, 10.0]))[0].round(6)
        array([0.    , 0.5205, 1.    ])

    Source:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.6 and 7.1.14.
    """
    xp = array_namespace(x)
    size = xp.minimum(xp.abs(x), 6.0)  # erf(6) is 1 to within 1e-16
    small = xp.minimum(size, _SPLIT)
    term = series = small
    for n in range(1, 50):
        term = term * (small * small) * (2.0 / (2 * n + 1))
        series = series + term
    series = series * xp.exp(-small * small) * (2.0 / math.sqrt(math.pi))
    large = xp.maximum(size, _SPLIT)
    fraction = large
    for n in range(50, 0, -1):
        fraction = large + (n / 2.0) / fraction
    tail = xp.exp(-large * large) / (fraction * math.sqrt(math.pi))
    return xp.sign(x) * xp.where(size <= _SPLIT, series, 1.0 - tail), x


@backward_of(erf)
def erf_backward(dy: Array, cache: Array) -> Array:
    """Return ``dx`` (see :func:`erf`)."""
    x = cache
    return dy * array_namespace(dy).exp(-x * x) * (2.0 / math.sqrt(math.pi))
