"""Arguments are checked against the kernel's own signature, launches against what a GPU has room for."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import Recorder
from tinymed.kernels.gpu import drivers, launching, reading
from tinymed.kernels.gpu.launching import blocks, compile_options, contiguous, launch, on_gpu, supported
from tinymed.ops import conv2d


@pytest.fixture
def recorder():
    recorder = Recorder()
    with drivers.use_driver(recorder):
        yield recorder


@pytest.fixture
def received(monkeypatch):
    """The arguments as a driver gets them."""
    got = []
    monkeypatch.setattr(Recorder, "launch", lambda self, source, kernel, *rest: got.append((kernel, *rest)))
    with drivers.use_driver(Recorder()):
        yield got


WINDOWS = tuple(range(19))


def test_arguments_get_the_types_of_the_signature(received):
    for dtype, real in (("float32", "float"), ("float64", "double")):
        x = np.ones(4, dtype)
        launch("im2col", 2, (8, 4), (x, x, WINDOWS, 4))
        kernel, options, grid, block, arguments, shared = received[-1]
        assert (kernel, grid, block, shared) == ("im2col", (2, 1, 1), (8, 4, 1), 0)
        assert options == ("-std=c++17", f"-DREAL={real}")
        assert arguments[0] is x and arguments[2].nbytes == 19 * 4 and type(arguments[3]) is np.int32
        assert arguments[2]["numbers"][0].tolist() == list(WINDOWS)
        launch("sgd", 1, 256, ([x], [x], [], [4], 1, False, 0.5, 0.0, None, None, 0.9, True))
        arguments = received[-1][4]
        assert (
            arguments[6].dtype == dtype and arguments[8] is None and arguments[3]["numbers"][0, :2].tolist() == [4, 0]
        )


def test_large_arrays_make_indices_wide(received, monkeypatch):
    monkeypatch.setattr(launching, "_WIDE_FROM", 4)
    x = np.ones(4, np.float32)
    launch("col2im", 1, 1, (x[:3], x[:3], WINDOWS, 3))
    launch("col2im", 1, 1, (x, x, WINDOWS, 4))
    assert "-DWIDE" not in received[0][1] and "-DWIDE" in received[1][1]
    assert type(received[1][4][3]) is np.int64


def test_wide_indices_give_the_same_numbers(host_driver, monkeypatch):
    """The whole road with 64 bits, for a source of its own kind of indices."""
    from tests.kernels.gpu.proofs import assert_agrees, large_calls

    monkeypatch.setattr(launching, "_WIDE_FROM", 1)
    with drivers.use_driver(host_driver):
        for call in large_calls("float32"):
            if call.op in ("im2col", "max_pool2d", "relu"):
                assert_agrees(call)
    assert any("-DWIDE" in options for _, options in host_driver.libraries)


def test_options():
    assert compile_options("double", True, B=2, A="x") == ("-std=c++17", "-DREAL=double", "-DWIDE", "-DA=x", "-DB=2")


def test_an_empty_grid_launches_nothing(recorder):
    launch("im2col", 0, 32, (None, None, WINDOWS, 0))
    launch("im2col", (3, 0), 32, ())
    assert not recorder.launched


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [(2**31, 32, 0), ((1, 65536), 32, 0), (1, 1025, 0), (1, (1, 1, 65), 0), (1, (32, 64), 0), (1, 0, 0), (1, 1, 2**20)],
)
def test_launches_that_no_gpu_has_room_for(grid, block, shared, recorder):
    with pytest.raises(ValueError, match="no GPU can launch im2col with grid="):
        launch("im2col", grid, block, (None, None, WINDOWS, 0), shared_bytes=shared)


def test_wrong_arguments(recorder):
    x = np.ones((4, 4), np.float32)
    with pytest.raises(ValueError, match="no loaded source has a kernel 'imcol'"):
        launch("imcol", 1, 1, ())
    with pytest.raises(ValueError, match="im2col takes 4 arguments but got 1"):
        launch("im2col", 1, 1, (x,))
    with pytest.raises(ValueError, match=r"im2col expects arrays of one dtype.* columns is float64"):
        launch("im2col", 1, 1, (x, x.astype(float), WINDOWS, 1))
    with pytest.raises(ValueError, match=r"im2col expects arrays of one dtype.* x is int64"):
        launch("im2col", 1, 1, (x.astype(int), x, WINDOWS, 1))
    with pytest.raises(ValueError, match=r"im2col expects x in C order"):
        launch("im2col", 1, 1, (x.T, x, WINDOWS, 1))
    with pytest.raises(ValueError, match="max_pool expects winner with dtype uint8 but got float32"):
        launch("max_pool", 1, 1, (x, x, x, WINDOWS, 1))
    with pytest.raises(ValueError, match="sgd takes at most 32 arrays as w but got 33"):
        launch("sgd", 1, 1, ([x] * 33, [x], [], [1], 1, 0, 0, 0, None, None, 0, 0))
    with pytest.raises(ValueError, match="Windows has room for 19 numbers"):
        launch("im2col", 1, 1, (x, x, range(20), 1))
    with pytest.raises(ValueError, match="Windows has room for 19 numbers"):
        reading.structure("Windows", (2**31,))
    assert not recorder.launched


def test_structures_are_those_of_the_prelude():
    text = (reading.SOURCES / "prelude.cuh").read_text()
    body = text.split("struct Windows {")[1].split("}")[0]
    assert len(body.replace("int", "").replace(";", "").split(",")) == reading.STRUCTURES["Windows"]["numbers"].shape[0]
    for name in ("Shape", "Ends"):
        assert f"struct {name} {{\n    long long at[{reading.STRUCTURES[name]['numbers'].shape[0]}];" in text
    for name in reading.LISTS:
        assert f"struct {name} {{\n" in text
    assert text.count(f"REAL* at[{reading.ARRAYS}];") == len(reading.LISTS)


def test_what_bodies_need():
    assert blocks(0) == 0 and blocks(1) == 1 and blocks(256) == 1 and blocks(257) == 2 and blocks(9, 4) == 3
    single, double = np.ones(2, np.float32), np.ones(2)
    assert supported(single, None, single) and supported(double) and not supported(single, double)
    assert not supported(double.astype(np.float16)) and not supported(double + 1j)
    turned = np.ones((2, 3)).T
    assert contiguous(single) is single and contiguous(turned).flags.c_contiguous
    assert contiguous(np.ones(())).shape == ()
    with pytest.raises(ValueError, match="conv2d has a body for the GPU already"):
        on_gpu(conv2d)(print)
