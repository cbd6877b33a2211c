"""Who computes: the one place that decides how many threads there are, and whose.

Numba's own threads are not used. Its OpenMP layer and the threads of OpenBLAS, used in turn, starve each other (a
training step can become twenty times slower), and its workqueue layer ends the process when two Python threads enter
it at once. Here kernels are compiled without Python's lock and run by a pool of ordinary Python threads, which any
number of callers may share; matrix products inside a kernel use one BLAS thread each.

``TINYMED_NUM_THREADS`` says how many threads compute, for kernels and for BLAS together (default: physical cores).
A caller never waits for a helper that has not begun: on a busy machine it does the work itself.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

_CHUNKS_PER_THREAD = 4  # so that a thread that is held up leaves work to the others


def physical_cores() -> int:
    """Return the number of physical cores that this process may use (at least 1)."""
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
    else:
        allowed = set(range(os.cpu_count() or 1))
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return max(len(cores), 1)


def default_threads() -> int:
    """Return what the environment asks for: ``TINYMED_NUM_THREADS``, else the physical cores or fewer.

    Fewer where a parallel runner has divided them already: joblib's workers are told by ``OMP_NUM_THREADS`` and its
    relatives, those of pytest-xdist by their own number.

    Raises:
        ValueError: If ``TINYMED_NUM_THREADS`` is no positive whole number.
    """
    wanted = os.environ.get("TINYMED_NUM_THREADS", "").strip()
    if wanted:
        if not wanted.isdigit() or int(wanted) < 1:
            raise ValueError(f"TINYMED_NUM_THREADS must be a positive whole number, got {wanted!r}")
        return int(wanted)
    limit = physical_cores()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        value = os.environ.get(name, "").strip()
        if value.isdigit() and int(value) >= 1:
            limit = min(limit, int(value))
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "")
    return max(limit // int(workers), 1) if workers.isdigit() and int(workers) > 1 else limit


class _Team:
    """The helpers of this process, and how many threads there are with the caller."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.pool: ThreadPoolExecutor | None = None
        self.lock = threading.Lock()

    def size(self) -> int:
        if self.count is None:
            self.count = default_threads()
        return self.count

    def resize(self, count: int) -> None:
        with self.lock:
            former, self.pool, self.count = self.pool, None, count
        if former is not None:
            former.shutdown(wait=False)

    def start(self, work: Callable[[], None]) -> Future[None]:
        with self.lock:
            if self.pool is None:
                self.pool = ThreadPoolExecutor(max(self.size() - 1, 1), thread_name_prefix="tinymed")
            return self.pool.submit(work)


_team = _Team()


def _after_fork() -> None:
    """Start anew in a forked child: its parent's threads and locks are not there."""
    global _team, _blas
    count = _team.count
    _team, _blas = _Team(), _BlasLimit()
    _team.count = count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def num_threads() -> int:
    """Return how many threads compute."""
    return _team.size()


def set_num_threads(count: int) -> None:
    """Let ``count`` threads compute from now on, in kernels and in BLAS. Results do not depend on it, bit for bit."""
    if isinstance(count, bool) or int(count) != count or count < 1:
        raise ValueError(f"the number of threads is a positive whole number, got {count!r}")
    _team.resize(int(count))
    for library in _blas_libraries():
        library.set_num_threads(int(count))


def limit_blas() -> None:
    """Give BLAS the same number of threads; without ``TINYMED_NUM_THREADS`` it never gets more than it had."""
    asked = bool(os.environ.get("TINYMED_NUM_THREADS", "").strip())
    for library in _blas_libraries():
        if asked or library.get_num_threads() > num_threads():
            library.set_num_threads(num_threads())


def run(body: Callable[..., Any], count: int, *arguments: Any) -> None:
    """Call ``body(first, last, *arguments)`` for consecutive ranges that together cover ``range(count)``.

    The ranges run on several threads, in any order: ``body`` must write only what belongs to its range, and the
    result for one index must not depend on where its range begins.
    """
    threads = min(num_threads(), count)
    if threads <= 1:
        if count > 0:
            body(0, count, *arguments)
        return
    step = -(-count // (threads * _CHUNKS_PER_THREAD))
    turns = itertools.count()

    def work() -> None:
        while (first := next(turns) * step) < count:
            body(first, min(first + step, count), *arguments)

    helpers = [_team.start(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()


class _BlasLimit:
    """Holds BLAS at one thread while any kernel runs, then gives back what it had."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before: list[int] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.users == 0:
                self.before = [library.get_num_threads() for library in _blas_libraries()]
                for library in _blas_libraries():
                    library.set_num_threads(1)
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                for library, count in zip(_blas_libraries(), self.before, strict=True):
                    library.set_num_threads(count)


_blas = _BlasLimit()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every matrix product of this ``with`` block use one thread: the block brings its own.

    The threads that a BLAS library starts wait in a busy loop for their next product and keep the processor from
    everybody else meanwhile. So products are shared out with :func:`run`, and BLAS is never asked for threads.
    """
    with _blas:
        yield


@functools.cache
def _blas_libraries() -> list[Any]:
    """Return handles of the BLAS libraries in this process: NumPy's, and SciPy's, which Numba calls."""
    from threadpoolctl import ThreadpoolController

    importlib.import_module("scipy.linalg.cython_blas")  # or Numba would load it later
    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
