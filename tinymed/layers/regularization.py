"""Layers that make training harder so that the network generalises better: dropout and noise."""

from __future__ import annotations

import math
from typing import Any

from tinymed import backend
from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.layers.shaping import channels_last
from tinymed.live import live
from tinymed.ops.dropout import dropout, dropout_backward
from tinymed.ops.merging import add, add_backward, multiply, multiply_backward
from tinymed.ops.random import bernoulli, normal


class _Random(Layer):
    """A layer that draws random numbers in training and is the identity at inference.

    ``calls`` counts the draws: number t of two layers with the same seed is the same, on every device.
    Set it back to draw the same numbers again.
    """

    supports_masking = True

    def __init__(self, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.key = backend.new_key(seed)
        self.calls = 0

    def _next_call(self) -> Any:
        return live(self._count)

    def _count(self) -> int:
        self.calls += 1
        return self.calls - 1

    def _check_rate(self, rate: Any) -> float:
        if not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(
                f"{self.name} needs a rate from 0 to below 1, the part of the values that is left out, but got {rate!r}"
                + (f"; {rate} percent is {rate / 100}" if isinstance(rate, int | float) and 1 < rate < 100 else "")
            )
        return float(rate)

    def _unchanged(self, x: Array) -> Array:
        return backend.array_namespace(x).asarray(x, copy=True)


class _Dropout(_Random):
    """Dropout with a mask of ``noise_shape``."""

    noise_shape: tuple[int | None, ...] | None

    def __init__(self, rate: float, seed: int | None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = self._check_rate(rate)

    def check_shape(self, shape: Shape) -> None:
        """Raise ValueError unless a mask of ``noise_shape`` fits an input of this shape."""
        super().check_shape(shape)
        noise_shape = self._mask_shape(shape)
        pairs = zip(noise_shape, shape, strict=False)
        if len(noise_shape) != len(shape) or any(n != 1 and None not in (n, s) and n != s for n, s in pairs):
            raise ValueError(
                f"{self.name} has noise_shape={noise_shape}, which does not fit an input of shape {tuple(shape)}; "
                "give 1, None or the input's own size for each axis"
            )

    def _mask_shape(self, shape: Shape) -> Shape:
        if self.noise_shape is None:
            return tuple(shape)
        sizes = zip(self.noise_shape, shape, strict=False)
        own = tuple(size if noise is None else noise for noise, size in sizes)
        return own if len(self.noise_shape) == len(shape) else self.noise_shape

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with values left out; at inference ``x`` itself."""
        self.prepare(x)
        if not training or self.rate == 0:
            return x, None
        shape = [size or 0 for size in self._mask_shape(x.shape)]
        mask = bernoulli(x, shape, self.key, self._next_call(), 1 - self.rate)
        return dropout(x, mask, self.rate)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx under the same mask; there are no weights."""
        return (self._unchanged(dy) if cache is None else dropout_backward(dy, cache)), {}


class Dropout(_Dropout):
    r"""Leaves each value out with probability ``rate`` during training, and scales the others by $1 / (1 - p)$.

    Arguments:
        rate: The probability $p$, from 0 to below 1.
        noise_shape: Shape of the mask, with 1 for axes along which it is repeated and None for the input's own size;
            the input's shape if omitted.
        seed: Makes the masks repeatable on its own; otherwise ``set_seed`` does.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Source:
        Srivastava et al. 2014, JMLR 15.
    """

    def __init__(
        self, rate: float, noise_shape: tuple[int | None, ...] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)


class _SpatialDropout(_Dropout):
    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)
        self.data_format = channels_last(self, data_format)
        self.noise_shape = (None, *[1] * (len(self.axes) - 2), None)


class SpatialDropout1D(_SpatialDropout):
    """Leaves whole channels of a sequence (N, T, C) out.

    Arguments:
        rate: The probability of a channel being left out, from 0 to below 1.
        seed: Makes the masks repeatable on its own.
        **kwargs: ``data_format`` (``"channels_last"`` only), ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = ("N", "T", "C")

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Leaves whole channels of an image (N, H, W, C) out: neighbouring pixels say nearly the same.

    Arguments:
        rate: The probability of a channel being left out, from 0 to below 1.
        data_format: ``"channels_last"`` only.
        seed: Makes the masks repeatable on its own.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Source:
        Tompson et al. 2015, arXiv:1411.4280.
    """

    axes = ("N", "H", "W", "C")


class SpatialDropout3D(_SpatialDropout):
    """Leaves whole channels of a volume (N, D, H, W, C) out.

    Arguments:
        rate: The probability of a channel being left out, from 0 to below 1.
        data_format: ``"channels_last"`` only.
        seed: Makes the masks repeatable on its own.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    axes = ("N", "D", "H", "W", "C")


class GaussianNoise(_Random):
    """Adds normally distributed noise during training.

    Arguments:
        stddev: Standard deviation of the noise, in the unit of the input.
        seed: Makes the noise repeatable on its own.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not isinstance(stddev, int | float) or stddev < 0:
            raise ValueError(f"{self.name} needs stddev, a number of at least 0, but got {stddev!r}")
        self.stddev = float(stddev)

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with noise; at inference ``x`` itself."""
        self.prepare(x)
        if not training or self.stddev == 0:
            return x, None
        return add(x, normal(x, x.shape, self.key, self._next_call()) * self.stddev)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx = dy; there are no weights."""
        return (self._unchanged(dy) if cache is None else add_backward(dy, cache)[0]), {}


class GaussianDropout(_Random):
    r"""Multiplies by normally distributed noise of mean 1 and variance $p / (1 - p)$ during training.

    Arguments:
        rate: The probability $p$ of the dropout that has the same variance, from 0 to below 1.
        seed: Makes the noise repeatable on its own.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = self._check_rate(rate)

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with noise; at inference ``x`` itself."""
        self.prepare(x)
        if not training or self.rate == 0:
            return x, None
        deviation = math.sqrt(self.rate / (1 - self.rate))
        return multiply(x, 1.0 + deviation * normal(x, x.shape, self.key, self._next_call()))

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx under the same noise; there are no weights."""
        return (self._unchanged(dy) if cache is None else multiply_backward(dy, cache)[0]), {}
