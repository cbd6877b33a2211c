"""How weights start: constants and random draws, under Keras's names.

Weights are drawn on the host, in float64, from generators derived from the one seed of the program
(:func:`tinymed.backend.set_seed`), and rounded to the weight's dtype at the end: CPU and GPU start from the
same numbers, and float32 and float64 from the same draws.

>>> HeNormal(seed=1)((3, 3, 16, 32)).shape
(3, 3, 16, 32)
>>> get("zeros")((2,))
array([0., 0.], dtype=float32)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.configurable import Configurable, resolve

Shape = tuple[int, ...]

# Standard deviation of a standard normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Base of all initializers: a call with a shape returns a host array.

    A random initializer with a ``seed`` returns the same values at every call with the same shape; without one,
    each call takes the next generator of the program's seed.
    """

    seed: int | None = None

    def __call__(self, shape: Shape, dtype: str | None = None) -> np.ndarray:
        """Return an array of this shape; ``dtype`` is ``backend.floatx()`` if omitted."""
        values = self._values(tuple(int(size) for size in shape))
        return np.ascontiguousarray(values, dtype=dtype or backend.floatx())

    def _values(self, shape: Shape) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} does not say which values it returns")

    def _generator(self) -> np.random.Generator:
        return backend.new_generator(self.seed)


class Constant(Initializer):
    """The same ``value`` everywhere; a list or an array gives each weight its own value."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value if isinstance(value, int | float) else backend.to_host(value).tolist()

    def _values(self, shape: Shape) -> np.ndarray:
        values = np.asarray(self.value, dtype=np.float64)
        if values.ndim and values.shape != shape:
            raise ValueError(f"the initial values have shape {values.shape} but the weight has shape {shape}")
        return np.full(shape, values)


class Zeros(Initializer):
    """All zero."""

    def _values(self, shape: Shape) -> np.ndarray:
        return np.zeros(shape)


class Ones(Initializer):
    """All one."""

    def _values(self, shape: Shape) -> np.ndarray:
        return np.ones(shape)


class Identity(Initializer):
    """A matrix with ``gain`` on its diagonal and zero elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def _values(self, shape: Shape) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices, but the weight has shape {shape}; use Zeros or Orthogonal")
        return self.gain * np.eye(*shape)


class RandomNormal(Initializer):
    """Normally distributed with the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def _values(self, shape: Shape) -> np.ndarray:
        return self.mean + self.stddev * self._generator().standard_normal(shape)


class TruncatedNormal(RandomNormal):
    """Normally distributed, but values more than two ``stddev`` from the mean are drawn again."""

    def _values(self, shape: Shape) -> np.ndarray:
        return self.mean + self.stddev * _truncated_normal(self._generator(), shape)


class RandomUniform(Initializer):
    """Uniformly distributed between ``minval`` and ``maxval``."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def _values(self, shape: Shape) -> np.ndarray:
        return self._generator().uniform(self.minval, self.maxval, shape)


