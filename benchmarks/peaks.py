"""What the machine can do at most, to measure shares of."""

from __future__ import annotations

import numpy as np


class Peaks:
    """What the machine can do at most: a matrix product (``arithmetic``) and a copy (``memory``)."""

    size, values = 2048, 1 << 24
    flops, traffic = 2 * size**3, 2 * 4 * values

    def __init__(self) -> None:
        self.a = np.ones((self.size, self.size), np.float32)
        self.out = np.empty_like(self.a)
        self.source = np.ones(self.values, np.float32)
        self.target = np.empty_like(self.source)

    def arithmetic(self) -> None:
        """Multiply two matrices."""
        np.matmul(self.a, self.a, out=self.out)

    def memory(self) -> None:
        """Copy an array that no cache holds."""
        np.copyto(self.target, self.source)
