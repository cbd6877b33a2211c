"""The layer that turns whole numbers into vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import backend, initializers, regularizers
from tinymed.backend import Array, array_namespace
from tinymed.layers.base import Layer, Shape
from tinymed.ops.embedding import embedding, embedding_backward


class Embedding(Layer):
    """A table with a row of ``output_dim`` numbers for each of ``input_dim`` symbols (words, codes, categories).

    Arguments:
        input_dim: How many symbols there are; inputs are whole numbers from 0 to ``input_dim - 1``.
        output_dim: Length of a symbol's vector.
        embeddings_initializer: How the table is drawn.
        embeddings_regularizer: Penalty on the table, or None.
        mask_zero: Whether 0 means padding: the layers behind leave such steps out.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T)`` (any shape will do), output ``(N, T, output_dim)``; weights
        ``embeddings (input_dim, output_dim)``.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        *,
        mask_zero: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for what, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if isinstance(value, bool) or int(value) != value or value < 1:
                raise ValueError(f"{self.name} needs {what}, a positive whole number, but got {value!r}")
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.mask_zero = self.supports_masking = mask_zero

    def build(self, input_shape: Any) -> None:
        """Make ``embeddings`` (input_dim, output_dim)."""
        shape = (self.input_dim, self.output_dim)
        self.add_weight("embeddings", shape, self.embeddings_initializer, self.embeddings_regularizer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with output_dim behind it."""
        return (*input_shape, self.output_dim)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return where the input is not 0, with ``mask_zero``."""
        return x != 0 if self.mask_zero else super().compute_mask(x, mask)

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return the rows that ``x`` names."""
        self.prepare(x)
        xp = array_namespace(x)
        ids = x if xp.isdtype(x.dtype, "integral") else xp.astype(x, xp.int64)
        self._check_range(ids)
        y, cache = embedding(self.params["embeddings"], ids)
        return y, (cache, x)

    def _check_range(self, ids: Array) -> None:
        """Raise ValueError for a symbol that has no row (on the host only: on a device it would cost a wait)."""
        if not backend.is_host(ids) or not ids.size:
            return
        low, high = int(np.min(ids)), int(np.max(ids))
        if low < 0 or high >= self.input_dim:
            raise ValueError(
                f"{self.name} has rows 0 to {self.input_dim - 1} but got the number {low if low < 0 else high}; "
                "input_dim must be larger than the largest number in the data"
            )

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """Return the gradient of the table; whole numbers have none, so dx is zero."""
        tape, x = cache
        xp = array_namespace(dy)
        dx = xp.zeros(x.shape, dtype=dy.dtype, device=backend.device_of(dy)) if input_gradient else None
        return dx, {"embeddings": embedding_backward(dy, tape)}

    def flops(self, input_shape: Shape) -> int:
        """Return 0: rows are only copied."""
        return 0
