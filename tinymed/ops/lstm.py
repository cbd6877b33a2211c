r"""The long short-term memory: a state that gates protect, so that it can be kept over many steps."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.recurrent import before, check_sequence, chosen, input_product, scaled, start, weight_product
from tinymed.ops.registry import REGISTRY, Operation, backward_of, op


@op
def lstm(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    mask: Array | None = None,
    recurrent_scale: Array | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
) -> tuple[list[Array], tuple]:
    r"""Run a long short-term memory over a whole sequence.

    Forward:
        $z_t = x_t W + h_{t-1} R + b$, whose four blocks of U columns are $z^i_t, z^f_t, z^g_t, z^o_t$;

        input, forget and output gate $i_t = \sigma(z^i_t),\ f_t = \sigma(z^f_t),\ o_t = \sigma(z^o_t)$,
        candidate $g_t = \phi(z^g_t)$;

        memory $c_t = f_t \odot c_{t-1} + i_t \odot g_t$, state $h_t = o_t \odot \phi(c_t)$;

        where the mask leaves a step out, $h_t = h_{t-1}$ and $c_t = c_{t-1}$

    Backward:
        From the last step to the first, with $dh_t$ and $dc_t$ all that is sent back to $h_t$ and $c_t$:

        $dc_t \leftarrow dc_t + dh_t \odot o_t \odot \phi'(c_t)$;

        $dz^o_t = dh_t \odot \phi(c_t) \odot \sigma'(z^o_t), \quad dz^i_t = dc_t \odot g_t \odot \sigma'(z^i_t), \quad
        dz^f_t = dc_t \odot c_{t-1} \odot \sigma'(z^f_t), \quad dz^g_t = dc_t \odot i_t \odot \phi'(z^g_t)$;

        $dc_{t-1} = dc_t \odot f_t, \quad dh_{t-1} = dz_t R^T$ (where step $t$ is left out, both pass as they are);

        and over all steps at once $dW = \sum_t x_t^T dz_t, \quad dR = \sum_t h_{t-1}^T dz_t, \quad
        db = \sum_t dz_t, \quad dx_t = dz_t W^T$.

    Shapes:
        ================  ===========  ==============================================================
        x                 (N, T, D)
        kernel            (D, 4U)      $W$, blocks in the order i, f, g, o
        recurrent_kernel  (U, 4U)      $R$, likewise
        bias              (4U,)        $b$, likewise; may be None
        h0, c0            (N, U)       $h_0$ and $c_0$; zeros if None
        mask              (N, T)       True where a step counts; None if all do
        recurrent_scale   (N, U)       factors of $h_{t-1}$ inside the product (dropout); may be None
        y                 list         $h_1 \ldots h_T$ (N, T, U), and the last memory $c_T$ (N, U)
        ================  ===========  ==============================================================

    Arguments:
        x: Input.
        kernel: Weights of the input.
        recurrent_kernel: Weights of the state.
        bias: Added at every step.
        h0: Initial state.
        c0: Initial memory.
        mask: Which steps count; has no gradient.
        recurrent_scale: The same factors at every step, 0 or $1/(1-p)$; has no gradient.
        activation: Name of $\phi$.
        recurrent_activation: Name of $\sigma$, the gates' activation.

    Raises:
        ValueError: If the shapes do not fit together, or T is 0.

    Example:
        >>> import numpy as np
        >>> W, R = np.ones((1, 4)), np.zeros((1, 4))
        >>> (h, c), cache = lstm(np.ones((1, 2, 1)), W, R, activation="linear", recurrent_activation="linear")
        >>> h[0, :, 0], c[0]
        (array([1., 2.]), array([2.]))
        >>> lstm_backward([np.array([[[0.0], [1.0]]]), None], cache)[0][0, :, 0]
        array([2., 5.])

    Source:
        D4 §4.2.2 uses it; Hochreiter and Schmidhuber 1997, Neural Computation 9; the forget gate: Gers, Schmidhuber
        and Cummins 2000, Neural Computation 12.
    """
    of_state = {"h0": h0, "c0": c0, "recurrent_scale": recurrent_scale}
    check_sequence("lstm", x, kernel, recurrent_kernel, 4, of_state, bias, mask)
    xp, phi, sigma = array_namespace(x), REGISTRY[activation], REGISTRY[recurrent_activation]
    units = recurrent_kernel.shape[0]
    h = first = start(x, units, h0)
    c = start(x, units, c0)
    z = input_product(x, kernel, bias)
    states, tapes = [], []
    for t in range(x.shape[1]):
        z_t = z[:, t, :] + scaled(h, recurrent_scale) @ recurrent_kernel  # (N, U) @ (U, 4U)
        h_new, c_new, tape = lstm_step(z_t, c, phi, sigma)
        h, c = chosen(mask, t, h_new, h), chosen(mask, t, c_new, c)
        states.append(h)
        tapes.append(tape)
    y = xp.stack(states, axis=1)
    given = (bias is not None, h0 is not None, c0 is not None)
    return [y, xp.asarray(c, copy=True)], (x, kernel, recurrent_kernel, given, first, mask, recurrent_scale, y, tapes)


def lstm_step(z: Array, c: Array, phi: Operation, sigma: Operation) -> tuple[Array, Array, tuple]:
    """Return the new state and memory of one step from its sums ``z`` (N, 4U) and the memory before it."""
    U = c.shape[1]
    i, i_tape = sigma.forward(z[:, :U])
    f, f_tape = sigma.forward(z[:, U : 2 * U])
    g, g_tape = phi.forward(z[:, 2 * U : 3 * U])
    o, o_tape = sigma.forward(z[:, 3 * U :])
    c_new = f * c + i * g
    a, a_tape = phi.forward(c_new)
    return o * a, c_new, (phi, sigma, i, f, g, o, a, c, (i_tape, f_tape, g_tape, o_tape, a_tape))


def lstm_step_backward(dh: Array, dc: Array, cache: tuple) -> tuple[Array, Array]:
    """Return the gradients of one step's sums ``z`` and of the memory before it."""
    phi, sigma, i, f, g, o, a, c, (i_tape, f_tape, g_tape, o_tape, a_tape) = cache
    dc = dc + phi.backward(dh * o, a_tape)
    di = sigma.backward(dc * g, i_tape)
    df = sigma.backward(dc * c, f_tape)
    dg = phi.backward(dc * i, g_tape)
    do = sigma.backward(dh * a, o_tape)
    return array_namespace(dc).concat([di, df, dg, do], axis=1), dc * f


