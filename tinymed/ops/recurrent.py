"""What the recurrent operations have in common: their checks, the masked step, and products over all steps."""

from __future__ import annotations

from tinymed.backend import Array, array_namespace, device_of


def check_sequence(
    name: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    gates: int,
    states: dict[str, Array | None],
    bias: Array | None = None,
    mask: Array | None = None,
) -> None:
    """Raise ValueError unless the shapes of one recurrent operation fit together.

    Args:
        name: Name of the operation, for the message.
        x: Input.
        kernel: Weights of the input.
        recurrent_kernel: Weights of the state.
        gates: How many blocks of U columns the weights have.
        states: Initial states and their factors by name, each (N, U) or None.
        bias: The bias, if it has a number for each column of the weights.
        mask: Which steps count.
    """
    if x.ndim != 3 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(f"{name} expects x of shape (N, T, {kernel.shape[0]}) but got {tuple(x.shape)}")
    if x.shape[1] == 0:
        raise ValueError(f"{name} got sequences of length 0, shape {tuple(x.shape)}; they need at least one step")
    units = recurrent_kernel.shape[0]
    for which, weights in (("kernel", kernel), ("recurrent_kernel", recurrent_kernel)):
        if weights.shape[1] != gates * units:
            raise ValueError(
                f"{name} expects {which} with {gates} x {units} columns, one block for each gate, "
                f"but got shape {tuple(weights.shape)}"
            )
    for which, state in states.items():
        if state is not None and tuple(state.shape) != (x.shape[0], units):
            raise ValueError(f"{name} expects {which} of shape {(x.shape[0], units)} but got {tuple(state.shape)}")
    if bias is not None and tuple(bias.shape) != (gates * units,):
        raise ValueError(f"{name} expects a bias of shape {(gates * units,)} but got {tuple(bias.shape)}")
    if mask is not None and tuple(mask.shape) != tuple(x.shape[:2]):
        raise ValueError(f"{name} expects a mask of shape {tuple(x.shape[:2])}, (N, T), but got {tuple(mask.shape)}")


def input_product(x: Array, kernel: Array, bias: Array | None) -> Array:
    """Return ``x W + b`` for all steps at once: the part of every step that does not wait for the one before."""
    xp = array_namespace(x)
    N, T, D = x.shape
    z = xp.reshape(x, (N * T, D)) @ kernel  # (N*T, D) @ (D, G*U)
    z = z if bias is None else z + bias
    return xp.reshape(z, (N, T, kernel.shape[1]))


def weight_product(a: Array, dz: Array) -> Array:
    r"""Return $\sum_{n,t} a_{nt}^T\, dz_{nt}$: a weight's gradient as one product over all samples and steps."""
    xp = array_namespace(a)
    rows = a.shape[0] * a.shape[1]
    return xp.reshape(a, (rows, a.shape[2])).T @ xp.reshape(dz, (rows, dz.shape[2]))


def start(x: Array, units: int, state: Array | None) -> Array:
    """Return the initial state, zeros (N, U) if none is given."""
    if state is not None:
        return state
    return array_namespace(x).zeros((x.shape[0], units), dtype=x.dtype, device=device_of(x))


def before(h: Array, h0: Array) -> Array:
    """Return the state before each step: ``h0`` first, then all of ``h`` but the last, (N, T, U)."""
    xp = array_namespace(h)
    return xp.concat([xp.expand_dims(h0, axis=1), h[:, :-1, :]], axis=1)


def chosen(mask: Array | None, t: int, new: Array, old: Array) -> Array:
    """Return ``new`` for the samples whose step ``t`` counts, ``old`` for the others."""
    return new if mask is None else array_namespace(new).where(mask[:, t : t + 1], new, old)


def scaled(x: Array, scale: Array | None) -> Array:
    """Return ``x * scale``, or ``x`` where there is no scale."""
    return x if scale is None else x * scale
