"""The one way to run a CUDA kernel: arguments are checked here, and a driver does the rest.

A *body* (the Python side of an operation) says ``load("pooling")`` once and then ::

    launch("max_pool", blocks(y.size), THREADS, (x, y, winner, windows, y.size))

What is behind it can be replaced (:mod:`~tinymed.kernels.gpu.drivers`). CuPy compiles with NVRTC and launches on the
current stream. The tests put a driver in its place that compiles the same text for this computer's processor and runs
it on NumPy arrays, so that sources, launch configurations and bodies are all tested where there is no GPU.

Each source is compiled once for float and once for double: ``REAL`` is one of them. ``INDEX``, for places in arrays,
is an int, whose divisions are several times as fast as those of a long long; it becomes one (``-DWIDE``) when an array
has 2^30 values or more. The kernel's own signature, which is read from the source, says what each argument must be; a
wrong dtype is an error here and not a wrong number there.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.drivers import DRIVERS, Size
from tinymed.kernels.gpu.reading import ARRAYS, KERNELS, LISTS, Parameter, load
from tinymed.ops.registry import OpFunction

__all__ = [
    "BODIES", "THREADS", "blocks", "compile_options", "contiguous", "empty", "launch", "load", "on_gpu", "supported",
]  # fmt: skip

THREADS = 256
"""Threads of a block, unless a kernel needs another number: as many as may use 255 registers each."""

MOST_BLOCKS, MOST_THREADS = (2**31 - 1, 65535, 65535), (1024, 1024, 64)
"""How many blocks a grid, and how many threads a block, may have along each axis."""

MOST_SHARED = 227 * 1024
"""Bytes of shared memory that a block may have on compute capability 9.0 (8.0 has 163 KiB)."""

_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_WIDE_FROM = 2**30  # values of an array, from which on INDEX has 64 bits


def compile_options(real: str, wide: bool = False, **constants: Any) -> tuple[str, ...]:
    """Return the options with which a source is compiled: the same for every driver."""
    named = [f"-D{name}={value}" for name, value in sorted(constants.items())]
    return ("-std=c++17", f"-DREAL={real}", *["-DWIDE"] * wide, *named)


_options = functools.lru_cache(maxsize=None)(compile_options)


# --- launching -----------------------------------------------------------------------------------------------------


def blocks(items: int, threads: int = THREADS) -> int:
    """Return how many blocks of so many threads it takes to have one thread for each item."""
    return -(-items // threads)


def launch(
    kernel: str,
    grid: int | Sequence[int],
    block: int | Sequence[int],
    args: Sequence[Any],
    shared_bytes: int = 0,
    **constants: Any,
) -> None:
    """Run a kernel of a source that was loaded; nothing happens if the grid is empty.

    Args:
        kernel: Name of the kernel, of whichever source.
        grid: How many blocks, along up to three axes.
        block: How many threads in a block, along up to three axes.
        args: One argument for each parameter: arrays in C order (None for none, a list for ``Arrays`` or ``Inputs``),
            numbers, and for structures the sequence of their whole numbers.
        shared_bytes: Size of the shared memory that the kernel takes with ``SHARED_MEMORY``.
        **constants: Compiled into the code, as ``-Dname=value``.

    Raises:
        ValueError: If an argument is not what the kernel's signature says, or no GPU has room for the launch.
    """
    source = KERNELS.get(kernel)
    if source is None:
        raise ValueError(f"no loaded source has a kernel {kernel!r}; load its source first")
    grid, block = _size(grid), _size(block)
    if 0 in grid:
        return
    _check_limits(kernel, grid, block, shared_bytes)
    parameters = source.kernels[kernel]
    if len(parameters) != len(args):
        raise ValueError(f"{kernel} takes {len(parameters)} arguments but got {len(args)}")
    real, wide = _check_arrays(kernel, parameters, args)
    arguments = [p.convert(value, real, wide) for p, value in zip(parameters, args, strict=True)]
    options = _options("float" if real is _SINGLE else "double", wide, **constants)
    DRIVERS[-1].launch(source, kernel, options, grid, block, arguments, shared_bytes)


def _size(size: int | Sequence[int]) -> Size:
    if isinstance(size, int):
        return size, 1, 1
    sizes = (*map(int, size), 1, 1, 1)
    return sizes[0], sizes[1], sizes[2]


def _check_limits(kernel: str, grid: Size, block: Size, shared_bytes: int) -> None:
    fits = all(map(operator.le, grid + block, MOST_BLOCKS + MOST_THREADS)) and shared_bytes <= MOST_SHARED
    if not fits or min(block) < 1 or math.prod(block) > 1024:
        raise ValueError(f"no GPU can launch {kernel} with grid={grid}, block={block}, {shared_bytes} shared bytes")


def _check_arrays(kernel: str, parameters: Sequence[Parameter], args: Sequence[Any]) -> tuple[np.dtype, bool]:
    """Return the dtype that REAL stands for, that of the arrays, and whether one of them needs indices of 64 bits."""
    real, wide = None, False
    for p, value in zip(parameters, args, strict=True):
        if value is None or not p.arrays:
            continue
        if p.type in LISTS and len(value) > ARRAYS:
            raise ValueError(f"{kernel} takes at most {ARRAYS} arrays as {p.name} but got {len(value)}")
        for array in value if p.type in LISTS else (value,):
            dtype = array.dtype
            if p.dtype is None:  # REAL
                if real is None and dtype in (_SINGLE, _DOUBLE):
                    real = _SINGLE if dtype == _SINGLE else _DOUBLE
                if dtype != real:
                    raise ValueError(
                        f"{kernel} expects arrays of one dtype, float32 or float64, but {p.name} is {dtype}"
                    )
            elif dtype != p.dtype:
                raise ValueError(f"{kernel} expects {p.name} with dtype {p.dtype} but got {dtype}")
            if not array.flags.c_contiguous:
                raise ValueError(f"{kernel} expects {p.name} in C order but got strides {array.strides}")
            wide = wide or array.size >= _WIDE_FROM
    return _SINGLE if real is None else real, wide


# --- what bodies need ----------------------------------------------------------------------------------------------

BODIES: list[tuple[OpFunction, Callable[..., Any]]] = []
"""Each operation (its forward, or its backward, or an update) with its body for the GPU."""


def on_gpu(operation: OpFunction) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function into the table :data:`BODIES`, from which the package registers it for CuPy."""

    def enter(body: Callable[..., Any]) -> Callable[..., Any]:
        if any(operation is known for known, _ in BODIES):
            raise ValueError(f"{operation.__name__} has a body for the GPU already")
        BODIES.append((operation, body))
        return body

    return enter


def supported(*arrays: Array | None) -> bool:
    """Tell whether the kernels take these arrays: all float32, or all float64 (None entries are passed over)."""
    kinds = {np.dtype(a.dtype) for a in arrays if a is not None}
    return kinds == {np.dtype(np.float32)} or kinds == {np.dtype(np.float64)}


def contiguous(x: Array) -> Array:
    """Return ``x`` in C order, copied only where it is not."""
    return x if x.flags.c_contiguous else array_namespace(x).ascontiguousarray(x)


def empty(shape: Sequence[int], like: Array, dtype: Any = None) -> Array:
    """Return an array on the device of ``like``, of its dtype unless told, whose values a kernel is about to write."""
    return DRIVERS[-1].empty(tuple(shape), dtype or like.dtype, like)
