"""CUDA graphs: work for the GPU recorded once, by CuPy's stream capture, and launched as one."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from tinymed.backend import Array


class Graphs(Protocol):
    """What records and replays: CUDA graphs, or what stands for them in a test."""

    def capture(self, body: Callable[[], None]) -> Callable[[], None]:
        """Record what ``body`` asks of the device, without doing it; return what does it."""

    def write(self, place: Array, host: np.ndarray) -> None:
        """Copy a few numbers to the device; they are there before whatever is asked of it next."""


class CannotRecord(Exception):
    """Why a step cannot be recorded."""


class CudaGraphs:
    """CUDA graphs, through CuPy's stream capture."""

    def capture(self, body: Callable[[], None]) -> Callable[[], None]:
        """Record what ``body`` launches, on a stream of its own and with memory that only the graph uses."""
        import cupy

        pool, stream = cupy.cuda.MemoryPool(), cupy.cuda.Stream(non_blocking=True)
        cupy.cuda.Device().synchronize()
        cupy.get_default_memory_pool().free_all_blocks()
        with _nothing_else(cupy), cupy.cuda.using_allocator(pool.malloc), stream:
            stream.begin_capture()
            try:
                body()
            except BaseException:
                with contextlib.suppress(Exception):  # a recording that has failed ends with an error, too
                    stream.end_capture()
                raise
            graph = stream.end_capture()
        if pool.total_bytes() > cupy.cuda.Device().mem_info[1] // 4:
            raise CannotRecord(f"the recorded step would keep {pool.total_bytes() / 2**30:.1f} GiB to itself")

        def replay(keep: Any = (pool, stream)) -> None:
            graph.launch()

        return replay

    def write(self, place: Array, host: np.ndarray) -> None:
        """Copy from memory that is not pinned: CUDA has taken the values when this returns."""
        place.set(host)


@contextlib.contextmanager
def _nothing_else(cupy: Any) -> Iterator[None]:
    """Keep out of a recording what does not belong there.

    Garbage that frees device memory would be recorded, or break the recording. A copy from the host would read, at
    each replay, memory that others have filled since: CuPy asks for pinned memory first, and gets an error.
    """

    def refuse(size: int) -> Any:
        raise CannotRecord("the step copies an array from the host to the device")

    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    cupy.cuda.set_pinned_memory_allocator(refuse)
    try:
        yield
    finally:
        cupy.cuda.set_pinned_memory_allocator(cupy.get_default_pinned_memory_pool().malloc)
        if collecting:
            gc.enable()
