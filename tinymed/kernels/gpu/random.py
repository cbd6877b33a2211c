"""Random masks and numbers in one launch, bit for bit those of :mod:`tinymed.ops.random`.

Where a call begins in the sequence may stand in the device's memory, so that a step that is recorded once draws new
numbers at each replay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.launching import THREADS, blocks, empty, launch, load, on_gpu, supported
from tinymed.live import Live
from tinymed.ops.random import bernoulli, random_bits, random_start, uniform

load("random")

MOST_BLOCKS = 4096


def _draw(kernel: str, out: Array, like: Array, key: int, counter: int | Live, *rest: Any) -> Array:
    start = random_start(like, key, counter)
    place = (start, None) if isinstance(start, int) else (0, start)
    launch(kernel, min(blocks(out.size), MOST_BLOCKS), THREADS, (out, out.size, *place, *rest))
    return out


@on_gpu(random_bits)
def _random_bits(like: Array, count: int, key: int, counter: int | Live) -> Array:
    return _draw("random_words", empty((count,), like, array_namespace(like).uint64), like, key, counter)


@on_gpu(bernoulli)
def _bernoulli(like: Array, shape: Sequence[int], key: int, counter: int | Live, probability: float) -> Array:
    choices = empty(shape, like, array_namespace(like).bool)
    return _draw("random_choices", choices, like, key, counter, round(probability * 2**53))


@on_gpu(uniform)
def _uniform(like: Array, shape: Sequence[int], key: int, counter: int | Live) -> Array:
    if not supported(like) or math.prod(shape) == 0:
        return uniform.textbook(like, shape, key, counter)
    return _draw("random_uniform", empty(shape, like), like, key, counter)