class VarianceScaling(Initializer):
    r"""Random with a variance that keeps a signal's size from layer to layer: $\sigma^2 = \text{scale} / n$.

    Arguments:
        scale: Positive factor; 2 makes up for the half that ReLU sets to zero.
        mode: What $n$ is: ``"fan_in"`` (inputs of a unit), ``"fan_out"`` (units that an input feeds), ``"fan_avg"``.
        distribution: ``"truncated_normal"`` (also called ``"normal"``), ``"untruncated_normal"`` or ``"uniform"``
            (between $\pm\sqrt{3\sigma^2}$).
        seed: Makes every call return the same values.
        input_axes: Axes of the weight that count as inputs; by default as :func:`compute_fans` says.
        output_axes: Axes of the weight that count as outputs.

    Source:
        Glorot and Bengio 2010 (scale 1, fan_avg); He et al. 2015 (scale 2, fan_in);
        LeCun et al. 1998 (scale 1, fan_in).
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: tuple[int, ...] | None = None,
        output_axes: tuple[int, ...] | None = None,
    ) -> None:
        if scale <= 0:
            raise ValueError(f"VarianceScaling needs a positive scale, got {scale!r}")
        self.scale = scale
        self.mode = resolve(mode, {m: m for m in ("fan_in", "fan_out", "fan_avg")}, "mode of VarianceScaling")
        self.distribution = resolve(distribution, _DISTRIBUTIONS, "distribution of VarianceScaling")
        self.seed = seed
        self.input_axes = input_axes
        self.output_axes = output_axes

    def _values(self, shape: Shape) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        sigma = math.sqrt(self.scale / max(1.0, n))
        generator = self._generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * sigma
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return sigma * generator.standard_normal(shape)
        return sigma / _TRUNCATED_STDDEV * _truncated_normal(generator, shape)


class _Preset(VarianceScaling):
    """A ``VarianceScaling`` whose scale, mode and distribution are fixed."""

    _fixed: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: tuple[int, ...] | None = None,
        output_axes: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(*self._fixed, seed=seed, input_axes=input_axes, output_axes=output_axes)


class GlorotUniform(_Preset):
    r"""Uniform between $\pm\sqrt{6 / (\text{fan}_{in} + \text{fan}_{out})}$: the default for kernels."""

    _fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Preset):
    r"""Truncated normal with $\sigma^2 = 2 / (\text{fan}_{in} + \text{fan}_{out})$."""

    _fixed = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Preset):
    r"""Uniform between $\pm\sqrt{6 / \text{fan}_{in}}$: for layers followed by ReLU."""

    _fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Preset):
    r"""Truncated normal with $\sigma^2 = 2 / \text{fan}_{in}$: for layers followed by ReLU."""

    _fixed = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Preset):
    r"""Uniform between $\pm\sqrt{3 / \text{fan}_{in}}$."""

    _fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Preset):
    r"""Truncated normal with $\sigma^2 = 1 / \text{fan}_{in}$: for layers followed by SELU."""

    _fixed = (1.0, "fan_in", "truncated_normal")


class Orthogonal(Initializer):
    r"""A random matrix with orthonormal columns (or rows, if there are fewer), times ``gain``.

    All axes but the last count as rows. The signs of $R$'s diagonal in $A = QR$ are moved into $Q$, which makes
    every orthogonal matrix equally likely.

    Source:
        Saxe et al. 2014; Mezzadri 2007 for the signs.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = gain
        self.seed = seed

    def _values(self, shape: Shape) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a weight with two axes or more, but the weight has shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        a = self._generator().standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(a)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * np.reshape(q.T if rows < columns else q, shape)


def compute_fans(
    shape: Shape, input_axes: tuple[int, ...] | None = None, output_axes: tuple[int, ...] | None = None
) -> tuple[int, int]:
    """Return how many inputs reach a unit and how many units an input feeds.

    >>> compute_fans((20, 10)), compute_fans((3, 3, 16, 32))
    ((20, 10), (144, 288))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    window = math.prod(shape[:-2])  # pixels that a convolution kernel covers
    return window * shape[-2], window * shape[-1]


def _truncated_normal(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draw standard normal values, and those beyond two standard deviations again until none is left."""
    values = generator.standard_normal(shape).reshape(-1)
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values[outside] = generator.standard_normal(outside.size)
        outside = outside[np.abs(values[outside]) > 2]
    return values.reshape(shape)


_DISTRIBUTIONS = {
    "truncated_normal": "truncated_normal",
    "normal": "truncated_normal",
    "untruncated_normal": "untruncated_normal",
    "uniform": "uniform",
}

_NAMES: dict[str, type[Initializer]] = {
    "constant": Constant,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "identity": Identity,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
    "ones": Ones,
    "orthogonal": Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "zeros": Zeros,
}
_ALIASES: dict[str, type[Initializer]] = {
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "one": Ones,
    "zero": Zeros,
    "OrthogonalInitializer": Orthogonal,
    "IdentityInitializer": Identity,
}
_CHOICES = {**_NAMES, **{cls.__name__: cls for cls in _NAMES.values()}, **_ALIASES}


def get(identifier: Any) -> Callable[..., Any]:
    """Return an initializer.

    Args:
        identifier: A name (``"he_normal"``, ``"HeNormal"``), a ``{"class_name", "config"}`` mapping, a class, an
            object, a function of shape and dtype, or an array of initial values. None means ``GlorotUniform``.

    Raises:
        ValueError: If the name is unknown (the nearest one is named) or the object is no initializer.
    """
    if identifier is None:
        return GlorotUniform()
    if hasattr(identifier, "shape"):
        return Constant(identifier)
    found = resolve(identifier, _CHOICES, "initializer")
    if not callable(found):
        raise ValueError(f"an initializer is a name, an object or a function of a shape, got {identifier!r}")
    return found
