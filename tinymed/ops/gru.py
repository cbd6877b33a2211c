r"""The gated recurrent unit: two gates and no memory beside the state."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace
from tinymed.ops.recurrent import before, check_sequence, chosen, input_product, scaled, start, weight_product
from tinymed.ops.registry import REGISTRY, backward_of, op


@op
def gru(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    h0: Array | None = None,
    mask: Array | None = None,
    recurrent_scale: Array | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reset_after: bool = True,
) -> tuple[Array, tuple]:
    r"""Run a gated recurrent unit over a whole sequence.

    Forward:
        With $x_t W + b$ in three blocks of U columns $u^z_t, u^r_t, u^g_t$, and $R$ likewise:

        update and reset gate $z_t = \sigma(u^z_t + s^z_t), \ r_t = \sigma(u^r_t + s^r_t)$;

        candidate $g_t = \phi(u^g_t + r_t \odot s^g_t)$ with $s_t = h_{t-1} R + b'$ (``reset_after``), or
        $g_t = \phi(u^g_t + (r_t \odot h_{t-1}) R^g)$ without;

        state $h_t = z_t \odot h_{t-1} + (1 - z_t) \odot g_t$; where the mask leaves a step out, $h_t = h_{t-1}$

    Backward:
        From the last step to the first, with $dh_t$ all that is sent back to $h_t$:

        $du^g_t = dh_t \odot (1 - z_t) \odot \phi', \quad du^z_t = dh_t \odot (h_{t-1} - g_t) \odot \sigma'$;

        ``reset_after``: $du^r_t = du^g_t \odot s^g_t \odot \sigma', \quad
        ds_t = (du^z_t, du^r_t, du^g_t \odot r_t), \quad dh_{t-1} = dh_t \odot z_t + ds_t R^T$;

        without: $dq_t = du^g_t (R^g)^T, \quad du^r_t = dq_t \odot h_{t-1} \odot \sigma', \quad
        dh_{t-1} = dh_t \odot z_t + dq_t \odot r_t + (du^z_t, du^r_t) (R^{zr})^T$;

        where step $t$ is left out, $dh_{t-1} = dh_t$; and over all steps at once
        $dW = \sum_t x_t^T du_t, \ dx_t = du_t W^T, \ db = \sum_t du_t, \ db' = \sum_t ds_t, \
        dR = \sum_t h_{t-1}^T ds_t$ (its last block $\sum_t (r_t \odot h_{t-1})^T du^g_t$ without ``reset_after``).

    Shapes:
        ================  ===========  ==============================================================
        x                 (N, T, D)
        kernel            (D, 3U)      $W$, blocks in the order z, r, g
        recurrent_kernel  (U, 3U)      $R$, likewise
        bias              (2, 3U)      $b$ and $b'$ with ``reset_after``, else (3U,); may be None
        h0                (N, U)       $h_0$; zeros if None
        mask              (N, T)       True where a step counts; None if all do
        recurrent_scale   (N, U)       factors of $h_{t-1}$ inside the products (dropout); may be None
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
        recurrent_activation: Name of $\sigma$, the gates' activation.
        reset_after: Whether the reset gate acts after the product with $R$ or before it.

    Raises:
        ValueError: If the shapes do not fit together, or T is 0.

    Example:
        >>> import numpy as np
        >>> W, R = np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3))
        >>> y, cache = gru(np.ones((1, 2, 1)), W, R, activation="linear")
        >>> y[0, :, 0]
        array([0.5 , 0.75])
        >>> gru_backward(np.array([[[0.0], [1.0]]]), cache)[0][0, :, 0]
        array([0.25, 0.5 ])

    Source:
        Cho et al. 2014, arXiv:1406.1078 (reset before the product); ``reset_after`` as in cuDNN.
    """
    check_sequence("gru", x, kernel, recurrent_kernel, 3, {"h0": h0, "recurrent_scale": recurrent_scale}, mask=mask)
    U = recurrent_kernel.shape[0]
    _check_bias(bias, (2, 3 * U) if reset_after else (3 * U,))
    xp, phi, sigma = array_namespace(x), REGISTRY[activation], REGISTRY[recurrent_activation]
    h = first = start(x, U, h0)
    own, other = (bias[0, :], bias[1, :]) if bias is not None and reset_after else (bias, None)
    u = input_product(x, kernel, own)
    states, tapes = [], []
    for t in range(x.shape[1]):
        u_t, seen = u[:, t, :], scaled(h, recurrent_scale)
        if reset_after:
            s = seen @ recurrent_kernel  # (N, U) @ (U, 3U)
            s = s if other is None else s + other
        else:
            s = seen @ recurrent_kernel[:, : 2 * U]  # (N, U) @ (U, 2U)
        z, z_tape = sigma.forward(u_t[:, :U] + s[:, :U])
        r, r_tape = sigma.forward(u_t[:, U : 2 * U] + s[:, U : 2 * U])
        inner = r * s[:, 2 * U :] if reset_after else (r * seen) @ recurrent_kernel[:, 2 * U :]
        g, g_tape = phi.forward(u_t[:, 2 * U :] + inner)
        tapes.append((z, r, g, h, s[:, 2 * U :], (z_tape, r_tape, g_tape)))
        h = chosen(mask, t, z * h + (1 - z) * g, h)
        states.append(h)
    y = xp.stack(states, axis=1)
    options = (phi, sigma, reset_after, bias is not None, h0 is not None)
    return y, (x, kernel, recurrent_kernel, options, first, mask, recurrent_scale, y, tapes)


def _check_bias(bias: Array | None, wanted: tuple[int, ...]) -> None:
    if bias is not None and tuple(bias.shape) != wanted:
        raise ValueError(
            f"gru expects a bias of shape {wanted} but got {tuple(bias.shape)}; "
            "it is (2, 3U) with reset_after=True and (3U,) with reset_after=False"
        )


@backward_of(gru)
def gru_backward(dy: Array, cache: tuple, input_gradient: bool = True) -> tuple[Array | None, ...]:
    """Return ``dx, dkernel, drecurrent_kernel, dbias, dh0`` (see :func:`gru`)."""
    x, kernel, recurrent_kernel, (phi, sigma, reset_after, has_bias, has_h0), *rest = cache
    first, mask, recurrent_scale, y, tapes = rest
    xp = array_namespace(dy)
    U = recurrent_kernel.shape[0]
    gates, candidate = recurrent_kernel[:, : 2 * U], recurrent_kernel[:, 2 * U :]
    dh = nothing = xp.zeros_like(first)
    du_steps, ds_steps = [], []
    for t in reversed(range(x.shape[1])):
        z, r, g, h, s_g, (z_tape, r_tape, g_tape) = tapes[t]
        dh = dh + dy[:, t, :]
        dh_t = chosen(mask, t, dh, nothing)
        du_g = phi.backward(dh_t * (1 - z), g_tape)
        du_z = sigma.backward(dh_t * (h - g), z_tape)
        if reset_after:
            du_r = sigma.backward(du_g * s_g, r_tape)
            ds = xp.concat([du_z, du_r, du_g * r], axis=1)
            dseen = ds @ recurrent_kernel.T  # (N, 3U) @ (3U, U)
        else:
            dq = du_g @ candidate.T  # (N, U) @ (U, U)
            du_r = sigma.backward(dq * scaled(h, recurrent_scale), r_tape)
            ds = xp.concat([du_z, du_r], axis=1)
            dseen = ds @ gates.T + dq * r  # (N, 2U) @ (2U, U)
        du_steps.append(xp.concat([du_z, du_r, du_g], axis=1))
        ds_steps.append(ds)
        passed_on = dh_t * z if mask is None else chosen(mask, t, dh_t * z, dh)
        dh = passed_on + scaled(dseen, recurrent_scale)
    du = xp.stack(du_steps[::-1], axis=1)  # (N, T, 3U)
    ds = xp.stack(ds_steps[::-1], axis=1)
    seen = before(y, first)
    if recurrent_scale is not None:
        seen = seen * xp.expand_dims(recurrent_scale, axis=1)
    drecurrent = weight_product(seen, ds)
    if not reset_after:
        reset = xp.stack([tape[1] for tape in tapes], axis=1) * seen
        drecurrent = xp.concat([drecurrent, weight_product(reset, du[:, :, 2 * U :])], axis=1)
    dbias = xp.sum(du, axis=(0, 1)) if has_bias else None
    if has_bias and reset_after:
        dbias = xp.stack([dbias, xp.sum(ds, axis=(0, 1))])
    dx = du @ kernel.T if input_gradient else None  # (N, T, 3U) @ (3U, D)
    return dx, weight_product(x, du), drecurrent, dbias, dh if has_h0 else None