@backward_of(lstm)
def lstm_backward(dy: list[Array | None], cache: tuple, input_gradient: bool = True) -> tuple[Array | None, ...]:
    """Return ``dx, dkernel, drecurrent_kernel, dbias, dh0, dc0`` (see :func:`lstm`).

    ``dy`` is a list: the gradient of all states, and that of the last memory (None where nobody used it).
    """
    x, kernel, recurrent_kernel, (has_bias, has_h0, has_c0), first, mask, recurrent_scale, y, tapes = cache
    xp = array_namespace(*dy)
    nothing = xp.zeros_like(first)
    dh, dc, steps = nothing, nothing if dy[1] is None else dy[1], []
    for t in reversed(range(x.shape[1])):
        dh = dh if dy[0] is None else dh + dy[0][:, t, :]
        dz_t, dc_back = lstm_step_backward(chosen(mask, t, dh, nothing), chosen(mask, t, dc, nothing), tapes[t])
        steps.append(dz_t)
        passed_on = nothing if mask is None else chosen(mask, t, nothing, dh)
        dh = passed_on + scaled(dz_t @ recurrent_kernel.T, recurrent_scale)  # (N, 4U) @ (4U, U)
        dc = dc_back if mask is None else dc_back + chosen(mask, t, nothing, dc)
    dz = xp.stack(steps[::-1], axis=1)  # (N, T, 4U)
    h_before = before(y, first)
    if recurrent_scale is not None:
        h_before = h_before * xp.expand_dims(recurrent_scale, axis=1)
    dx = dz @ kernel.T if input_gradient else None  # (N, T, 4U) @ (4U, D)
    dbias = xp.sum(dz, axis=(0, 1)) if has_bias else None
    dkernel, drecurrent = weight_product(x, dz), weight_product(h_before, dz)
    return dx, dkernel, drecurrent, dbias, dh if has_h0 else None, dc if has_c0 else None
