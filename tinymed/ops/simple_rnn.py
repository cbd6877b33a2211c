r"""The simple recurrent network: one tanh layer that also sees its own output of the step before."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.recurrent import before, check_sequence, chosen, input_product, scaled, start, weight_product
from tinymed.ops.registry import REGISTRY, backward_of, op


@op
def simple_rnn(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    h0: Array | None = None,
    mask: Array | None = None,
    recurrent_scale: Array | None = None,
    activation: str = "tanh",
) -> tuple[Array, tuple]:
    r"""Run a simple recurrent network over a whole sequence.

    Forward:
        $h_t = \phi(x_t W + h_{t-1} R + b)$ for $t = 1 \ldots T$; where the mask leaves a step out, $h_t = h_{t-1}$

    Backward:
        From the last step to the first, with $dh_t$ the sum of $dy_t$ and what step $t+1$ sends back:

        $dz_t = dh_t \odot \phi'(z_t), \quad dh_{t-1} = dz_t R^T$ (plus $dh_t$ itself where step $t$ is left out),

        and over all steps at once $dW = \sum_t x_t^T dz_t, \quad dR = \sum_t h_{t-1}^T dz_t, \quad
        db = \sum_t dz_t, \quad dx_t = dz_t W^T, \quad dh_0$ is what the first step sends back.

    Shapes:
        ================  ===========  ==============================================================
        x                 (N, T, D)
        kernel            (D, U)       $W$
        recurrent_kernel  (U, U)       $R$
        bias              (U,)         $b$; may be None
        h0                (N, U)       $h_0$; zeros if None
        mask              (N, T)       True where a step counts; None if all do
        recurrent_scale   (N, U)       factors of $h_{t-1}$ inside the product (dropout); may be None
        y                 (N, T, U)    $h_1 \ldots h_T$
        ================  ===========  ==============================================================

    Arguments:
        x: Input.
        kernel: Weights of the input.
        recurrent_kernel: Weights of the state.
        bias: Added at every step.
        h0: Initial state.
        mask: Which steps count; has no gradient.
        recurrent_scale: The same factors at every step, 0 or $1/(1-p)$; has no gradient.
        activation: Name of $\phi$.

    Raises:
        ValueError: If the shapes do not fit together, or T is 0.

    Example:
        >>> import numpy as np
        >>> one = np.array([[1.0]])
        >>> y, cache = simple_rnn(np.array([[[1.0], [2.0]]]), one, one, activation="linear")
        >>> y[0, :, 0]
        array([1., 3.])
        >>> simple_rnn_backward(np.array([[[0.0], [1.0]]]), cache)[0][0, :, 0]
        array([1., 1.])

    Source:
        D4 §3.2.1 (D4-4, written there in column form); Elman 1990, Cognitive Science 14;
        backward through time: Werbos 1990, Proceedings of the IEEE 78.
    """
    of_state = {"h0": h0, "recurrent_scale": recurrent_scale}
    check_sequence("simple_rnn", x, kernel, recurrent_kernel, 1, of_state, bias, mask)
    xp, phi = array_namespace(x), REGISTRY[activation]
    h = first = start(x, recurrent_kernel.shape[0], h0)
    z = input_product(x, kernel, bias)
    states, tapes = [], []
    for t in range(x.shape[1]):
        z_t = z[:, t, :] + scaled(h, recurrent_scale) @ recurrent_kernel  # (N, U) @ (U, U)
        new, tape = phi.forward(z_t)
        h = chosen(mask, t, new, h)
        states.append(h)
        tapes.append(tape)
    y = xp.stack(states, axis=1)
    return y, (
        x,
        kernel,
        recurrent_kernel,
        bias is not None,
        first,
        h0 is not None,
        mask,
        recurrent_scale,
        phi,
        y,
        tapes,
    )


@backward_of(simple_rnn)
def simple_rnn_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, ...]:
    """Return ``dx, dkernel, drecurrent_kernel, dbias, dh0`` (see :func:`simple_rnn`)."""
    x, kernel, recurrent_kernel, has_bias, first, has_h0, mask, recurrent_scale, phi, y, tapes = cache
    xp = array_namespace(dy)
    nothing = xp.zeros_like(first)
    dh, steps = nothing, []
    for t in reversed(range(x.shape[1])):
        dh = dh + dy[:, t, :]
        dz_t = phi.backward(chosen(mask, t, dh, nothing), tapes[t])
        steps.append(dz_t)
        passed_on = nothing if mask is None else chosen(mask, t, nothing, dh)
        dh = passed_on + scaled(dz_t @ recurrent_kernel.T, recurrent_scale)  # (N, U) @ (U, U)
    dz = xp.stack(steps[::-1], axis=1)  # (N, T, U)
    h_before = before(y, first)
    if recurrent_scale is not None:
        h_before = h_before * xp.expand_dims(recurrent_scale, axis=1)
    dx = dz @ kernel.T if input_gradient else None  # (N, T, U) @ (U, D)
    dbias = xp.sum(dz, axis=(0, 1)) if has_bias else None
    return dx, weight_product(x, dz), weight_product(h_before, dz), dbias, dh if has_h0 else None
