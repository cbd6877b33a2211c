"""One step of a recurrent layer, to be stepped by hand; and the weights that a step and a whole layer share."""

from __future__ import annotations

from typing import Any, ClassVar

from tinymed import activations, backend, initializers, regularizers
from tinymed.backend import Array, array_namespace
from tinymed.layers.base import Layer, Shape
from tinymed.live import live
from tinymed.ops.dropout import dropout, dropout_backward
from tinymed.ops.gru import gru
from tinymed.ops.lstm import lstm
from tinymed.ops.random import bernoulli
from tinymed.ops.registry import REGISTRY, Operation
from tinymed.ops.simple_rnn import simple_rnn

States = list[Array | None]


class SimpleRNNCell(Layer):
    r"""One step of a simple recurrent network: $h_t = \phi(x_t W + h_{t-1} R + b)$.

    >>> import numpy as np
    >>> cell = SimpleRNNCell(4)
    >>> x, h = np.ones((2, 5, 3), "float32"), np.zeros((2, 4), "float32")
    >>> tape = []
    >>> for t in range(5):
    ...     h, cache = cell.forward(x[:, t], h)
    ...     tape.append(cache)
    >>> dh = np.ones_like(h)
    >>> for cache in reversed(tape):
    ...     (dx, dh), grads = cell.backward(dh, cache)
    >>> sorted(grads), dh.shape
    (['bias', 'kernel', 'recurrent_kernel'], (2, 4))

    Arguments:
        units: Size U of the state.
        activation: Name of $\phi$.
        use_bias: Whether there is a bias.
        kernel_initializer: How $W$ is drawn.
        recurrent_initializer: How $R$ is drawn; an orthogonal matrix keeps the length of the state.
        bias_initializer: How the bias starts.
        kernel_regularizer: Penalty on $W$, or None.
        recurrent_regularizer: Penalty on $R$, or None.
        bias_regularizer: Penalty on the bias, or None.
        dropout: Part of the inputs that is left out in training, the same ones at every step of a sequence.
        recurrent_dropout: Part of the states that is left out on their way into the product, likewise.
        seed: Makes the dropout repeatable on its own.
        **kwargs: ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, D)`` and state ``(N, U)``, zeros if None; output the new state. Weights ``kernel (D, U)``,
        ``recurrent_kernel (U, U)``, ``bias (U,)``.

    Source:
        D4 §3.2.1 (D4-4).
    """

    axes: tuple[str, ...] = ("N", "D")
    operation: ClassVar[Operation] = REGISTRY[simple_rnn.__name__]
    gates: ClassVar[int] = 1
    state_count: ClassVar[int] = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(units, bool) or int(units) != units or units < 1:
            raise ValueError(f"{self.name} needs units, a positive whole number, but got {units!r}")
        for what, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate < 1:
                raise ValueError(f"{self.name} needs {what} from 0 to below 1 but got {rate!r}")
        self.units = int(units)
        self.activation = activations.pair(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.seed = seed
        self.key, self.calls = backend.new_key(seed), 0

    # --- weights -----------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make ``kernel`` (D, G U), ``recurrent_kernel`` (U, G U) and ``bias``, G blocks of U columns each."""
        size = first_shape(input_shape)[-1]
        if size is None:
            raise ValueError(f"{self.name} needs to know the size of its input's last axis, got {input_shape}")
        columns = self.gates * self.units
        self.add_weight("kernel", (size, columns), self.kernel_initializer, self.kernel_regularizer)
        self.add_weight(
            "recurrent_kernel", (self.units, columns), self.recurrent_initializer, self.recurrent_regularizer
        )
        if self.use_bias:
            self.add_weight("bias", self._bias_shape(), self._bias_initializer(), self.bias_regularizer)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _bias_initializer(self) -> Any:
        return self.bias_initializer

    def build_once(self, input_shape: Any) -> None:
        """Make the weights, if that has not been done."""
        super().build_once(first_shape(input_shape))

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError unless the input, and the states given with it, have shapes that fit."""
        super().check_shape(first_shape(shape))
        states = shape[1:] if isinstance(shape, list) else []
        if len(states) not in (0, self.state_count):
            raise ValueError(f"{self.name} has {self.state_count} states but got {len(states)}")
        for state in states:
            if len(state) != 2 or state[1] not in (None, self.units):
                raise ValueError(f"{self.name} expects states of shape (N, {self.units}) but got {tuple(state)}")

    def flops(self, input_shape: Any) -> int:
        """Return two for each weight of the products."""
        return 2 * self.gates * self.units * ((first_shape(input_shape)[-1] or 0) + self.units)

    # --- all steps of a sequence -------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """Return the operation's arguments that are no arrays."""
        return {"activation": self.activation.name}

    def run(self, x: Array, states: States, mask: Array | None, training: bool) -> tuple[Array, list[Array], Any]:
        """Return all states (N, T, U) of a sequence (N, T, D), the last memory if the cell has one, and the cache."""
        left_out = None
        if training and self.dropout:
            kept = bernoulli(x, (x.shape[0], 1, x.shape[2]), self.key, self._next_call(), 1 - self.dropout)
            x, left_out = dropout(x, kept, self.dropout)
        scale = None
        if training and self.recurrent_dropout:
            rate = self.recurrent_dropout
            kept = bernoulli(x, (x.shape[0], self.units), self.key, self._next_call(), 1 - rate)
            scale = array_namespace(x).astype(kept, x.dtype) / (1 - rate)
        weights = self.params["kernel"], self.params["recurrent_kernel"], self.params.get("bias")
        y, tape = self.operation.forward(x, *weights, *states, mask, scale, **self.options())
        h, *memory = y if isinstance(y, list) else [y]
        return h, memory, (tape, left_out)

    def run_backward(
        self, dh: Array, dmemory: list[Array | None], cache: Any, input_gradient: bool
    ) -> tuple[Array | None, States, dict[str, Array]]:
        """Return dx, the gradients of the initial states (None where none were given), and of the weights."""
        tape, left_out = cache
        dy = [dh, *dmemory] if dmemory else dh
        dx, dkernel, drecurrent, dbias, *dstates = self.operation.backward(dy, tape, input_gradient=input_gradient)
        if dx is not None and left_out is not None:
            dx = dropout_backward(dx, left_out)
        grads = {"kernel": dkernel, "recurrent_kernel": drecurrent}
        return dx, dstates, grads | {"bias": dbias} if self.use_bias else grads

    def _next_call(self) -> Any:
        return live(self._count)

    def _count(self) -> int:
        self.calls += 1
        return self.calls - 1

    # --- one step ----------------------------------------------------------------------------------------------

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the new state, or of state and memory."""
        shape = (first_shape(input_shape)[0], self.units)
        return shape if self.state_count == 1 else [shape] * self.state_count

    def forward(  # type: ignore[override]
        self, x: Any, states: Any = None, training: bool = False
    ) -> tuple[Any, Any]:
        """Return the new state and the cache.

        Arguments:
            x: One step of each sample, (N, D); or a list of it and the states.
            states: The state before, for an LSTM a pair of state and memory; zeros if None.
            training: Whether dropout drops; each call draws anew.
        """
        x, *given = x if isinstance(x, list | tuple) else [x]
        given = given if states is None else list(states) if isinstance(states, list | tuple) else [states]
        self.prepare([x, *given])
        xp = array_namespace(x)
        before = given or [None] * self.state_count
        h, memory, tape = self.run(xp.expand_dims(x, axis=1), before, None, training)
        new = [xp.asarray(h[:, 0, :], copy=True), *memory]
        return (new[0] if self.state_count == 1 else new), (tape, bool(given))

    def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[list, dict[str, Array]]:
        """Return ``[dx, dstate ...]`` (dx alone if no states were given) and the gradients of the weights."""
        tape, given = cache
        dh, *dmemory = dy if isinstance(dy, list | tuple) else [dy]
        dh = array_namespace(dh).expand_dims(dh, axis=1)
        dx, dstates, grads = self.run_backward(dh, dmemory, tape, input_gradient)
        dx = None if dx is None else array_namespace(dx).asarray(dx[:, 0, :], copy=True)
        return ([dx, *dstates] if given else dx), grads  # type: ignore[return-value]


class LSTMCell(SimpleRNNCell):
    r"""One step of a long short-term memory; its state is a pair ``[h, c]`` of state and memory.

    >>> import numpy as np
    >>> cell = LSTMCell(4)
    >>> (h, c), cache = cell.forward(np.ones((2, 3), "float32"), [np.zeros((2, 4), "float32")] * 2)
    >>> (dx, dh, dc), grads = cell.backward([np.ones_like(h), np.zeros_like(c)], cache)
    >>> dx.shape, grads["kernel"].shape
    ((2, 3), (3, 16))

    Arguments:
        units: Size U of state and memory.
        activation: Name of $\phi$, of candidate and memory.
        recurrent_activation: Name of $\sigma$, of the gates.
        use_bias: Whether there is a bias.
        kernel_initializer: How $W$ is drawn.
        recurrent_initializer: How $R$ is drawn.
        bias_initializer: How the bias starts.
        unit_forget_bias: Whether the forget gate's bias starts at 1, so that a new network remembers.
        kernel_regularizer: Penalty on $W$, or None.
        recurrent_regularizer: Penalty on $R$, or None.
        bias_regularizer: Penalty on the bias, or None.
        **kwargs: ``dropout``, ``recurrent_dropout``, ``seed`` (see :class:`SimpleRNNCell`), ``name``, ``trainable``,
            ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, D)``, states ``[(N, U), (N, U)]``; weights ``kernel (D, 4U)``, ``recurrent_kernel (U, 4U)``,
        ``bias (4U,)``, blocks in the order i, f, g, o.
    """

    operation, gates, state_count = REGISTRY[lstm.__name__], 4, 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            **kwargs,
        )
        self.recurrent_activation = activations.pair(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def _bias_initializer(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        U = self.units

        def with_open_forget_gate(shape: tuple[int, ...], dtype: str) -> Any:
            bias = self.bias_initializer(shape, dtype=dtype)
            bias[U : 2 * U] = 1
            return bias

        return with_open_forget_gate

    def options(self) -> dict[str, Any]:
        """Return the operation's arguments that are no arrays."""
        return {"activation": self.activation.name, "recurrent_activation": self.recurrent_activation.name}


