"""How CuPy is asked to record: the right calls in the right order, and everything as before when a recording fails."""

import contextlib
import gc
import sys
import types

import numpy as np
import pytest

from tinymed.models.cuda_graphs import CannotRecord, CudaGraphs

GIB = 2**30


class Cupy(types.ModuleType):
    """Stands for CuPy: notes what is called."""

    def __init__(self, used=GIB, refuses=False):
        super().__init__("cupy")
        self.calls, self.pinned = [], "pinned pool"
        note, module = self.calls.append, self

        class Pool:
            def malloc(self, size):
                return None

            def free_all_blocks(self):
                note("free")

            def total_bytes(self):
                return used

        class Stream:
            def __init__(self, non_blocking):
                assert non_blocking

            def __enter__(self):
                note("stream")

            def __exit__(self, *error):
                note("no stream")

            def begin_capture(self):
                note("begin")

            def end_capture(self):
                note("end")
                if refuses:
                    raise RuntimeError("cudaErrorStreamCaptureInvalidated")
                return types.SimpleNamespace(launch=lambda: note("launch"))

        @contextlib.contextmanager
        def using_allocator(allocator):
            assert allocator.__self__.__class__ is Pool
            note("own memory")
            yield
            note("usual memory")

        device = types.SimpleNamespace(synchronize=lambda: note("wait"), mem_info=(0, 8 * GIB))
        self.get_default_memory_pool = Pool
        self.get_default_pinned_memory_pool = lambda: types.SimpleNamespace(malloc="pinned pool")
        self.cuda = types.SimpleNamespace(
            MemoryPool=Pool,
            Stream=Stream,
            Device=lambda: device,
            using_allocator=using_allocator,
            set_pinned_memory_allocator=lambda allocator: setattr(module, "pinned", allocator),
        )


@pytest.fixture
def cupy(monkeypatch):
    def install(**options):
        monkeypatch.setitem(sys.modules, "cupy", Cupy(**options))
        return sys.modules["cupy"]

    return install


def test_a_recording_and_its_replays(cupy):
    cupy = cupy()

    def body():
        cupy.calls.append("body")
        assert not gc.isenabled()
        with pytest.raises(CannotRecord, match="from the host"):
            cupy.pinned(8)

    replay = CudaGraphs().capture(body)
    assert cupy.calls == ["wait", "free", "own memory", "stream", "begin", "body", "end", "no stream", "usual memory"]
    replay()
    replay()
    assert cupy.calls[-2:] == ["launch", "launch"]
    assert gc.isenabled() and cupy.pinned == "pinned pool"


def test_a_step_that_fails_ends_its_recording(cupy):
    cupy = cupy(refuses=True)

    def body():
        raise ValueError("not so")

    with pytest.raises(ValueError, match="not so"):
        CudaGraphs().capture(body)
    assert cupy.calls.count("begin") == cupy.calls.count("end") == 1
    assert gc.isenabled() and cupy.pinned == "pinned pool"


def test_a_recording_that_cuda_refuses(cupy):
    cupy = cupy(refuses=True)
    with pytest.raises(RuntimeError, match="Invalidated"):
        CudaGraphs().capture(lambda: None)
    assert gc.isenabled() and cupy.pinned == "pinned pool"


def test_too_much_memory(cupy):
    cupy(used=3 * GIB)
    with pytest.raises(CannotRecord, match=r"keep 3\.0 GiB to itself"):
        CudaGraphs().capture(lambda: None)


def test_numbers_are_written_by_the_array_itself():
    written = []
    CudaGraphs().write(types.SimpleNamespace(set=written.append), np.ones(2))
    assert written[0].tolist() == [1, 1]


@pytest.mark.gpu
def test_on_a_card():
    cupy = pytest.importorskip("cupy")
    graphs, x, place = CudaGraphs(), cupy.arange(5.0), cupy.zeros(1)

    def body():
        x[...] = (x + 1) * place

    body()
    before = x.get()
    replay = graphs.capture(body)
    np.testing.assert_array_equal(x.get(), before)  # nothing has happened yet
    for factor in (2.0, 3.0):
        graphs.write(place, np.array([factor]))
        replay()
        before = (before + 1) * factor
    np.testing.assert_array_equal(x.get(), before)
    for refused in (lambda: float(x[0]), lambda: x + cupy.asarray(np.ones(5))):
        with pytest.raises(Exception, match=r"captur|host"):
            graphs.capture(refused)
    np.testing.assert_array_equal(cupy.asarray(np.ones(5)).get(), np.ones(5))
