"""Recurrent layers: a cell that runs over the steps of each sequence."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array, array_namespace, device_of
from tinymed.layers.cells import GRUCell, LSTMCell, SimpleRNNCell, first_shape


class _OverTime(SimpleRNNCell):
    """What turns a cell into a layer over whole sequences."""

    axes = ("N", "T", "D")
    supports_masking = uses_mask = True

    def __init__(
        self,
        *args: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.states: list[Array] | None = None

    def check_shape(self, shape: Any) -> None:
        """Raise ValueError unless sequences of this shape, and the states given with them, fit."""
        super().check_shape(shape)
        if first_shape(shape)[1] == 0:
            raise ValueError(f"{self.name} got sequences of length 0; they need at least one step")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (N, T, U) or (N, U), followed by the states' shapes with ``return_state``."""
        N, T, _ = first_shape(input_shape)
        y = (N, T, self.units) if self.return_sequences else (N, self.units)
        return [y, *[(N, self.units)] * self.state_count] if self.return_state else y

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of the sequence if the output is a sequence; states have none."""
        kept = _first(mask) if self.return_sequences else None
        return [kept, *[None] * self.state_count] if self.return_state else kept

    def flops(self, input_shape: Any) -> int:
        """Return the cell's number for each step."""
        return (first_shape(input_shape)[1] or 0) * super().flops(input_shape)

    def reset_state(self) -> None:
        """Forget the states: the next batch begins at zero."""
        self.states = None

    reset_states = reset_state

    def __call__(self, x: Any, initial_state: Any = None, mask: Any = None) -> Any:
        """Return the output for arrays, or the symbolic output for symbolic tensors.

        Arguments:
            x: Sequences (N, T, D).
            initial_state: The state to begin with, a list of state and memory for an LSTM.
            mask: Which steps count, (N, T); on symbolic tensors masks come from the layers before.
        """
        if initial_state is not None:
            x = [x, *(initial_state if isinstance(initial_state, list | tuple) else [initial_state])]
        if mask is None or hasattr(_first(x), "producer"):
            return super().__call__(x)
        return self.forward(x, mask=mask)[0]

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> tuple[Any, Any]:  # type: ignore[override]
        """Return the output (a list with ``return_state``) and the cache.

        Arguments:
            x: Sequences (N, T, D), or a list of them and the initial states.
            training: Whether dropout drops.
            mask: Which steps count, (N, T). At a step that does not, the states stay and the output is repeated.
        """
        x, *given = x if isinstance(x, list | tuple) else [x]
        self.prepare([x, *given])
        xp, mask = array_namespace(x), _first(mask)
        if self.go_backwards:
            x, mask = xp.flip(x, axis=1), None if mask is None else xp.flip(mask, axis=1)
        states = given or self._remembered(x) or [None] * self.state_count
        h, memory, tape = self.run(x, states, mask, training)
        last = [xp.asarray(h[:, -1, :], copy=True), *memory]
        if self.stateful:
            self.states = [xp.asarray(state, copy=True) for state in last]
        factor = self._factor(mask, states[0] is not None, h)
        y = h if factor is None else h * factor
        y = y if self.return_sequences else xp.asarray(y[:, -1, :], copy=True)
        return ([y, *last] if self.return_state else y), (tape, factor, h.shape, bool(given))

    def _remembered(self, x: Array) -> list[Array] | None:
        """Return the states that the last batch left behind, in a stateful layer."""
        if not self.stateful or self.states is None:
            return None
        before = self.states[0].shape[0]
        if before != x.shape[0]:
            raise ValueError(
                f"{self.name} is stateful and has states for {before} samples, but this batch has {x.shape[0]}: "
                "choose a batch_size that divides the number of samples, or call reset_state()"
            )
        return self.states

    def _factor(self, mask: Array | None, has_state: bool, h: Array) -> Array | None:
        """Return what the states are multiplied by to be the output: 0 where nothing has been seen, 1 elsewhere."""
        if mask is None or not (has_state or self.zero_output_for_mask):
            return None  # a sequence that begins with steps left out has states of zero there anyway
        xp = array_namespace(h)
        counted = xp.astype(mask, xp.int64)
        seen = counted if self.zero_output_for_mask else xp.cumulative_sum(counted, axis=1)
        return xp.expand_dims(xp.astype(seen > 0, h.dtype), axis=2)

    def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Array]]:
        """Return dx (a list with the initial states' gradients, if such were given) and the weights' gradients."""
        tape, factor, shape, given = cache
        dy, *dlast = dy if self.return_state else [dy]
        dlast = dlast or [None] * self.state_count
        xp = array_namespace(dy, *dlast)
        some = next(d for d in (dy, *dlast) if d is not None)
        dh = (
            xp.zeros(shape, dtype=some.dtype, device=device_of(some)) if dy is None or not self.return_sequences else dy
        )
        if dy is not None and not self.return_sequences:
            dh[:, -1, :] = dy
        if factor is not None:
            dh = dh * factor
        if dlast[0] is not None:
            dh = xp.asarray(dh, copy=True)
            dh[:, -1, :] += dlast[0]
        dx, dstates, grads = self.run_backward(dh, dlast[1:], tape, input_gradient)
        if dx is not None and self.go_backwards:
            dx = xp.flip(dx, axis=1)
        return ([dx, *dstates] if given else dx), grads