class GRUCell(SimpleRNNCell):
    r"""One step of a gated recurrent unit.

    Arguments:
        units: Size U of the state.
        activation: Name of $\phi$, of the candidate.
        recurrent_activation: Name of $\sigma$, of the gates.
        use_bias: Whether there is a bias.
        kernel_initializer: How $W$ is drawn.
        recurrent_initializer: How $R$ is drawn.
        bias_initializer: How the bias starts.
        kernel_regularizer: Penalty on $W$, or None.
        recurrent_regularizer: Penalty on $R$, or None.
        bias_regularizer: Penalty on the bias, or None.
        reset_after: Whether the reset gate acts after the product with $R$ (as on a GPU) or before it.
        **kwargs: ``dropout``, ``recurrent_dropout``, ``seed`` (see :class:`SimpleRNNCell`), ``name``, ``trainable``,
            ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, D)``, state ``(N, U)``; weights ``kernel (D, 3U)``, ``recurrent_kernel (U, 3U)``, ``bias (2, 3U)``
        or ``(3U,)`` without ``reset_after``, blocks in the order update, reset, candidate.
    """

    operation, gates = REGISTRY[gru.__name__], 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            **kwargs,
        )
        self.recurrent_activation = activations.pair(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def options(self) -> dict[str, Any]:
        """Return the operation's arguments that are no arrays."""
        return {
            "activation": self.activation.name,
            "recurrent_activation": self.recurrent_activation.name,
            "reset_after": self.reset_after,
        }


def first_shape(shape: Any) -> Shape:
    """Return the shape of the sequence, whether states come with it (a list) or not."""
    return tuple(shape[0]) if isinstance(shape, list) else tuple(shape)
