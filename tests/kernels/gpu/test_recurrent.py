"""The recurrent kernels against the textbook: every argument, and every way to lay weights out on a multiprocessor."""

import hashlib
import re
from typing import ClassVar

import numpy as np
import pytest

from tinymed.kernels.gpu import reading, recurrent
from tinymed.kernels.gpu.launching import BODIES, compile_options
from tinymed.ops import REGISTRY, textbook

GATES = {"gru": 3, "lstm": 4, "simple_rnn": 1}
BODY = {operation.__name__: body for operation, body in BODIES}
FLOAT64 = {"dtype": "float64"}


def problem(kind, N, T, D, U, dtype="float32", mask=True, scale=True, bias=True, state=True, names=()):
    rng = np.random.default_rng(N + T + D + U)
    columns, states = GATES[kind] * U, 2 if kind == "lstm" else 1
    x, kernel = rng.standard_normal((N, T, D)), rng.standard_normal((D, columns))
    weights = rng.standard_normal((U, columns)) / np.sqrt(U)
    offset = rng.standard_normal((2, columns) if kind == "gru" else (columns,))
    arrays = [x, kernel, weights, offset if bias else None]
    arrays += [rng.standard_normal((N, U)) if state else None for _ in range(states)]
    arrays = [None if a is None else (0.5 * a).astype(dtype) for a in arrays]
    arrays.append(rng.random((N, T)) < 0.6 if mask else None)
    arrays.append((2.0 * (rng.random((N, U)) < 0.5)).astype(dtype) if scale else None)
    return [*arrays, *names]


def run(forward, backward, arguments, **options):
    y, cache = forward(*arguments)
    outputs = y if isinstance(y, list) else [y]
    rng = np.random.default_rng(1)
    dys = [rng.standard_normal(part.shape).astype(part.dtype) for part in outputs]
    return [*outputs, *backward(dys if isinstance(y, list) else dys[0], cache, **options)]


def check(kind, *sizes, **options):
    arguments = problem(kind, *sizes, **options)
    with textbook():
        wanted = run(REGISTRY[kind].forward, REGISTRY[kind].backward, arguments)
    found = run(BODY[kind], BODY[f"{kind}_backward"], arguments)
    tolerance = 2e-5 if arguments[0].dtype == np.float32 else 1e-12
    for place, (a, b) in enumerate(zip(wanted, found, strict=True)):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape and a.dtype == b.dtype
            assert np.max(np.abs(a - b), initial=0) <= tolerance * max(1, np.max(np.abs(a), initial=0)), place


def layout(kind, U, N=3, itemsize=4, room=99 * 1024):
    return recurrent.plan(GATES[kind], U, N, itemsize, room)


@pytest.fixture
def few_registers(monkeypatch):
    """Keep four weights of each thread in registers, as if a multiprocessor had hardly any."""
    monkeypatch.setattr(recurrent, "REGISTERS", 64)
    recurrent.plan.cache_clear()
    yield
    recurrent.plan.cache_clear()


@pytest.mark.parametrize("kind", GATES)
def test_every_argument(on_host, kind):
    before = on_host.launches[f"{kind}_forward"]
    for T in (1, 4, 9):  # one step; as many as are fetched ahead; more, with a rest
        check(kind, 3, T, 2, 6)
    for left_out in ("mask", "scale", "bias", "state"):
        check(kind, 3, 5, 2, 6, **{left_out: False})
    check(kind, 3, 5, 2, 6, mask=False, scale=False, bias=False, state=False)
    assert on_host.launches[f"{kind}_forward"] == on_host.launches[f"{kind}_backward"] == before + 8
    check(kind, 2, 5, 3, 6, **FLOAT64)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid"])
def test_activations(on_host, kind, activation):
    gates = [] if kind == "simple_rnn" else [{"linear": "tanh", "relu": "sigmoid", "sigmoid": "linear"}[activation]]
    check(kind, 2, 3, 2, 5, names=[activation, *gates], **FLOAT64)


@pytest.mark.parametrize(("kind", "U"), [("lstm", 33), ("gru", 22), ("simple_rnn", 65)])
def test_a_hidden_size_of_several_warps(on_host, kind, U):
    assert layout(kind, U).constants["KEPT"] >= U
    check(kind, 2, 3, 2, U)


