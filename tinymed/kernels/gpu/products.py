"""Matrix products on the GPU.

CuPy refuses its own cuBLAS while a stream captures, because it cannot know whether cuBLAS will ask for memory then. So
the same library is called here with a handle of our own, whose workspace is given beforehand: all products, captured or
not, take this one road, and their bits are the same. Where cuBLAS cannot be loaded, a kernel of our own multiplies.
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
from typing import Any

import numpy as np

from tinymed import precision
from tinymed.backend import Array, array_namespace, is_host
from tinymed.kernels.gpu.launching import blocks, contiguous, empty, launch, load, supported

load("products")

WORKSPACE = 32 * 2**20
"""Bytes of workspace: what NVIDIA recommends for its latest GPUs, and more than the older ones need."""

SIDE, DEPTH, PITCH = 64, 16, 68  # as in products.cu


def matmul(a: Array, b: Array) -> Array:
    """Return the matrix product, as ``matmul`` of the array API does.

    A transposed matrix costs nothing: it is not copied. Arrays in main memory, and dtypes other than float32 or float64
    alone, are multiplied by their own library.
    """
    if is_host(a) or not supported(a, b) or min(a.ndim, b.ndim) < 2 or 0 in (*a.shape, *b.shape):
        return array_namespace(a, b).matmul(a, b)
    return multiply(a, b, cublas() or tiled)


def multiply(a: Array, b: Array, road: Any) -> Array:
    """Return the product of matrices or stacks of matrices; ``road(a, b)`` multiplies stacks (B, M, K) and (B, K, N).

    A stack of one matrix stands for as many as the other has.
    """
    xp = array_namespace(a)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul expects (..., M, K) and (..., K, N) but got {tuple(a.shape)} and {tuple(b.shape)}")
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:  # one tall matrix
        flat = xp.reshape(a, (1, -1, a.shape[-1]))
        return xp.reshape(road(flat, b[None, ...]), (*a.shape[:-1], b.shape[-1]))
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    y = road(_stacked(a, stack), _stacked(b, stack))
    return xp.reshape(y, (*stack, a.shape[-2], b.shape[-1]))


def _stacked(x: Array, stack: tuple[int, ...]) -> Array:
    """Return a stack (B, rows, columns): of one matrix if it has no others."""
    xp = array_namespace(x)
    if x.ndim == 2:
        return x[None, ...]
    if x.shape[:-2] != stack:
        x = xp.broadcast_to(x, (*stack, *x.shape[-2:]))
    return xp.reshape(x, (math.prod(stack), *x.shape[-2:]))


def laid_out(x: Array) -> tuple[Array, bool]:
    """Return a stack of matrices in C order and whether it is the transposed one; copied only where it must be."""
    if x.flags.c_contiguous:
        return x, False
    turned = array_namespace(x).permute_dims(x, (0, 2, 1))
    return (turned, True) if turned.flags.c_contiguous else (contiguous(x), False)


# --- a kernel of our own -------------------------------------------------------------------------------------------


def tiled(a: Array, b: Array) -> Array:
    """Multiply stacks of matrices with our own kernel.

    Where C has few tiles and K is long, as for the gradient of a weight, K is split into parts that are added up last.
    """
    (count, M, K), N = a.shape, b.shape[2]
    batch = max(count, b.shape[0])
    (a, a_turned), (b, b_turned) = laid_out(a), laid_out(b)
    tiles = blocks(M, SIDE) * blocks(N, SIDE) * batch
    splits = max(1, min(256 // tiles, blocks(K, 8 * DEPTH)))
    c = empty((splits, batch, M, N), a)
    steps = (0 if a.shape[0] == 1 else M * K, 0 if b.shape[0] == 1 else K * N)
    grid = (blocks(M, SIDE) * batch, blocks(N, SIDE), splits)
    constants = {"TRANSPOSED_A": int(a_turned), "TRANSPOSED_B": int(b_turned)}
    shared = 2 * DEPTH * PITCH * a.dtype.itemsize
    launch("tiled_product", grid, 256, (a, b, c, M, N, K, batch, *steps), shared_bytes=shared, **constants)
    return c[0, ...] if splits == 1 else array_namespace(c).sum(c, axis=0)


# --- cuBLAS --------------------------------------------------------------------------------------------------------

_N, _T = 0, 1  # cublasOperation_t
_DATA = {"float32": 0, "float64": 1}  # cudaDataType_t
_COMPUTE = {"float32": 68, "tf32": 77, "float64": 70}  # cublasComputeType_t
_DEFAULT_ALGORITHM = -1
_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
_SIGNATURES = {
    "cublasCreate_v2": (_P,),
    "cublasSetStream_v2": (_P, _P),
    "cublasSetWorkspace_v2": (_P, _P, ctypes.c_size_t),
    "cublasGemmStridedBatchedEx": (
        *(_P, _I, _I, _I, _I, _I),  # handle, operations, m, n, k
        *(_P, _P, _I, _I, _L, _P, _I, _I, _L),  # alpha; A and B: where, type, leading dimension, stride
        *(_P, _P, _I, _I, _L, _I, _I, _I),  # beta; C; count, compute type, algorithm
    ),
}


class Cublas:
    """cuBLAS with handles of our own, one for each device and thread.

    Args:
        library: The library, loaded.
        stream: Returns the current stream's address and the current device's number.
        allocate: Returns an object that keeps so many bytes of device memory, and its address.
    """

    def __init__(self, library: Any, stream: Any, allocate: Any) -> None:
        self._stream, self._allocate = stream, allocate
        self._functions = {}
        for name, arguments in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, ctypes.c_int
            self._functions[name] = function
        self._local = threading.local()

    def _call(self, name: str, *arguments: Any) -> None:
        status = self._functions[name](*arguments)
        if status:
            raise RuntimeError(f"{name} returned status {status}")

    def _handle(self) -> Any:
        """Return the device's handle, bound to the current stream, with its workspace."""
        stream, device = self._stream()
        known = self._local.__dict__.setdefault("handles", {})
        if device not in known:
            handle = _P()
            self._call("cublasCreate_v2", ctypes.byref(handle))
            known[device] = [handle, *self._allocate(WORKSPACE), None]
        handle, _, workspace, bound = known[device]
        if bound != stream:
            self._call("cublasSetStream_v2", handle, stream)  # which takes the workspace away
            self._call("cublasSetWorkspace_v2", handle, workspace, WORKSPACE)
            known[device][-1] = stream
        return handle

    def __call__(self, a: Array, b: Array) -> Array:
        """Multiply stacks of matrices.

        cuBLAS takes matrices column after column, so it sees the transposed of each of ours: C^T = B^T A^T.
        """
        (count, M, K), N, dtype = a.shape, b.shape[2], a.dtype.name
        batch = max(count, b.shape[0])
        (a, a_turned), (b, b_turned) = laid_out(a), laid_out(b)
        c = empty((batch, M, N), a)
        number = ctypes.c_float if dtype == "float32" else ctypes.c_double
        one, zero, kind = number(1), number(0), _DATA[dtype]
        self._call(
            "cublasGemmStridedBatchedEx",
            *(self._handle(), _T if b_turned else _N, _T if a_turned else _N, N, M, K),
            *(ctypes.byref(one), address(b), kind, K if b_turned else N, 0 if b.shape[0] == 1 else K * N),
            *(address(a), kind, M if a_turned else K, 0 if a.shape[0] == 1 else M * K),
            *(ctypes.byref(zero), address(c), kind, N, M * N, batch),
            *(_COMPUTE[precision.get_precision() if dtype == "float32" else dtype], _DEFAULT_ALGORITHM),
        )
        return c


def address(x: Array) -> int:
    """Return where an array's values begin."""
    return x.data.ptr if hasattr(x.data, "ptr") else x.ctypes.data


@functools.cache
def cublas() -> Cublas | None:
    """Return cuBLAS, None where there is none."""
    import cupy

    library = _library(cupy.cuda.runtime.runtimeGetVersion() // 1000)
    if library is None:
        return None

    def stream() -> tuple[int, int]:
        return cupy.cuda.get_current_stream().ptr, cupy.cuda.device.get_device_id()

    def allocate(size: int) -> tuple[Any, int]:
        memory = cupy.cuda.alloc(size)
        return memory, memory.ptr

    return Cublas(library, stream, allocate)


def _library(major: int) -> Any:
    """Load the cuBLAS of this CUDA version, from where NVIDIA's packages or the system have it."""
    names = [f"libcublas.so.{major}", f"cublas64_{major}.dll"]
    try:
        from cuda import pathfinder

        names.insert(0, pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, RuntimeError):
        pass  # no such package, or it does not find the library: the system may
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
