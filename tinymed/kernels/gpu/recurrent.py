"""Recurrent operations on the GPU: all steps of a sequence in one launch for each layer and direction.

What takes the time of a recurrent layer is not arithmetic but waiting: a step can only begin when the one before has
ended, and a launch for each takes microseconds. Here a block keeps a few samples for the whole sequence and never waits
for another block. Of the recurrent kernel each thread owns one column: in registers, where it is read fastest; what
does not fit there in shared memory, and what does not fit there either comes from the cache at every step. The state
lies in shared memory, from where all threads of a warp get the same four values with one load. Four sums side by side
keep the additions from waiting for each other, and values from the large memory are asked for up to four steps before
they are needed. A step then is: 13 loads and 50 multiplications of each thread (50 units), an activation, a barrier,
the new state, a barrier: by the latencies of an H200 about 350 cycles, a fifth of a microsecond. A simple network has
one barrier. There are no atomics and no shuffles: every sum has one order, and results repeat bit for bit.

The input's product is one matrix product over all samples and steps before, the gradients of weights and input are one
each afterwards. What no kernel can do (other activations, reset before the product, mixed dtypes, more than a MiB of
recurrent weights) is left to the textbook bodies.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tinymed.backend import Array, array_namespace, device_of
from tinymed.kernels.gpu.launching import contiguous, empty, launch, load, on_gpu, supported
from tinymed.kernels.gpu.products import matmul
from tinymed.kernels.gpu.sums import column_sums
from tinymed.ops.gru import gru, gru_backward
from tinymed.ops.lstm import lstm, lstm_backward
from tinymed.ops.recurrent import before, check_sequence
from tinymed.ops.simple_rnn import simple_rnn, simple_rnn_backward

for _source in ("lstm", "gru", "simple_rnn"):
    load(_source)

CODES = {"linear": 0, "tanh": 1, "sigmoid": 2, "relu": 3}
"""Numbers of the activations that the kernels know."""

MOST_WEIGHTS = 2**20
"""Bytes of recurrent weights from which on a step is better left to a matrix product."""

REGISTERS = 2**14
"""Registers of 32 bits in a quarter of a multiprocessor; every fourth warp of a block runs there."""

OTHERS = 56
"""Registers that a thread needs for addresses and what else is neither a weight nor a value of a step."""

Gradients = tuple[Array | None, ...]


# --- how a layer is laid out on a multiprocessor -------------------------------------------------------------------


class Plan(NamedTuple):
    """How many threads a block has, what is compiled into the kernels, and the shared memory that they take."""

    threads: int
    rows: int
    shared: int
    constants: dict[str, int]


def _whole_warps(count: int) -> int:
    return -(-count // 32) * 32


@functools.lru_cache(maxsize=256)
def plan(gates: int, units: int, samples: int, itemsize: int, room: int) -> Plan | None:
    """Return the layout of a layer, None if no multiprocessor has room for it.

    Up to 256 samples have a block each: a large GPU runs all of them at once. Where there are more, or where weights
    are read from the cache at every step, a block takes several samples, which share what is read.

    Args:
        gates: Columns of the recurrent kernel for each unit.
        units: Size of the state.
        samples: Size of the batch.
        itemsize: Bytes of a number.
        room: Bytes of shared memory that a block may have.
    """
    columns = _whole_warps(units) if gates == 1 else _whole_warps(3 * units)  # an LSTM's candidates have warps apart
    threads = columns + _whole_warps(units) if gates == 4 else columns
    if threads > 1024 or gates * units * units * itemsize > MOST_WEIGHTS:
        return None
    found = _layout(gates, units, threads, 1 if samples <= 256 else 2 if samples <= 512 else 4, itemsize, room)
    if samples > 128 and not found.constants["REST_SHARED"]:
        found = _layout(gates, units, threads, 16 // itemsize, itemsize, room)
    return found


def _layout(gates: int, units: int, threads: int, rows: int, itemsize: int, room: int) -> Plan:
    padded, words = -(-units // 4) * 4, itemsize // 4
    warps = -(-threads // 128)  # of the quarter that has most
    registers = min(255, REGISTERS // (32 * warps) // 8 * 8)
    kept, ahead = 0, 8
    while kept < padded and ahead > 2:  # rather than read weights, fetch fewer steps ahead
        ahead //= 2
        values = 2 * rows if gates == 1 else (gates + 3) * -(-rows * units // threads)  # for each of those steps
        others = OTHERS + (values * ahead + 8 * rows) * words
        kept = min(padded, max(4, (registers - others) // words // 4 * 4))
    shared = rows * (padded + units) * max(gates, 2) * itemsize
    rest = (padded - kept) * threads * itemsize
    fits = shared + rest <= room
    constants = {"UNITS": units, "KEPT": kept, "ROWS": rows, "AHEAD": ahead, "REST_SHARED": int(fits)}
    return Plan(threads, rows, shared + rest if fits else shared, constants)


_rooms: dict[str, int] = {}  # by the device's name; CuPy's devices are no keys


def _room(device: Any) -> int:
    """Return the bytes of shared memory that a block may have on this device: at least 99 KiB on all of them."""
    if str(device) not in _rooms:
        attributes = getattr(device, "attributes", {})
        _rooms[str(device)] = int(attributes.get("MaxSharedMemoryPerBlockOptin", 99 * 1024))
    return _rooms[str(device)]


# --- what the three have in common ---------------------------------------------------------------------------------


class _Run(NamedTuple):
    """What backward needs of a kernel's forward."""

    x: Array
    kernel: Array
    recurrent: Array
    bias: Array | None
    h0: Array | None
    mask: Array | None
    scale: Array | None
    h: Array
    plan: Plan
    codes: dict[str, int]
    kept: tuple[Array | None, ...] = ()

    def launch(self, kernel: str, *arrays: Array | None) -> None:
        """Run a kernel over all samples and steps."""
        N, T, _ = self.h.shape
        constants = self.plan.constants | self.codes
        blocks = -(-N // self.plan.rows)
        launch(kernel, blocks, self.plan.threads, (*arrays, N, T), shared_bytes=self.plan.shared, **constants)

    def transposed(self) -> Array:
        """Return the recurrent kernel transposed, in C order."""
        return contiguous(self.recurrent.T)

    def states(self, gates: int = 1) -> Array:
        """Return an array (N, T, gates * U) to write to."""
        N, T, U = self.h.shape
        return empty((N, T, gates * U), self.h)

    def gradients(self, dz: Array, input_gradient: bool, ds: Array | None = None) -> list[Array | None]:
        """Return ``dx, dkernel, drecurrent``: one product each, over all samples and steps.

        Args:
            dz: Gradient of the input's sums.
            input_gradient: Whether dx is wanted.
            ds: Gradient of the state's sums, where it is another.
        """
        xp = array_namespace(dz)
        rows, x = _rows(dz), _rows(self.x)
        first = xp.zeros_like(self.h[:, 0, :]) if self.h0 is None else self.h0
        seen = before(self.h, first)
        if self.scale is not None:
            seen = seen * self.scale[:, None, :]
        dx = xp.reshape(matmul(rows, self.kernel.T), self.x.shape) if input_gradient else None
        return [dx, matmul(x.T, rows), matmul(_rows(seen).T, rows if ds is None else _rows(ds))]


def _rows(x: Array) -> Array:
    return array_namespace(x).reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def _start(
    gates: int,
    x: Array,
    kernel: Array,
    recurrent: Array,
    bias: Array | None,
    h0: Array | None,
    mask: Array | None,
    scale: Array | None,
    codes: dict[str, int],
) -> _Run | None:
    """Return what a kernel starts from, None if the layer does not fit a multiprocessor."""
    (N, T, _), U = x.shape, recurrent.shape[0]
    layout = plan(gates, U, N, x.dtype.itemsize, _room(device_of(x)))
    if layout is None:
        return None
    if mask is not None:
        mask = contiguous(array_namespace(mask).astype(mask, bool, copy=False))
    weights = contiguous(kernel), contiguous(recurrent), _contiguous(bias)
    return _Run(contiguous(x), *weights, _contiguous(h0), mask, _contiguous(scale), empty((N, T, U), x), layout, codes)


def _contiguous(x: Array | None) -> Array | None:
    return None if x is None else contiguous(x)


def _known(**names: str) -> dict[str, int] | None:
    """Return the activations' numbers, None if the kernels do not know them all."""
    return {key: CODES[name] for key, name in names.items()} if all(name in CODES for name in names.values()) else None


def _input_product(run: _Run) -> Array:
    return matmul(_rows(run.x), run.kernel)  # (N*T, D) @ (D, G*U)


# --- simple recurrent network --------------------------------------------------------------------------------------


@on_gpu(simple_rnn)
def _simple_rnn(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    h0: Array | None = None,
    mask: Array | None = None,
    recurrent_scale: Array | None = None,
    activation: str = "tanh",
) -> tuple[Array, Any]:
    codes, run = _known(PHI=activation), None
    arrays = (x, kernel, recurrent_kernel, bias, h0)
    if codes is not None and supported(*arrays, recurrent_scale):
        of_state = {"h0": h0, "recurrent_scale": recurrent_scale}
        check_sequence("simple_rnn", x, kernel, recurrent_kernel, 1, of_state, bias, mask)
        run = _start(1, *arrays, mask, recurrent_scale, codes)
    if run is None:
        return simple_rnn.textbook(*arrays, mask, recurrent_scale, activation)
    z = _input_product(run)
    run.launch("simple_rnn_forward", z, run.recurrent, run.bias, run.h0, run.mask, run.scale, run.h)
    return run.h, run


@on_gpu(simple_rnn_backward)
def _simple_rnn_backward(dy: Array, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return simple_rnn_backward.textbook(dy, cache, input_gradient)
    dz, dh0 = cache.states(), empty(cache.h[:, 0, :].shape, cache.h)
    arrays = (cache.transposed(), contiguous(dy), cache.mask, cache.scale, cache.h, dz, dh0)
    cache.launch("simple_rnn_backward", *arrays)
    dbias = None if cache.bias is None else column_sums(_rows(dz))
    return (*cache.gradients(dz, input_gradient), dbias, None if cache.h0 is None else dh0)


# --- LSTM ----------------------------------------------------------------------------------------------------------


@on_gpu(lstm)
def _lstm(
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
) -> tuple[list[Array], Any]:
    codes, run = _known(PHI=activation, SIGMA=recurrent_activation), None
    arrays = (x, kernel, recurrent_kernel, bias, h0)
    if codes is not None and supported(*arrays, c0, recurrent_scale):
        of_state = {"h0": h0, "c0": c0, "recurrent_scale": recurrent_scale}
        check_sequence("lstm", x, kernel, recurrent_kernel, 4, of_state, bias, mask)
        run = _start(4, *arrays, mask, recurrent_scale, codes)
    if run is None:
        return lstm.textbook(*arrays, c0, mask, recurrent_scale, activation, recurrent_activation)
    c0, gates, c, a = _contiguous(c0), run.states(4), run.states(), run.states()
    given = (_input_product(run), run.recurrent, run.bias, run.h0, c0, run.mask, run.scale)
    run.launch("lstm_forward", *given, gates, run.h, c, a)
    return [run.h, array_namespace(c).asarray(c[:, -1, :], copy=True)], run._replace(kept=(c0, gates, c, a))


@on_gpu(lstm_backward)
def _lstm_backward(dy: list[Array | None], cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return lstm_backward.textbook(dy, cache, input_gradient)
    c0, gates, c, a = cache.kept
    dh, dc = map(_contiguous, dy)
    dz, dh0, dc0 = cache.states(4), *(empty(cache.h[:, 0, :].shape, cache.h) for _ in range(2))
    arrays = (cache.transposed(), dh, dc, c0, cache.mask, cache.scale, gates, c, a, dz, dh0, dc0)
    cache.launch("lstm_backward", *arrays)
    dbias = None if cache.bias is None else column_sums(_rows(dz))
    dstates = (None if cache.h0 is None else dh0, None if c0 is None else dc0)
    return (*cache.gradients(dz, input_gradient), dbias, *dstates)


# --- GRU -----------------------------------------------------------------------------------------------------------


@on_gpu(gru)
def _gru(
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
) -> tuple[Array, Any]:
    codes, run = _known(PHI=activation, SIGMA=recurrent_activation), None
    arrays = (x, kernel, recurrent_kernel, bias, h0)
    fits = bias is None or bias.shape == (2, recurrent_kernel.shape[1])
    if reset_after and fits and codes is not None and supported(*arrays, recurrent_scale):
        of_state = {"h0": h0, "recurrent_scale": recurrent_scale}
        check_sequence("gru", x, kernel, recurrent_kernel, 3, of_state, mask=mask)
        run = _start(3, *arrays, mask, recurrent_scale, codes)
    if run is None:
        return gru.textbook(*arrays, mask, recurrent_scale, activation, recurrent_activation, reset_after)
    gates, inner = run.states(3), run.states()
    given = (_input_product(run), run.recurrent, run.bias, run.h0, run.mask, run.scale)
    run.launch("gru_forward", *given, gates, inner, run.h)
    return run.h, run._replace(kept=(gates, inner))


@on_gpu(gru_backward)
def _gru_backward(dy: Array, cache: Any, input_gradient: bool = True) -> Gradients:
    if not isinstance(cache, _Run):
        return gru_backward.textbook(dy, cache, input_gradient)
    du, ds, dh0 = cache.states(3), cache.states(3), empty(cache.h[:, 0, :].shape, cache.h)
    arrays = (cache.transposed(), contiguous(dy), cache.h0, cache.mask, cache.scale, *cache.kept, cache.h, du, ds, dh0)
    cache.launch("gru_backward", *arrays)
    dbias = None if cache.bias is None else array_namespace(du).stack([column_sums(_rows(du)), column_sums(_rows(ds))])
    return (*cache.gradients(du, input_gradient, ds), dbias, None if cache.h0 is None else dh0)
