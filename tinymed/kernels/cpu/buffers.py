"""Memory for large results, used again once nobody refers to it.

The system clears every page of fresh memory when it is first written to; for the arrays of a training step that can
take as long as the arithmetic. :func:`empty` hands out views of buffers that it keeps. As long as anybody holds such
a view, or a view of it, NumPy keeps a reference to the buffer: only a buffer without any is handed out again, so a
result is never changed behind its holder's back.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

SMALLEST = 1 << 20
"""Bytes from which on an array is worth it; smaller ones come from NumPy."""

LARGEST = 384 << 20
"""Bytes that are kept at most, in use or not. Never more are kept than were in use at one time."""

_LINE = 64  # bytes that the processor fetches together: vectors that begin there are loaded fastest


class Buffers:
    """Keeps buffers, the most recently used last."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self.kept: list[np.ndarray] = [np.empty(0, np.uint8)]
        self.most_in_use = 0
        self.lock = threading.RLock()
        self.alone = self._references()[0]  # how many references a buffer has that nobody uses
        self.kept.clear()

    def _references(self) -> list[int]:
        return [sys.getrefcount(buffer) for buffer in self.kept]

    def take(self, size: int) -> np.ndarray | None:
        """Return a buffer of at least ``size`` bytes that nobody uses, or None if there is no room for one."""
        with self.lock:
            free = [count <= self.alone for count in self._references()]
            in_use = sum(buffer.size for buffer, unused in zip(self.kept, free, strict=True) if not unused)
            fitting = [
                (buffer.size, place)
                for place, buffer in enumerate(self.kept)
                if free[place] and size + _LINE <= buffer.size <= 1.25 * size + _LINE
            ]
            if fitting:
                taken = self.kept.pop(min(fitting)[1])
                self.kept.append(taken)
                self.most_in_use = max(self.most_in_use, in_use + taken.size)
                return taken
            self.most_in_use = max(self.most_in_use, min(in_use + size + _LINE, self.largest))
            spare = min(self.most_in_use, self.largest) - in_use - size - _LINE
            if spare < 0:
                return None
            kept = []  # of the unused ones the latest, as far as they fit in beside the new one
            for buffer, unused in zip(reversed(self.kept), reversed(free), strict=True):
                if unused:
                    spare -= buffer.size
                if not unused or spare >= 0:
                    kept.append(buffer)
            fresh = np.empty(size + _LINE, np.uint8)
            self.kept = [*reversed(kept), fresh]
            return fresh

    def clear(self) -> None:
        """Keep nothing any longer; arrays in use stay as they are."""
        with self.lock:
            self.kept.clear()
            self.most_in_use = 0


_countable = hasattr(sys, "getrefcount") and getattr(sys, "_is_gil_enabled", lambda: True)()
_buffers = Buffers()


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array like :func:`numpy.empty`'s, in C order; large ones begin at a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    buffer = _buffers.take(size) if size >= SMALLEST and _countable else None
    if buffer is None:
        return np.empty(shape, dtype)
    start = -buffer.ctypes.data % _LINE
    return buffer[start : start + size].view(dtype).reshape(shape)


def clear() -> None:
    """Give back the memory that nobody uses."""
    _buffers.clear()
