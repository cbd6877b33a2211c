"""Numba bodies of the operations, for NumPy arrays. Importing this package registers them; nothing compiles yet.

A kernel is a plain loop over a range of outputs, compiled without Python's lock; :mod:`threads` lets several
threads take turns at such ranges. Whatever a kernel cannot do (complex numbers, whole numbers, groups) is left to
the textbook body.
"""

from tinymed.kernels.cpu import (
    buffers,
    convolution,
    dense,
    embedding,
    fused,
    normalization,
    pooling,
    recurrent,
    sampling,
    similarity,
    special,
    threads,
    updates,
)

__all__ = [
    "buffers",
    "convolution",
    "dense",
    "embedding",
    "fused",
    "normalization",
    "pooling",
    "recurrent",
    "sampling",
    "similarity",
    "special",
    "threads",
    "updates",
]

threads.limit_blas()
