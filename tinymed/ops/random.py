r"""Random numbers that are the same on every array library and device.

A generator with a hidden state gives other numbers on a GPU than on a CPU. Here there is no state: number $i$ of call
$t$ is a hash of ``(key, t, i)``, computed with whole-number arithmetic on the device that asks. The hash is
SplitMix64's: the key and the call choose where in its sequence of $2^{64}$ numbers to begin, and $i$ counts on.

>>> import numpy as np
>>> uniform(np.zeros(1), (3,), key=1, counter=0)
array([0.2558852 , 0.08832386, 0.29049545])
>>> uniform(np.zeros(1), (2,), key=1, counter=0)
array([0.2558852 , 0.08832386])

Source:
    Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators (doi:10.1145/2660193.2660195);
    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (doi:10.1145/2063384.2063405).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinymed.backend import Array, array_namespace, device_of
from tinymed.live import Live, number
from tinymed.ops.registry import helper

_STEP = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_WORD = 2**64


def _mix(z: int) -> int:
    """Return SplitMix64's hash of one number, on the host."""
    z = (z ^ (z >> 30)) * _FACTORS[0] % _WORD
    z = (z ^ (z >> 27)) * _FACTORS[1] % _WORD
    return z ^ (z >> 31)


def random_start(like: Array, key: int, counter: int | Live) -> int | Array:
    """Return where in SplitMix64's sequence a call begins: a number, or its place on the device of ``like``.

    Arguments:
        like: An array of the library and on the device where the words shall be.
        key: Which sequence.
        counter: Which call; one that counts on by itself in a step that is recorded (see :mod:`tinymed.live`).

    Raises:
        ValueError: If the key or the counter is negative.
    """
    return number(like, _start, key, counter, dtype="uint64")


def _start(key: int, counter: int) -> int:
    if key < 0 or counter < 0:
        raise ValueError(f"key and counter must not be negative, got {key} and {counter}")
    return _mix((_mix(key % _WORD) + counter * _STEP) % _WORD)


@helper
def random_bits(like: Array, count: int, key: int, counter: int | Live) -> Array:
    """Return ``count`` random 64-bit words as a uint64 vector on the device of ``like``.

    Arguments:
        like: An array of the library and on the device where the words shall be.
        count: How many.
        key: Which sequence, as ``backend.new_key`` gives it.
        counter: Which call; each call begins elsewhere in the sequence.

    Raises:
        ValueError: If the key or the counter is negative.
    """
    xp = array_namespace(like)
    z = xp.arange(1, count + 1, dtype=xp.uint64, device=device_of(like)) * _STEP  # products wrap around at 2^64
    z += random_start(like, key, counter)
    for shift, factor in zip((30, 27), _FACTORS, strict=True):
        z ^= z >> shift
        z *= factor
    z ^= z >> 31
    return z


@helper
def uniform(like: Array, shape: Sequence[int], key: int, counter: int | Live) -> Array:
    """Return numbers in [0, 1), every value of the dtype's grid equally likely, bit for bit the same everywhere.

    Arguments:
        like: A floating array, whose library, device and dtype the result gets.
        shape: Shape of the result.
        key: Which sequence, as ``backend.new_key`` gives it.
        counter: Which call; the same key and counter give the same numbers again.
    """
    xp = array_namespace(like)
    digits = 1 - round(math.log2(float(xp.finfo(like.dtype).eps)))  # 53, 24 or 11 binary digits
    bits = random_bits(like, math.prod(shape), key, counter) >> (64 - digits)
    return xp.reshape(xp.astype(bits, like.dtype) * 2.0**-digits, tuple(shape))


@helper
def bernoulli(like: Array, shape: Sequence[int], key: int, counter: int | Live, probability: float) -> Array:
    """Return an array that is True with ``probability``, the same for every dtype of ``like``.

    Arguments:
        like: An array, whose library and device the result gets.
        shape: Shape of the result.
        key: Which sequence, as ``backend.new_key`` gives it.
        counter: Which call.
        probability: From 0 to 1, rounded to a multiple of 2 to the power -53.
    """
    xp = array_namespace(like)
    bits = random_bits(like, math.prod(shape), key, counter) >> 11
    return xp.reshape(bits < round(probability * 2**53), tuple(shape))


def normal(like: Array, shape: Sequence[int], key: int, counter: int | Live) -> Array:
    r"""Return numbers of mean 0 and variance 1 from a normal distribution.

    Box and Muller: of two uniform numbers $u$ and $v$, $\sqrt{-2 \ln(1 - u)}$ is the distance from the origin and
    $2 \pi v$ the angle of a point whose two coordinates are normal and independent. (Libraries round logarithm and
    cosine differently, so these numbers agree between devices to rounding, not to the bit.)

    Arguments:
        like: A floating array, whose library, device and dtype the result gets.
        shape: Shape of the result.
        key: Which sequence, as ``backend.new_key`` gives it.
        counter: Which call.
    """
    xp = array_namespace(like)
    count = math.prod(shape)
    u, v = xp.unstack(uniform(like, (2, (count + 1) // 2), key, counter))
    distance, angle = xp.sqrt(-2.0 * xp.log1p(-u)), 2.0 * math.pi * v
    both = xp.concat([distance * xp.cos(angle), distance * xp.sin(angle)])
    return xp.reshape(both[:count], tuple(shape))
