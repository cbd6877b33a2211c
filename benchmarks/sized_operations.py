"""Every operation of tinymed at sizes from one sample to hundreds, for ``benchmarks.cpu_gpu``.

A row says what one sample is; sweeps take more and more samples, until a call takes too long.
"""

from __future__ import annotations

import gc
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.clocks import CupyClock, HostClock, attempted, measured

SAMPLES = (1, 4, 16, 64, 256)
"""Samples of a sweep."""

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""Draws an array for so many samples."""


@dataclass(frozen=True)
class Sized:
    """An operation with inputs that grow.

    Arguments:
        arrays: What each array is: the shape of a sample (drawn from a normal distribution, samples first), or a
            function of a generator and the number of samples.
        options: Further arguments.
        flops: Multiplications and additions of forward for a sample; 0 for what only moves memory.
    """

    arrays: tuple[tuple[int, ...] | Draw, ...]
    options: dict[str, Any] = field(default_factory=dict)
    flops: int = 0

    def draw(self, samples: int) -> list[np.ndarray]:
        """Return the arrays for so many samples, the same in every process."""
        rng = np.random.default_rng(zlib.crc32(repr((samples, len(self.arrays), self.flops)).encode()))
        return [
            what(rng, samples) if callable(what) else rng.standard_normal((samples, *what), dtype=np.float32)
            for what in self.arrays
        ]


def fixed(*shape: int, scale: float = 0.1) -> Draw:
    """Draw weights, which do not grow."""
    return lambda rng, n: (scale * rng.standard_normal(shape)).astype(np.float32)


def positive(*shape: int) -> Draw:
    """Draw numbers between 0.1 and 1, which do not grow."""
    return lambda rng, n: rng.uniform(0.1, 1, shape).astype(np.float32)


def unit(*shape: int) -> Draw:
    """Draw probabilities for each sample."""
    return lambda rng, n: rng.uniform(0.05, 0.95, (n, *shape)).astype(np.float32)


def bits(*shape: int) -> Draw:
    """Draw zeros and ones for each sample."""
    return lambda rng, n: rng.integers(0, 2, (n, *shape)).astype(np.float32)


def one_hot(*shape: int) -> Draw:
    """Draw classes for each sample, one-hot along the last axis."""
    *lead, classes = shape
    return lambda rng, n: np.eye(classes, dtype=np.float32)[rng.integers(0, classes, (n, *lead))]


def classes_of(count: int, *shape: int) -> Draw:
    """Draw class numbers for each sample."""
    return lambda rng, n: rng.integers(0, count, (n, *shape))


def probabilities(*shape: int) -> Draw:
    """Draw positive numbers that add up to 1 along the last axis, for each sample."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        p = rng.uniform(0.1, 1, (n, *shape))
        return (p / p.sum(axis=-1, keepdims=True)).astype(np.float32)

    return draw


def kept(*shape: int) -> Draw:
    """Draw a mask for each sample."""
    return lambda rng, n: rng.random((n, *shape)) < 0.5


def _convolution(axes: int, side: int, channels: int, filters: int, **options: Any) -> Sized:
    arrays = ((*[side] * axes, channels), fixed(*[3] * axes, channels, filters), fixed(filters))
    return Sized(arrays, options, 2 * (side - 2) ** axes * 3**axes * channels * filters)


def _recurrent(gates: int, steps: int = 50, inputs: int = 8, units: int = 50) -> Sized:
    bias = fixed(2, gates * units) if gates == 3 else fixed(gates * units)
    arrays = ((steps, inputs), fixed(inputs, gates * units), fixed(units, gates * units), bias)
    return Sized(arrays, flops=2 * steps * gates * units * (inputs + units))


IMAGE, PAIR = (32, 32, 16), ((32, 32, 16), (32, 32, 16))
_ELEMENTWISE = (
    "elu", "erf", "exponential", "flatten", "gelu", "hard_sigmoid", "leaky_relu", "linear", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "softplus", "softsign", "tanh", "softmax", "log_softmax", "global_average_pool",
    "global_max_pool", "average_pool2d", "max_pool2d",
)  # fmt: skip
_REGRESSION = (
    "cosine_similarity", "huber", "log_cosh", "mean_absolute_error", "mean_squared_error",
    "add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract",
)  # fmt: skip
_OF_PROBABILITIES = ("categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence")
_OF_LOGITS = ("softmax_crossentropy", "softmax_focal_crossentropy", "categorical_hinge")
_BINARY = (
    "binary_crossentropy", "binary_focal_crossentropy", "heatmap_focal_crossentropy", "dice_loss", "tversky_loss"
)  # fmt: skip
_BINARY_LOGITS = (
    "sigmoid_crossentropy", "sigmoid_focal_crossentropy", "sigmoid_heatmap_focal_crossentropy", "hinge",
    "squared_hinge",
)  # fmt: skip

