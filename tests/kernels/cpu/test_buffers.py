"""Buffers: used again only when nobody can see them any more."""

import gc
import threading

import numpy as np
import pytest

from tinymed.kernels.cpu import buffers
from tinymed.ops import conv2d, dense, max_pool2d, max_pool2d_backward

LARGE = (1 << 18) + 16  # float32 values: more than the smallest buffer


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(buffers, "_buffers", buffers.Buffers())


def address(a):
    return a.__array_interface__["data"][0]


def test_like_numpys_empty():
    for shape in ((), (0,), (3, 4), (2, LARGE), (LARGE, 1, 2)):
        for dtype in (np.float32, np.float64, np.uint8, np.uint16):
            a = buffers.empty(shape, dtype)
            assert a.shape == shape
            assert a.dtype == dtype
            assert a.flags.c_contiguous
            assert a.flags.writeable
            assert address(a) % 64 == 0 or a.nbytes < buffers.SMALLEST


def test_memory_is_used_again_when_the_array_is_gone():
    a = buffers.empty((LARGE,), np.float32)
    place = address(a)
    del a
    again = buffers.empty((LARGE // 2, 2), np.float32)
    assert address(again) == place


@pytest.mark.parametrize(
    "keep",
    [
        lambda a: a,
        lambda a: a[5:],
        lambda a: a.reshape(2, -1)[1].T[::3],
        lambda a: a.view(np.uint8)[-1:],
        lambda a: memoryview(a),
        lambda a: np.asarray(memoryview(a)[3:9]),
        lambda a: iter(a),
        lambda a: np.broadcast_to(a, (3, *a.shape)),
        lambda a: np.lib.stride_tricks.as_strided(a, (2,), (4,)),
        lambda a: lambda: a,
    ],
)
def test_memory_that_anybody_can_see_is_not_used_again(keep):
    a = buffers.empty((LARGE,), np.float32)
    place = address(a)
    held = keep(a)
    del a
    gc.collect()
    others = [buffers.empty((LARGE,), np.float32) for _ in range(3)]
    assert place not in {address(other) for other in others}
    del held
    gc.collect()
    assert address(buffers.empty((LARGE,), np.float32)) == place


def test_arrays_do_not_overlap_while_they_come_and_go():
    rng = np.random.default_rng(0)
    alive = {}
    for turn in range(400):
        if len(alive) > 5 or (alive and rng.random() < 0.4):
            key = rng.choice(list(alive))
            array = alive.pop(key)
            assert (array == key).all()
            del array
        array = buffers.empty((LARGE + int(rng.integers(LARGE)),), np.float32)
        array[:] = turn
        alive[turn] = array
        del array
    for turn, array in alive.items():
        assert (array == turn).all()


def test_never_keeps_more_than_was_in_use_at_one_time():
    kept = buffers._buffers
    size = 4 * LARGE
    a, b = buffers.empty((LARGE,), np.float32), buffers.empty((LARGE,), np.float32)
    del a, b
    for growing in range(1, 8):  # none of the earlier ones fits
        a = buffers.empty((LARGE * growing * 2,), np.float32)
        del a
        assert sum(buffer.size for buffer in kept.kept) <= max(size * growing * 2, 2 * size) + 200


def test_never_keeps_more_than_the_largest_amount():
    small = buffers.Buffers(largest=5 << 20)
    taken = [small.take(2 << 20) for _ in range(4)]
    assert [buffer is None for buffer in taken] == [False, False, True, True]
    assert sum(buffer.size for buffer in small.kept) <= 5 << 20
    assert small.take(6 << 20) is None


def test_clear_leaves_arrays_alone():
    a = buffers.empty((LARGE,), np.float32)
    a[:] = 3
    buffers.clear()
    b = buffers.empty((LARGE,), np.float32)
    b[:] = 4
    assert (a == 3).all()


def test_threads_share_it():
    wrong = []

    def work(number):
        for turn in range(50):
            a = buffers.empty((LARGE,), np.float32)
            a[:] = 1000 * number + turn
            b = buffers.empty((LARGE,), np.float32)
            b[:] = -1
            if not (a == 1000 * number + turn).all():
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_results_of_kernels_stay_as_they_are():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 64, 64, 3)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 3, 16)).astype(np.float32)
    matrix = rng.standard_normal((8, 32768)).astype(np.float32)
    held, copies = [], []
    for turn in range(4):
        y, _ = conv2d(x + turn, kernel)
        pooled, cache = max_pool2d(y)
        dx = max_pool2d_backward(pooled, cache)
        z, _ = dense(matrix.T[:, :8] + turn, matrix[:, :32])
        held += [y[1:], pooled, dx[..., 0], z]
        copies += [a.copy() for a in held[-4:]]
        del y, pooled, cache, dx, z
    for a, b in zip(held, copies, strict=True):
        np.testing.assert_array_equal(a, b)