@pytest.mark.parametrize("kind", GATES)
def test_weights_beyond_the_registers_lie_in_shared_memory(on_host, few_registers, kind):
    assert layout(kind, 10).constants == {"UNITS": 10, "KEPT": 4, "ROWS": 1, "AHEAD": 2, "REST_SHARED": 1}
    check(kind, 2, 5, 2, 10)


@pytest.mark.parametrize("kind", GATES)
def test_weights_beyond_shared_memory_stay_in_the_large_memory(on_host, few_registers, monkeypatch, kind):
    monkeypatch.setattr(recurrent, "_room", lambda device: 1024)
    assert layout(kind, 10, room=1024).constants["REST_SHARED"] == 0
    check(kind, 2, 5, 2, 10)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize(("N", "rows"), [(257, 2), (514, 4)])
def test_large_batches_put_several_samples_into_a_block(on_host, kind, N, rows):
    assert layout(kind, 3, N).rows == rows
    check(kind, N, 2, 1, 3)  # and the last block has samples left over


def test_sizes_that_fit_and_that_do_not():
    fits = layout("lstm", 50, 32)
    assert fits == recurrent.Plan(224, 1, 1632, {"UNITS": 50, "KEPT": 52, "ROWS": 1, "AHEAD": 4, "REST_SHARED": 1})
    assert layout("lstm", 128, room=227 * 1024).constants["REST_SHARED"] == 1
    assert layout("lstm", 128, room=99 * 1024).constants["REST_SHARED"] == 0
    assert [layout("lstm", 128, N).rows for N in (128, 129)] == [1, 4]  # weights read from the cache are shared
    assert [layout("lstm", 50, N).rows for N in (256, 257, 512, 513)] == [1, 2, 2, 4]
    assert layout("lstm", 256) is not None and layout("lstm", 257) is None  # threads of a block
    assert layout("simple_rnn", 512) is not None and layout("simple_rnn", 513) is None  # a MiB of weights
    for kind in GATES:
        for U in range(1, 257):
            for itemsize in (4, 8):
                found = layout(kind, U, 600, itemsize)
                assert found is None or (found.threads <= 1024 and found.shared <= 99 * 1024), (kind, U)


@pytest.fixture(scope="module")
def said_of(library_folder):
    """Return what NVIDIA's compiler says of a source, kept from run to run under a name that changes with the text."""
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", exc_type=ImportError, reason="no CuPy")
    try:
        version = nvrtc.getVersion()
    except Exception as error:  # whatever CuPy says where the library is missing
        pytest.skip(f"no NVRTC ({error}); pip install nvidia-cuda-nvrtc-cu12")

    def compiled(source, options):
        options = (*options, "-arch=sm_90", "--ptxas-options=-v")
        key = hashlib.sha256(repr((source.text, options, version)).encode()).hexdigest()[:16]
        kept = library_folder / f"registers-{source.name}-{key}.txt"
        if not kept.exists():
            program = nvrtc.createProgram(source.text, f"{source.name}.cu", [], [])
            nvrtc.compileProgram(program, options)
            kept.write_text(nvrtc.getProgramLog(program))
        return kept.read_text()

    return compiled