ROWS: dict[str, Sized] = {
    **{op: Sized((IMAGE,)) for op in _ELEMENTWISE},
    **{op: Sized(PAIR) for op in _REGRESSION},
    **{op: Sized((one_hot(256, 16), probabilities(256, 16))) for op in _OF_PROBABILITIES},
    **{op: Sized((one_hot(256, 16), (256, 16))) for op in _OF_LOGITS},
    **{op: Sized((bits(64, 64, 1), unit(64, 64, 1))) for op in _BINARY},
    **{op: Sized((bits(64, 64, 1), (64, 64, 1))) for op in _BINARY_LOGITS},
    "average_pool1d": Sized(((256, 32),)),
    "average_pool3d": Sized(((16, 16, 16, 4),)),
    "batch_norm": Sized((IMAGE, fixed(16), fixed(16))),
    "batch_norm_inference": Sized((IMAGE, fixed(16), fixed(16), fixed(16), positive(16))),
    "conv1d": _convolution(1, 128, 16, 32),
    "conv2d": _convolution(2, 31, 32, 64),
    "conv2d_relu": _convolution(2, 31, 32, 64),
    "conv2d_relu_max_pool": _convolution(2, 31, 32, 64),
    "conv2d_transpose": Sized((IMAGE, fixed(3, 3, 8, 16), fixed(8)), {"strides": 2}, 2 * 32 * 32 * 9 * 16 * 8),
    "conv3d": _convolution(3, 14, 4, 8),
    "cropping": Sized((IMAGE,), {"cropping": ((2, 2), (2, 2))}),
    "dense": Sized(((1024,), fixed(1024, 512), fixed(512)), flops=2 * 1024 * 512),
    "dice_crossentropy": Sized((classes_of(4, 64, 64), probabilities(64, 64, 4))),
    "displacement_smoothness": Sized(((64, 64, 2), (64, 64, 2))),
    "dropout": Sized((IMAGE, kept(*IMAGE)), {"rate": 0.5}),
    "embedding": Sized((fixed(1000, 64), classes_of(1000, 64))),
    "group_norm": Sized((IMAGE, fixed(16), fixed(16)), {"groups": 4}),
    "gru": _recurrent(3),
    "im2col": Sized((IMAGE,), {"window": (3, 3)}),
    "l1l2_penalty": Sized(((4096,),), {"l1": 0.01, "l2": 0.01}),
    "layer_norm": Sized((IMAGE, fixed(16), fixed(16))),
    "local_correlation": Sized((unit(32, 32, 1), unit(32, 32, 1))),
    "lstm": _recurrent(4),
    "max_pool1d": Sized(((256, 32),)),
    "max_pool3d": Sized(((16, 16, 16, 4),)),
    "mean_absolute_percentage_error": Sized((unit(*IMAGE), unit(*IMAGE))),
    "mean_squared_logarithmic_error": Sized((unit(*IMAGE), unit(*IMAGE))),
    "mutual_information": Sized((unit(32, 32, 1), unit(32, 32, 1))),
    "permute": Sized((IMAGE,), {"dims": (3, 1, 2)}),
    "poisson": Sized((unit(*IMAGE), unit(*IMAGE))),
    "prelu": Sized((IMAGE, fixed(*IMAGE))),
    "repeat_vector": Sized(((256,),), {"n": 32}),
    "reshape": Sized((IMAGE,), {"target_shape": (512, 32)}),
    "simple_rnn": _recurrent(1),
    "softmax_dice_crossentropy": Sized((classes_of(4, 64, 64), (64, 64, 4))),
    "sparse_categorical_crossentropy": Sized((classes_of(16, 256), probabilities(256, 16))),
    "sparse_softmax_crossentropy": Sized((classes_of(16, 256), (256, 16))),
    "upsampling_bilinear": Sized((IMAGE,), {"size": (2, 2)}),
    "upsampling_nearest": Sized((IMAGE,), {"size": (2, 2)}),
    "warp": Sized(((64, 64, 1), (64, 64, 2))),
    "zero_padding": Sized((IMAGE,), {"padding": ((1, 1), (1, 1))}),
}
"""What a sample is for each operation; a test fails for an operation without a row."""

