"""What compiles a source and runs its kernels: CuPy, or whatever the tests put in its place."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.reading import ARRAYS, Source

Size = tuple[int, int, int]

_PORTABLE_SHARED = 48 * 1024  # more must be asked for, kernel by kernel
_LONG = 0.3  # seconds until something is said


class Driver(Protocol):
    """What compiles a source and runs its kernels."""

    def launch(
        self,
        source: Source,
        kernel: str,
        options: tuple[str, ...],
        grid: Size,
        block: Size,
        arguments: list[Any],
        shared_bytes: int,
    ) -> None:
        """Run a kernel: an argument is an array, None, a NumPy number, a structure (size 1), or a list of arrays."""

    def empty(self, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """Return an array, on the device of ``like``, that a kernel is about to fill."""


class CudaDriver:
    """Compiles with NVRTC, through CuPy, and launches on the current stream."""

    def __init__(self) -> None:
        self._modules: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._functions: dict[tuple[str, tuple[str, ...], str], Any] = {}
        self._shared: dict[tuple[int, int], int] = {}
        self._said = threading.Event()

    def launch(
        self,
        source: Source,
        kernel: str,
        options: tuple[str, ...],
        grid: Size,
        block: Size,
        arguments: list[Any],
        shared_bytes: int,
    ) -> None:
        """See :class:`Driver`; returns before the kernel has run."""
        key = (source.name, options, kernel)
        given = tuple(_addresses([a.data.ptr for a in x]) if isinstance(x, list) else x for x in arguments)
        function = self._functions.get(key)
        with contextlib.nullcontext() if function is not None else _saying_so(self._said):
            if function is None:
                function = self._functions[key] = self._compile(source, options).get_function(kernel)
            if shared_bytes > _PORTABLE_SHARED:
                self._allow_shared(function, shared_bytes)
            function(grid, block, given, shared_mem=shared_bytes)

    def empty(self, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """See :class:`Driver`; on the current device, where kernels run."""
        return array_namespace(like).empty(shape, dtype=dtype)

    def _compile(self, source: Source, options: tuple[str, ...]) -> Any:
        import cupy

        key = (source.name, options)
        if key not in self._modules:
            self._modules[key] = cupy.RawModule(code=source.text, options=options)
        return self._modules[key]

    def _allow_shared(self, function: Any, size: int) -> None:
        import cupy

        key = (id(function), cupy.cuda.device.get_device_id())
        if size > self._shared.get(key, 0):
            function.max_dynamic_shared_size_bytes = size
            self._shared[key] = size


@contextmanager
def _saying_so(said: threading.Event) -> Iterator[None]:
    """Print one line, once, if what is inside takes long: it compiles then, instead of finding its code on disk."""

    def say() -> None:
        if not said.is_set():
            said.set()
            print("tinymed: compiling its kernels for this GPU (once; some seconds)", file=sys.stderr, flush=True)

    timer = threading.Timer(_LONG, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


DRIVERS: list[Driver] = [CudaDriver()]
"""The last one runs the kernels."""


@contextmanager
def use_driver(driver: Driver) -> Iterator[None]:
    """Run kernels by another driver inside a ``with`` block."""
    DRIVERS.append(driver)
    try:
        yield
    finally:
        DRIVERS.pop()


def _addresses(pointers: Sequence[int]) -> np.ndarray:
    """Return a list of arrays as a structure: as many addresses as it has room for, those left out being null."""
    filled = np.zeros(1, np.dtype([("at", np.uint64, ARRAYS)]))
    filled["at"][0, : len(pointers)] = pointers
    return filled
