"""The fully connected layer."""

from __future__ import annotations

import math
from typing import Any

from tinymed import activations, initializers, regularizers
from tinymed.backend import Array
from tinymed.layers.base import Layer, Shape
from tinymed.ops.dense import dense, dense_backward


class Dense(Layer):
    r"""A fully connected layer: $y = f(xW + b)$ with the activation $f$.

    Arguments:
        units: Number of outputs U.
        activation: Name of an activation, or None for $f(z) = z$.
        use_bias: Whether there is a bias $b$.
        kernel_initializer: How $W$ is drawn.
        bias_initializer: How $b$ starts.
        kernel_regularizer: Penalty on $W$, or None.
        bias_regularizer: Penalty on $b$, or None.
        input_dim: Number of inputs D, for a first layer (older Keras spelling of ``input_shape=(D,)``).
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, ..., D)``, output ``(N, ..., U)``; weights ``kernel (D, U)``, ``bias (U,)``.

    Source:
        D1 §3.1.3, D2 §3.3; D4 §3.1.3 with ``activation="softmax"``.
    """

    supports_masking = True

    axes = ("N", "...", "D")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        input_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        if input_dim is not None:
            kwargs.setdefault("input_shape", (input_dim,))
        super().__init__(**kwargs)
        if int(units) != units or units < 1:
            raise ValueError(f"{self.name} needs units, a positive whole number, but got {units!r}")
        self.units = int(units)
        self.activation = activations.pair(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def build(self, input_shape: Shape) -> None:
        """Make ``kernel`` (D, U) and ``bias`` (U,)."""
        if input_shape[-1] is None:
            raise ValueError(f"{self.name} needs to know the size of its input's last axis, got {input_shape}")
        self.add_weight("kernel", (input_shape[-1], self.units), self.kernel_initializer, self.kernel_regularizer)
        if self.use_bias:
            self.add_weight("bias", (self.units,), self.bias_initializer, self.bias_regularizer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (N, ..., U)."""
        return (*input_shape[:-1], self.units)

    def forward(self, x: Array, training: bool = False, logits: bool = False) -> tuple[Array, Any]:
        """Return ``f(xW + b)``; with ``logits=True`` the values before the activation."""
        self.prepare(x)
        z, tape = dense(x, self.params["kernel"], self.params.get("bias"))
        y, activation_tape = self._activate(z, logits)
        return y, (tape, activation_tape)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        """Return dx and the gradients of ``kernel`` and ``bias``."""
        tape, activation_tape = cache
        dz = self._activate_backward(dy, activation_tape)
        dx, dkernel, dbias = dense_backward(dz, tape, input_gradient=input_gradient)
        return dx, {"kernel": dkernel, "bias": dbias} if self.use_bias else {"kernel": dkernel}

    def flops(self, input_shape: Shape) -> int:
        """Return 2 D U for each row (a multiplication and an addition per weight)."""
        rows = math.prod(size or 1 for size in input_shape[1:-1])
        return 2 * rows * (input_shape[-1] or 0) * self.units