@pytest.mark.parametrize(("kind", "U"), [("lstm", 100), ("lstm", 128), ("gru", 100), ("gru", 128), ("simple_rnn", 128)])
def test_the_plan_leaves_registers_enough(said_of, kind, U):
    for N in (32, 1000):
        found = layout(kind, U, N, room=227 * 1024)
        log = said_of(reading.load(kind), compile_options("float", PHI=1, SIGMA=2, **found.constants))
        used = [int(number) for number in re.findall(r"Used (\d+) registers", log)]
        assert len(used) == log.count(" 0 bytes spill stores, 0 bytes spill loads") == 2, log
        assert max(used) * 32 * -(-found.threads // 128) <= recurrent.REGISTERS


def test_the_device_says_how_much_shared_memory_it_has():
    class Device:  # as CuPy's
        __hash__ = None
        attributes: ClassVar = {"MaxSharedMemoryPerBlockOptin": 232448}

        def __str__(self):
            return "<CUDA Device 7>"

    assert recurrent._room(Device()) == recurrent._room(Device()) == 232448
    assert recurrent._room("cpu") == 99 * 1024


@pytest.mark.parametrize("kind", GATES)
def test_what_no_kernel_does_is_the_textbooks(on_host, monkeypatch, kind):
    before = sum(on_host.launches.values())
    soft = ["softsign"] if kind == "simple_rnn" else ["softsign", "hard_sigmoid"]
    check(kind, 2, 3, 2, 4, names=soft, **FLOAT64)
    if kind == "gru":
        arguments = [*problem("gru", 2, 3, 2, 4, bias=False, **FLOAT64), "tanh", "sigmoid", False]
        np.testing.assert_array_equal(BODY["gru"](*arguments)[0], REGISTRY["gru"].forward.textbook(*arguments)[0])
    mixed = problem(kind, 2, 3, 2, 4, mask=False, scale=False)
    mixed[0] = mixed[0].astype("float64")
    assert (BODY[kind](*mixed)[0][0] if kind == "lstm" else BODY[kind](*mixed)[0]).dtype == np.float64
    monkeypatch.setattr(recurrent, "MOST_WEIGHTS", 0)  # a hidden size that does not fit
    recurrent.plan.cache_clear()
    check(kind, 2, 3, 2, 4)
    recurrent.plan.cache_clear()
    assert sum(on_host.launches.values()) == before


@pytest.mark.parametrize("kind", GATES)
def test_shapes_are_checked_before_anything_is_launched(on_host, kind):
    arguments = problem(kind, 2, 3, 2, 4)
    arguments[-1] = arguments[-1][:, :2]
    with pytest.raises(ValueError, match="recurrent_scale of shape"):
        BODY[kind](*arguments)


@pytest.mark.parametrize("kind", GATES)
def test_any_memory_layout_and_no_input_gradient(on_host, kind):
    arguments = problem(kind, 3, 4, 2, 5)
    wanted = run(BODY[kind], BODY[f"{kind}_backward"], arguments)
    turned = [np.asfortranarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    found = run(BODY[kind], BODY[f"{kind}_backward"], turned, input_gradient=False)
    dx = 2 if kind == "lstm" else 1
    assert found[dx] is None
    for place, (a, b) in enumerate(zip(wanted, found, strict=True)):
        if a is not None and place != dx:
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_gradients_of_one_output_only(on_host):
    arguments = problem("lstm", 2, 4, 2, 5)
    (h, c), cache = BODY["lstm"](*arguments)
    with textbook():
        _, other = REGISTRY["lstm"].forward(*arguments)
        for dy in ([h, None], [None, c]):
            wanted = REGISTRY["lstm"].backward(dy, other)
            for a, b in zip(wanted, BODY["lstm_backward"](dy, cache), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_nan_stays_in_its_sequence(on_host):
    arguments = problem("lstm", 2, 3, 1, 2, mask=False, scale=False)
    arguments[0][0, 1, 0] = np.nan
    (h, c), _ = BODY["lstm"](*arguments)
    assert np.isfinite(h[0, 0]).all() and np.isnan(h[0, 1:]).all() and np.isnan(c[0]).all() and np.isfinite(h[1]).all()


def test_no_batch_is_no_launch(on_host):
    (h, c), _ = BODY["lstm"](*problem("lstm", 0, 3, 2, 4))
    assert h.shape == (0, 3, 4) and c.shape == (0, 4)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize(("N", "T", "U"), [(32, 50, 50), (300, 7, 20), (2, 9, 128), (2, 3, 200)])
def test_on_a_card(kind, N, T, U):
    cupy = pytest.importorskip("cupy")
    arguments = problem(kind, N, T, 3, U, dtype="float64")
    on_card = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]

    def results():
        y, cache = REGISTRY[kind].forward(*on_card)
        return [*(y if isinstance(y, list) else [y]), *REGISTRY[kind].backward(y, cache)]

    with textbook():
        y, cache = REGISTRY[kind].forward(*arguments)
        wanted = [*(y if isinstance(y, list) else [y]), *REGISTRY[kind].backward(y, cache)]
    for a, b, again in zip(wanted, results(), results(), strict=True):
        np.testing.assert_allclose(b.get(), a, rtol=1e-9, atol=1e-9)
        assert b.get().tobytes() == again.get().tobytes()  # and repeats bit for bit
