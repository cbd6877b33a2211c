"""Matrix products: our own kernel on the processor, and the calls of cuBLAS against functions of the same meaning."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernels.gpu.host import compiler
from tinymed import precision
from tinymed.kernels.gpu import products

SOURCE = Path(__file__).parent / "cublas.c"


@pytest.fixture(scope="module")
def library(library_folder):
    """Functions named as cuBLAS names them, compiled for this processor."""
    if compiler() is None:
        pytest.skip("no C compiler")
    made = library_folder / "cublas.so"
    command = [compiler(), "-xc", "-O1", "-shared", "-fPIC", str(SOURCE), "-o", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(made))


class Device:
    """The current stream of the only device, and its memory."""

    def __init__(self):
        self.stream, self.device, self.given = 16, 0, []

    def current(self):
        return self.stream, self.device

    def allocate(self, size):
        room = np.empty(size + 256, np.uint8)
        self.given.append(size)
        return room, room.ctypes.data + -room.ctypes.data % 256


@pytest.fixture
def device():
    return Device()


@pytest.fixture
def road(library, device):
    return products.Cublas(library, device.current, device.allocate)


def noted(library):
    return dict(zip(("handles", "streams", "workspaces", "compute"), map(library.noted, range(4)), strict=True))


def matrices(shape, other, turned=(False, False), dtype="float32"):
    rng = np.random.default_rng(0)
    for sizes, turn in zip((shape, other), turned, strict=True):
        x = rng.standard_normal(sizes).astype(dtype)
        yield np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if turn else x


def check(road, a, b):
    found = products.multiply(a, b, road)
    wanted = np.matmul(a.astype("float64"), b.astype("float64"))
    assert found.dtype == a.dtype and found.shape == wanted.shape and found.flags.c_contiguous
    tolerance = 1e-5 if a.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, wanted, atol=tolerance * max(1, a.shape[-1]) ** 0.5)


SHAPES = [
    ((1, 1), (1, 1)),
    ((5, 3), (3, 7)),
    ((65, 17), (17, 129)),  # beyond a tile and a strip on every side
    ((3, 1500), (1500, 5)),  # few values, long sums: the parts are added up last
    ((4, 5, 3), (3, 2)),  # one tall matrix
    ((4, 5, 3), (4, 3, 2)),
    ((5, 3), (4, 3, 2)),  # one matrix for a whole stack
    ((2, 1, 5, 3), (3, 3, 2)),  # stacks that are repeated
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_our_kernel(on_host, turned, dtype):
    for shape, other in SHAPES:
        check(products.tiled, *matrices(shape, other, turned, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_calls_of_cublas(road, turned, dtype):
    for shape, other in SHAPES:
        check(road, *matrices(shape, other, turned, dtype))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_sizes(on_host, road, data):
    M, N, K, B = (data.draw(st.integers(1, most)) for most in (80, 80, 300, 3))
    turned = data.draw(st.tuples(st.booleans(), st.booleans()))
    for one in (products.tiled, road):
        check(one, *matrices((B, M, K), (B, K, N), turned))


def test_neither_transposed_nor_in_order_is_copied(on_host, road):
    a, b = matrices((10, 6), (6, 8))
    check(products.tiled, a[::2, ::2], b[::2, :])
    check(road, a[::2, ::2], b[::2, :])


def test_the_same_bits_again(on_host):
    a, b = matrices((70, 900), (900, 40))
    assert products.tiled(a[None], b[None]).tobytes() == products.tiled(a[None], b[None]).tobytes()


def test_one_handle_and_its_workspace_for_each_stream_in_turn(road, library, device):
    before = noted(library)
    a, b = matrices((5, 3), (3, 7))
    for stream in (16, 16, 48, 16):
        device.stream = stream
        check(road, a, b)  # which fails without a workspace
    device.device = 1
    check(road, a, b)
    after = noted(library)
    assert after["handles"] - before["handles"] == 2 and device.given == [products.WORKSPACE] * 2
    assert after["streams"] - before["streams"] == after["workspaces"] - before["workspaces"] == 4


def test_precision(road, library):
    a, b = matrices((5, 3), (3, 7))
    check(road, a, b)
    assert noted(library)["compute"] == 68
    precision.set_precision("tf32")
    try:
        check(road, a, b)
        assert noted(library)["compute"] == 77
        check(road, a.astype("float64"), b.astype("float64"))
        assert noted(library)["compute"] == 70
    finally:
        precision.set_precision("float32")


def test_a_refused_call_is_an_error(library, device):
    road = products.Cublas(library, device.current, lambda size: (None, 0))
    with pytest.raises(RuntimeError, match="cublasSetWorkspace_v2 returned status 7"):
        products.multiply(*matrices((5, 3), (3, 7)), road)


def test_shapes_that_do_not_fit(on_host):
    with pytest.raises(ValueError, match=r"got \(5, 3\) and \(4, 7\)"):
        products.multiply(*matrices((5, 3), (4, 7)), products.tiled)


def test_main_memory_is_left_to_its_library():
    a, b = matrices((5, 3), (3, 7))
    assert products.matmul(a, b).tobytes() == (a @ b).tobytes()
    assert products.matmul(np.ones((2, 0)), np.ones((0, 3))).tolist() == [[0] * 3] * 2


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_roads_on_a_card(dtype):
    cupy = pytest.importorskip("cupy")
    for turned in [(False, False), (True, False), (False, True), (True, True)]:
        for shape, other in SHAPES:
            a, b = matrices(shape, other, turned, dtype)
            on_card = [cupy.asarray(a), cupy.asarray(b)]
            for road in (products.tiled, products.cublas()):
                assert road is not None, "cuBLAS was not found"
                np.testing.assert_allclose(products.multiply(*on_card, road).get(), a @ b, atol=1e-3)