class SimpleRNN(_OverTime, SimpleRNNCell):
    r"""A simple recurrent layer: $h_t = \phi(x_t W + h_{t-1} R + b)$ at every step (see :func:`.ops.simple_rnn`).

    Arguments:
        units: Size U of the state, the number of outputs.
        activation: Name of $\phi$.
        use_bias: Whether there is a bias.
        kernel_initializer: How $W$ is drawn.
        recurrent_initializer: How $R$ is drawn.
        bias_initializer: How the bias starts.
        kernel_regularizer: Penalty on $W$, or None.
        recurrent_regularizer: Penalty on $R$, or None.
        bias_regularizer: Penalty on the bias, or None.
        dropout: Part of the inputs that is left out in training, the same ones at every step.
        recurrent_dropout: Part of the states that is left out on their way into the product, likewise.
        return_sequences: Whether to return the state of every step or only of the last.
        return_state: Whether to return a list of the output and the last state.
        go_backwards: Whether to run from the last step to the first (the output then begins with the last step's).
        stateful: Whether a batch begins with the states in which the one before ended; ``reset_state()`` forgets them.
        unroll: Accepted as in Keras; without effect here.
        seed: Makes the dropout repeatable on its own.
        **kwargs: ``zero_output_for_mask`` (zeros instead of a repeated output at steps that are masked), ``name``,
            ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T, D)``; output ``(N, U)``, or ``(N, T, U)`` with ``return_sequences``. Weights ``kernel (D, U)``,
        ``recurrent_kernel (U, U)``, ``bias (U,)``.

    Source:
        D4 §3.2.1 (D4-4); with ``Dense(K, activation="softmax")`` behind it, D4-5 at every step.
    """


class LSTM(_OverTime, LSTMCell):
    r"""A long short-term memory layer (see :func:`tinymed.ops.lstm`).

    With ``activation="relu"``, as D4 §4.2.2 has it, the memory $c_t = f_t c_{t-1} + i_t g_t$ and the state
    $h_t = o_t \,\mathrm{relu}(c_t)$ have no upper limit, while tanh keeps candidate and state between -1 and 1. The
    state goes back into the next step's sums, so that one that has grown makes the next candidate larger still: over
    hundreds of steps values and gradients can grow without end, and the loss becomes infinite. ``clipnorm=1.0`` in the
    optimizer scales a gradient that is longer than 1 back to length 1: an exploding gradient then gives its direction
    and not its size to the step, and one bad batch does not throw the weights away. It does not limit the values of
    forward; tanh does.

    Arguments:
        units: Size U of state and memory, the number of outputs.
        activation: Name of $\phi$, of candidate and memory.
        recurrent_activation: Name of $\sigma$, of the gates.
        use_bias: Whether there is a bias.
        kernel_initializer: How $W$ is drawn.
        recurrent_initializer: How $R$ is drawn.
        bias_initializer: How the bias starts.
        unit_forget_bias: Whether the forget gate's bias starts at 1.
        kernel_regularizer: Penalty on $W$, or None.
        recurrent_regularizer: Penalty on $R$, or None.
        bias_regularizer: Penalty on the bias, or None.
        use_cudnn: Accepted as in Keras; without effect here.
        **kwargs: ``dropout``, ``recurrent_dropout``, ``seed``, ``return_sequences``, ``return_state`` (output,
            state, memory), ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask``: see
            :class:`SimpleRNN`; ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T, D)``; output ``(N, U)``, or ``(N, T, U)`` with ``return_sequences``. Weights ``kernel (D, 4U)``,
        ``recurrent_kernel (U, 4U)``, ``bias (4U,)``, blocks in the order i, f, g, o.

    Source:
        D4 §4.2.2.
    """

    def __init__(self, *args: Any, use_cudnn: Any = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_cudnn = use_cudnn


class GRU(_OverTime, GRUCell):
    r"""A gated recurrent layer (see :func:`tinymed.ops.gru`).

    Arguments:
        units: Size U of the state, the number of outputs.
        activation: Name of $\phi$, of the candidate.
        recurrent_activation: Name of $\sigma$, of the gates.
        use_bias: Whether there is a bias.
        kernel_initializer: How $W$ is drawn.
        recurrent_initializer: How $R$ is drawn.
        bias_initializer: How the bias starts.
        kernel_regularizer: Penalty on $W$, or None.
        recurrent_regularizer: Penalty on $R$, or None.
        bias_regularizer: Penalty on the bias, or None.
        reset_after: Whether the reset gate acts after the product with $R$ or before it.
        use_cudnn: Accepted as in Keras; without effect here.
        **kwargs: ``dropout``, ``recurrent_dropout``, ``seed``, ``return_sequences``, ``return_state``,
            ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask``: see
            :class:`SimpleRNN`; ``name``, ``trainable``, ``dtype``, ``input_shape``.

    Shapes:
        Input ``(N, T, D)``; output ``(N, U)``, or ``(N, T, U)`` with ``return_sequences``. Weights ``kernel (D, 3U)``,
        ``recurrent_kernel (U, 3U)``, ``bias (2, 3U)`` or ``(3U,)`` without ``reset_after``.
    """

    def __init__(self, *args: Any, use_cudnn: Any = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_cudnn = use_cudnn


def _first(x: Any) -> Any:
    return x[0] if isinstance(x, list | tuple) else x