QUICK = ("conv2d", "relu", "lstm")


class SizedOperations:
    """Runs operations forward and backward on one device.

    Arguments:
        backend: ``"numpy"`` or ``"cupy"``.
        tf32: Whether a GPU may round the factors of products to TF32.
    """

    def __init__(self, backend: str, tf32: bool = False) -> None:
        from tinymed.backend import set_backend
        from tinymed.precision import set_precision

        set_backend(backend)
        set_precision("tf32" if tf32 else "float32")
        self.clock: HostClock = CupyClock() if backend == "cupy" else HostClock()

    def _made(self, op: str, samples: int) -> tuple[Callable[[], Any], Callable[[], Any], list[Any], Any]:
        """Return forward and backward without arguments, the inputs, and the output."""
        from tinymed.backend import asarray
        from tinymed.gradcheck.subject import upstream
        from tinymed.ops.registry import REGISTRY

        operation, row = REGISTRY[op], ROWS[op]
        inputs = [asarray(x) for x in row.draw(samples)]
        y, cache = operation.forward(*inputs, **row.options)
        dy = upstream(y, np.random.default_rng(1))
        return (
            lambda: operation.forward(*inputs, **row.options), lambda: operation.backward(dy, cache), inputs, y
        )  # fmt: skip

    def save(self, op: str, samples: int, path: str) -> None:
        """Write an operation's outputs and gradients to a file, for comparison."""
        from tinymed.backend import to_host
        from tinymed.gradcheck.subject import leaves

        _, backward, _, y = self._made(op, samples)
        gradients = backward()
        arrays = [*leaves(y), *leaves(gradients if isinstance(gradients, tuple) else [gradients])]
        np.savez(path, *(to_host(array) for array in arrays))

    def sweep(self, op: str, samples: Sequence[int], seconds: float, longest: float) -> list[dict[str, Any]]:
        """Measure at each number of samples, until one call takes longer than so many seconds.

        Returns:
            For each: ``samples``; ``values`` in all inputs; ``bytes`` that forward moves at least; ``flops``;
            ``forward`` and ``backward`` as :func:`benchmarks.clocks.measured` has them.
        """
        from tinymed.gradcheck.subject import leaves

        found = []
        gc.collect()
        for count in samples:
            forward, backward, inputs, y = self._made(op, count)
            values = sum(math.prod(x.shape) for x in inputs)
            sizes = {"values": values, "bytes": 4 * (values + sum(math.prod(leaf.shape) for leaf in leaves(y)))}
            ways = {"forward": forward, "backward": backward}
            times = {way: measured(call, self.clock, seconds) for way, call in ways.items()}
            found.append({"samples": count, **sizes, "flops": ROWS[op].flops * count, **times})
            if sum(float(ms["step"] or 0) for ms in times.values()) > 1000 * longest:
                break
        return found

    def peaks(self, seconds: float) -> dict[str, float]:
        """Return FLOP/s of a matrix product and bytes/s of a copy."""
        from tinymed.backend import array_namespace, asarray

        side, values = (8192, 1 << 28) if isinstance(self.clock, CupyClock) else (2048, 1 << 24)
        a = asarray(np.ones((side, side), np.float32))
        xp = array_namespace(a)
        source = xp.ones(values, dtype=xp.float32)
        target = xp.zeros(values, dtype=xp.float32)

        def copy() -> None:
            target[...] = source

        product = measured(self._product(a), self.clock, seconds)["step"]
        moved = measured(copy, self.clock, seconds)["step"]
        return {"flops": 2 * side**3 / (product or 1) * 1000, "bytes": 8 * values / (moved or 1) * 1000}

    def _product(self, a: Any) -> Callable[[], Any]:
        if isinstance(self.clock, CupyClock):
            from tinymed.kernels.gpu.products import matmul

            return lambda: matmul(a, a)
        return lambda: a @ a

    def attempt(self, name: str, *arguments: Any) -> dict[str, Any]:
        """Return what a method returns as ``value``, or what went wrong as ``error``."""
        return attempted(getattr(self, name), *arguments)


def sized_operations(backend: str, tf32: bool = False) -> SizedOperations:
    """Return the contender."""
    return SizedOperations(backend, tf32)
