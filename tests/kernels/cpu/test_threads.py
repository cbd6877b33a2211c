"""Threads: how many, what they share, and that callers do not get into each other's way."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinymed.kernels.cpu import threads
from tinymed.ops import conv2d, conv2d_backward, max_pool2d


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    blas = [library.get_num_threads() for library in threads._blas_libraries()]
    yield
    threads.set_num_threads(before)
    for library, count in zip(threads._blas_libraries(), blas, strict=True):
        library.set_num_threads(count)


@pytest.fixture
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.endswith("_NUM_THREADS") or name.startswith("PYTEST_XDIST"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(threads, "physical_cores", lambda: 8)
    return monkeypatch


def test_physical_cores():
    assert 1 <= threads.physical_cores() <= os.cpu_count()


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 8),
        ({"TINYMED_NUM_THREADS": "3"}, 3),
        ({"TINYMED_NUM_THREADS": "16", "OMP_NUM_THREADS": "1"}, 16),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OPENBLAS_NUM_THREADS": "64"}, 8),
        ({"PYTEST_XDIST_WORKER_COUNT": "4"}, 2),
        ({"PYTEST_XDIST_WORKER_COUNT": "99"}, 1),
    ],
)
def test_the_environment_decides(clean_environment, environment, count):
    for name, value in environment.items():
        clean_environment.setenv(name, value)
    assert threads.default_threads() == count


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_nonsense_is_refused(clean_environment, value):
    clean_environment.setenv("TINYMED_NUM_THREADS", value)
    with pytest.raises(ValueError, match="TINYMED_NUM_THREADS must be a positive whole number"):
        threads.default_threads()


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_set_num_threads_refuses_nonsense(value):
    with pytest.raises(ValueError, match="positive whole number"):
        threads.set_num_threads(value)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_every_index_comes_once(workers, count):
    threads.set_num_threads(workers)
    seen = np.zeros(count, int)

    def body(first, last, step):
        seen[first:last] += step

    threads.run(body, count, 1)
    assert np.all(seen == 1)


def test_errors_reach_the_caller():
    threads.set_num_threads(2)

    def body(first, last):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        threads.run(body, 10)


def test_a_caller_waits_for_helpers_that_have_begun():
    threads.set_num_threads(2)
    begun, seen = threading.Event(), []

    def body(first, last):
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(30)
        else:
            begun.set()
            time.sleep(0.05)
        seen.extend(range(first, last))

    threads.run(body, 2)
    assert sorted(seen) == [0, 1]


def test_a_caller_does_not_wait_for_busy_helpers():
    threads.set_num_threads(2)
    release = threading.Event()
    blocker = threads._team.start(release.wait)
    done = []
    threads.run(lambda first, last: done.extend(range(first, last)), 5)
    assert done == [0, 1, 2, 3, 4]
    release.set()
    blocker.result()


def test_blas_gets_its_threads_back():
    threads.set_num_threads(2)
    before = [library.get_num_threads() for library in threads._blas_libraries()]
    with threads.one_blas_thread(), threads.one_blas_thread():
        assert {library.get_num_threads() for library in threads._blas_libraries()} <= {1}
    assert [library.get_num_threads() for library in threads._blas_libraries()] == before


def test_blas_follows_the_number_of_threads(monkeypatch):
    threads.set_num_threads(1)
    assert {library.get_num_threads() for library in threads._blas_libraries()} <= {1}
    monkeypatch.setenv("TINYMED_NUM_THREADS", "2")
    threads._team.resize(2)
    threads.limit_blas()
    assert {library.get_num_threads() for library in threads._blas_libraries()} <= {2}


def _step(seed):
    rng = np.random.default_rng(seed)
    x, kernel = rng.standard_normal((2, 12, 12, 3)), rng.standard_normal((3, 3, 3, 4))
    y, cache = conv2d(x, kernel, padding="same")
    return (max_pool2d(y)[0], *conv2d_backward(y, cache)[:2])


def test_several_python_threads_at_once():
    threads.set_num_threads(2)
    alone = [_step(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(_step, range(12)))
    for a, b in zip(alone, together, strict=True):
        for p, q in zip(a, b, strict=True):
            np.testing.assert_array_equal(p, q)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_starts_anew():
    threads.set_num_threads(2)
    expected = _step(0)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(_step, (0,)).get(timeout=60)
    for p, q in zip(expected, found, strict=True):
        np.testing.assert_array_equal(p, q)
