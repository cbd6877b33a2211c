"""The stand-in for a GPU catches what would be undefined there: each kernel here is wrong in one way."""

import numpy as np
import pytest

from tests.kernels.gpu import host
from tests.kernels.gpu.host import HostDriver, KernelError
from tinymed.kernels.gpu import drivers, reading
from tinymed.kernels.gpu.launching import launch

SOURCE = """
KERNEL right(const REAL* __restrict__ x, REAL* y, REAL a, INDEX n) {
    for (INDEX i = thread_number(); i < n; i += thread_count()) y[i] = a * x[i];
}
KERNEL in_place(REAL* y, const REAL* x, INDEX n) { y[thread_number()] += x[thread_number()]; }
KERNEL reverse(const REAL* x, REAL* y, INDEX n) {
    __shared__ REAL fixed[64];
    SHARED_MEMORY(REAL, sized);
    const int t = threadIdx.x;
    fixed[t] = x[t], sized[t] = x[t];
    __syncthreads();
    y[t] = (fixed[n - 1 - t] + sized[n - 1 - t]) / 2;
}
KERNEL three_axes(const REAL* x, REAL* y, INDEX n) {
    const INDEX block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    y[block * blockDim.x * blockDim.y * blockDim.z + thread] = (REAL)(block * 1000 + thread);
}
KERNEL behind(const REAL* x, REAL* y, INDEX n) { if (thread_number() <= n) y[thread_number()] = 0; }
KERNEL before(const REAL* x, REAL* y, INDEX n) { if (thread_number() < n) y[thread_number()] = x[thread_number() - 1]; }
KERNEL far(const REAL* x, REAL* y, INDEX n) { y[thread_number()] = x[thread_number() * 100000]; }
KERNEL overwrites(const REAL* x, REAL* y, INDEX n) { const_cast<REAL*>(x)[0] = y[0]; }
KERNEL races(const REAL* x, REAL* y, INDEX n) { y[0] = x[threadIdx.x]; }
KERNEL no_barrier(const REAL* x, REAL* y, INDEX n) {
    __shared__ REAL fixed[64];
    fixed[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = fixed[63 - threadIdx.x];
}
KERNEL leaves_fixed(const REAL* x, REAL* y, INDEX n) { __shared__ REAL fixed[4]; fixed[n] = x[0]; y[0] = fixed[n % 4]; }
KERNEL leaves_sized(const REAL* x, REAL* y, INDEX n) { SHARED_MEMORY(REAL, sized); sized[64] = 1; }
KERNEL some_wait(const REAL* x, REAL* y, INDEX n) { if (threadIdx.x < 3) __syncthreads(); y[threadIdx.x] = 0; }
KERNEL some_leave(const REAL* x, REAL* y, INDEX n) { if (threadIdx.x > 3) return; __syncthreads(); y[threadIdx.x] = 0; }
KERNEL elsewhere(const REAL* x, REAL* y, INDEX n) {
    if (threadIdx.x % 2) { __syncthreads(); y[threadIdx.x] = 0; }
    else {
        __syncthreads(); y[threadIdx.x] = 1; }
}
KERNEL by_zero(const REAL* x, REAL* y, INDEX n) { y[0] = 5 / (n - 64); }
KERNEL overflows(const REAL* x, REAL* y, INDEX n) { y[0] = (n << 24) * n; }
KERNEL casts_nan(const REAL* x, REAL* y, INDEX n) { y[0] = (int)(NOT_A_NUMBER * x[0]); }
"""


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory):
    path = tmp_path_factory.mktemp("toys") / "toys.cu"
    path.write_text(SOURCE)
    source = reading.read(path)
    with pytest.MonkeyPatch.context() as patch:
        for kernel in source.kernels:
            patch.setitem(reading.KERNELS, kernel, source)
        yield


@pytest.fixture
def arrays():
    return np.arange(64.0), np.full(64, np.nan)


