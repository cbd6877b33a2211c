"""What compiles a source and runs its kernels: CuPy, or whatever the tests put in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from tinymed.backend import Array, array_namespace
from tinymed.kernels.gpu.reading import ARRAYS, Source

Size = tuple[int, int, int]

_PORTABLE_SHARED = 48 * 1024  # more must be asked for, kernel by kernel


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
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = self._compile(source, options).get_function(kernel)
        if shared_bytes > _PORTABLE_SHARED:
            self._allow_shared(function, shared_bytes)
        given = tuple(_addresses([a.data.ptr for a in x]) if isinstance(x, list) else x for x in arguments)
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
