"""Proof without a GPU: every body, its kernels run by the processor, does what the textbook does.

The bodies are the very functions that CuPy arrays get; only what launches the kernels is another (see ``host.py``).
"""

import contextlib
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.kernels.gpu import proofs
from tests.kernels.gpu.host import HostDriver
from tests.kernels.gpu.proofs import BODY, CASES, OPERATIONS, RECURRENT, assert_agrees, assert_same, drawn, outcome
from tests.properties import strategies
from tinymed.gradcheck.layouts import LAYOUTS
from tinymed.kernels.gpu import convolution, drivers, reading
from tinymed.ops import REGISTRY, UPDATES
from tinymed.ops.registry import HELPERS

pytestmark = pytest.mark.usefixtures("on_host")
DTYPES = ["float32", "float64"]
PLAIN = [case for case in CASES if case.op not in RECURRENT]
"""The recurrent operations compile anew for each size: their own file runs them over sizes."""


def test_no_body_escapes():
    """Fails for a body whose operation has no case, and no large call, here."""
    proven = {case.op for case in CASES} & {entry[0] for entry in proofs.LARGE}
    alike = {f"{kind}_pool{axes}d" for kind in ("max", "average") for axes in (1, 3)} | set(ELEMENTWISE)
    assert set(OPERATIONS) - proven <= alike
    assert {case.op for case in CASES} == set(OPERATIONS)
    of_operations = {name for name in BODY if name.removesuffix("_backward") in REGISTRY}
    assert set(BODY) == of_operations | set(UPDATES) | set(HELPERS) & set(BODY)


ELEMENTWISE = (
    "tanh", "exponential", "softplus", "softsign", "silu", "mish", "elu", "selu", "gelu", "hard_sigmoid", "erf"
)  # fmt: skip
"""They share one kernel with the sigmoid, which has a large call; poolings share one too."""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", PLAIN, ids=proofs.names)
def test_cases_of_the_gradient_check(case, dtype):
    assert_agrees(drawn(case, dtype))


@pytest.mark.parametrize("case", [case for case in CASES if case.op in RECURRENT], ids=proofs.names)
def test_recurrent_cases_of_the_gradient_check(case):
    assert_agrees(drawn(case, "float64"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("busy", [None, 1], ids=["small tiles", "large tiles"])
def test_large_calls(dtype, busy, monkeypatch):
    """Many blocks; and, as if a GPU were busy with one block, the large tiles of convolutions."""
    if busy:
        monkeypatch.setattr(convolution, "BUSY", busy)
    for call in proofs.large_calls(dtype, recurrent=busy is None):
        assert_agrees(call)


def test_every_kernel_runs_on_several_blocks(monkeypatch):
    """Of the large calls, and of the updates: nothing is computed here, only what would be launched is counted."""
    recorder = proofs.Recorder()
    with drivers.use_driver(recorder):
        for busy in (convolution.BUSY, 1):
            monkeypatch.setattr(convolution, "BUSY", busy)
            for call in proofs.large_calls("float32"):
                outcome(call, bodies=True)
        for name, arrays in proofs.weights_of_a_model(np.float32).items():
            BODY[name](*arrays)
    grids = recorder.largest_grids()
    others = {"tiled_product", "random_words", "random_choices", "random_uniform"}  # in files of their own
    files = [path.stem for path in reading.SOURCES.glob("*.cu")]
    kernels = {kernel for file in files for kernel in reading.load(file).kernels} - others
    assert set(grids) - others == kernels
    assert {kernel for kernel in kernels if grids[kernel] < 2} == set()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_in_memory(layout):
    for case in PLAIN:
        call = drawn(case, "float32")
        call.arrays = [LAYOUTS[layout](a) if a is not None and a.ndim else a for a in call.arrays]
        assert_agrees(call)


def test_empty_batches():
    for case in PLAIN:
        call = drawn(case, "float32")
        several = call.op in ("dropout", "warp") or "cross" in call.op or "error" in call.op
        call.arrays = [a[:0] if i == 0 or several else a for i, a in enumerate(call.arrays)]
        assert_agrees(call)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf], ids=str)
