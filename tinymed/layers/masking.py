"""The layer that marks the steps of a sequence that are only padding."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array, array_namespace
from tinymed.layers.base import Layer
from tinymed.ops.merging import multiply, multiply_backward


class Masking(Layer):
    """Marks the steps whose features all equal ``mask_value``: the layers behind leave them out.

    >>> import numpy as np
    >>> Masking().compute_mask(np.array([[[1.0, 0.0], [0.0, 0.0]]]))
    array([[ True, False]])

    Arguments:
        mask_value: The value that padding has.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input and output ``(N, T, D)``, zeros at the steps that are left out; mask ``(N, T)``.
    """

    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return which steps count, (N, T)."""
        return array_namespace(x).any(x != self.mask_value, axis=-1)

    def forward(self, x: Array, training: bool = False) -> tuple[Array, Any]:
        """Return ``x`` with zeros at the steps that are left out."""
        self.prepare(x)
        xp = array_namespace(x)
        return multiply(x, xp.expand_dims(xp.astype(self.compute_mask(x), x.dtype), axis=-1))

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array, dict[str, Array]]:
        """Return dx, zero at the steps that were left out; there are no weights."""
        return multiply_backward(dy, cache)[0], {}