def run(kernel, x, y, block=64, shared=64 * 8, grid=1):
    launch(kernel, grid, block, (x, y, 64), shared_bytes=shared)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_kernel(dtype, on_host):
    x, y = np.arange(1000, dtype=dtype), np.full(1000, np.nan, dtype)
    launch("right", 3, 64, (x, y, 2.0, 1000))
    np.testing.assert_array_equal(y, 2 * x)
    assert on_host.launches["right"] and on_host.largest_grid["right"] == 3


def test_threads_meet(on_host, arrays):
    run("reverse", *arrays)
    np.testing.assert_array_equal(arrays[1], arrays[0][::-1])


def test_blocks_and_threads_along_three_axes(on_host):
    y = np.full(2 * 3 * 2 * 3 * 2 * 4, np.nan)
    launch("three_axes", (2, 3, 2), (3, 2, 4), (y[:0], y, 0))
    np.testing.assert_array_equal(y, (1000 * np.arange(12.0)[:, None] + np.arange(24.0)).reshape(-1))


def test_one_array_for_two_parameters(on_host):
    y = np.arange(64.0)
    launch("in_place", 1, 64, (y, y, 64))
    np.testing.assert_array_equal(y, 2 * np.arange(64.0))


WRONG = {
    "behind": "0 bytes behind the end of y in thread (0, 0, 0) of block (1, 0, 0)",
    "before": "8 bytes before x in thread (0, 0, 0)",
    "far": "bytes behind the end of x",
    "overwrites": "x, which is read only",
    "races": "another order of blocks and threads gave other bits",
    "no_barrier": "another order of blocks and threads gave other bits",
    "leaves_fixed": "an index left a fixed array",
    "leaves_sized": "0 bytes behind the end of the shared memory",
    "some_wait": "wait at __syncthreads() and others have ended",
    "some_leave": "wait at __syncthreads() and others have ended",
    "elsewhere": "wait at different __syncthreads()",
    "by_zero": "divided by zero",
    "overflows": "a whole number overflowed",
    "casts_nan": "a value without one was cast to it",
}


@pytest.mark.parametrize("kernel", WRONG)
def test_wrong_kernels(kernel, on_host, arrays):
    x, y = arrays
    with pytest.raises(KernelError) as caught:
        run(kernel, x, y, grid=2 if kernel == "behind" else 1)
    assert f"{kernel}: " in str(caught.value) and WRONG[kernel] in str(caught.value)
    run("reverse", *arrays)  # and all is well again
    np.testing.assert_array_equal(y, x[::-1])


def test_arguments_that_overlap(on_host):
    x = np.arange(128.0)
    with pytest.raises(KernelError, match="y overlaps another argument"):
        launch("right", 1, 64, (x[:64], x[32:96], 1.0, 64))


def test_a_source_that_does_not_compile(tmp_path):
    if host.compiler() is None:
        pytest.skip("no C++ compiler")
    (tmp_path / "broken.cu").write_text("KERNEL broken(int n) { unknown(); }\n")
    source = reading.read(tmp_path / "broken.cu")
    with pytest.raises(KernelError, match=r"broken\.cu:1:.*unknown"):
        HostDriver(tmp_path).library(source, ("-DREAL=float",))


def test_atomics_do_not_compile(tmp_path):
    """They would make results differ from run to run."""
    if host.compiler() is None:
        pytest.skip("no C++ compiler")
    (tmp_path / "atomic.cu").write_text("KERNEL adds(REAL* y, int n) { atomicAdd(y, (REAL)n); }\n")
    with pytest.raises(KernelError, match="atomicAdd"):
        HostDriver(tmp_path).library(reading.read(tmp_path / "atomic.cu"), ("-DREAL=float",))


def test_a_missing_compiler_skips(monkeypatch):
    monkeypatch.setattr(host.shutil, "which", lambda name: None)
    assert host.compiler.__wrapped__() is None


def test_values_that_are_not_written_stay_nan(on_host):
    assert np.isnan(on_host.empty((2, 3), np.dtype("float32"), None)).all()
    assert drivers.DRIVERS[-1] is on_host
    assert (on_host.empty((2,), np.dtype("int64"), None) == -1).all()