def test_nan_and_infinity(odd):
    for case in PLAIN:
        call = drawn(case, "float32")
        x = call.arrays[1 if "cross" in case.op or "error" in case.op else 0]
        x.reshape(-1)[x.size // 2] = odd
        assert_agrees(call)


@pytest.mark.parametrize("op", OPERATIONS)
def test_other_dtypes_go_to_the_textbook(op, host_driver):
    case = next(case for case in CASES if case.op == op)
    call = drawn(case, "float64")
    floating = [a is not None and a.dtype.kind == "f" for a in call.arrays]
    before = host_driver.launches.total()
    if op not in RECURRENT:
        call.arrays = [a.astype("complex128") if f else a for a, f in zip(call.arrays, floating, strict=True)]
        with np.errstate(all="ignore"), contextlib.suppress(TypeError):  # not every formula takes complex numbers
            BODY.get(op, REGISTRY[op].forward.textbook)(*call.arrays, **call.options)
    assert host_driver.launches.total() == before


# --- drawn calls ----------------------------------------------------------------------------------------------------

often = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large,
                           HealthCheck.function_scoped_fixture],
)  # fmt: skip
plain_calls = st.one_of(
    strategies.convolution_calls(), strategies.convolution_calls(2), strategies.fused_calls(),
    strategies.im2col_calls(), strategies.pooling_calls(), strategies.transposed_calls(), strategies.dense_calls(),
    strategies.elementwise_calls(), strategies.embedding_calls(), strategies.warp_calls(),
)  # fmt: skip


@often
@given(plain_calls)
def test_drawn_calls(call):
    """Strides, paddings, layouts, special values, mistakes: as the processor's own kernels are tested."""
    wanted = outcome(call, bodies=False)
    event(f"{call.op}{' raises' if isinstance(wanted, Exception) else ''}")
    assert_same(outcome(call, bodies=True), wanted)


# --- the proof catches mistakes -------------------------------------------------------------------------------------

PLANTED = [
    ("columns.cu", "im2col", "i < 64 && m0 + i < M", "i < 64 && m0 + i <= M"),
    ("columns.cu", "im2col", "columns[(m0 + i) * K + k]", "columns[(m0 + i) * g.C + k]"),
    ("columns.cu", "im2col", "ow / g.sw >= g.OW", "ow / g.sw > g.OW"),
    ("prelude.cuh", "im2col", "position / g.KW % g.KH * g.gh", "position / g.KH % g.KH * g.gh"),
    ("prelude.cuh", "conv2d", "(p.w + s.w) < (unsigned)g.W", "(p.w + s.w) <= (unsigned)g.W"),
    ("tiles.cuh", "conv2d", "__syncthreads();  // and the next one is there", ""),
    ("convolution.cu", "conv2d_relu_max_pool", "target[m / 4 * FT]", "target[m / 2 * FT]"),
    ("convolution_gradients.cu", "conv2d", "last = first + step < M ? first + step : M", "last = first + step"),
    ("convolution_gradients.cu", "conv2d", "if (d < 0 || h < 0 || w < 0)", "if (d < 0 || h < 0)"),
    ("pooling.cu", "max_pool2d", "if (i >= size) return;", "if (i > size) return;"),
    ("pooling.cu", "max_pool2d", "g.KH + h - oh * g.sh) * g.KW", "g.KH + h - oh * g.sh) * g.KH"),
    ("sums.cu", "conv2d", "parts[p * n + i]", "parts[p * n1 + i]"),
    ("normalization.cu", "batch_norm", "mine->merge(mine[half * blockDim.x])", "mine->merge(mine[half])"),
    ("rows.cuh", "softmax", "half > 0", "half > 1"),
    ("lookup.cu", "embedding", "count = (int)(M - first < 256 ? M - first : 256)", "count = 256"),
]


@pytest.mark.parametrize(("file", "op", "right", "wrong"), PLANTED)
def test_planted_mistakes_are_caught(file, op, right, wrong, monkeypatch, tmp_path, library_folder):
    """One bound, one stride or one barrier is wrong in a copy of the sources: the same proof fails."""
    folder = shutil.copytree(reading.SOURCES, tmp_path / "sources")
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong))
    monkeypatch.setattr(reading, "SOURCES", folder)
    for path in folder.glob("*.cu"):
        source = reading.read(path)
        for kernel in source.kernels:
            if reading.KERNELS[kernel].text != source.text:
                monkeypatch.setitem(reading.KERNELS, kernel, source)
    calls = [drawn(case, "float32") for case in CASES if case.op == op]
    calls += [call for call in proofs.large_calls("float32") if call.op == op]
    with drivers.use_driver(HostDriver(library_folder)), pytest.raises(AssertionError):
        for call in calls:
            assert_agrees(call)
