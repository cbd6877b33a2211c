"""How the kernels are compiled: once, without Python's lock, kept on disk, and saying so."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import event

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` at its first call; from then on load it from disk.

    The compiled code lies in ``__pycache__`` beside the source, else in the user's cache folder (or where
    ``NUMBA_CACHE_DIR`` says). Where none of them can be written to, every process compiles for itself.
    A kernel and the functions that it calls belong into one file: the file's contents decide whether the
    compiled code is still up to date. Where they do not fit into one, see :func:`contains`.
    """
    try:
        return _for_any_number(numba.njit(cache=True, **_OPTIONS)(function))
    except (RuntimeError, OSError):  # no folder to keep the compiled code in
        return _for_any_number(numba.njit(**_OPTIONS)(function))


def _for_any_number(kernel: Any) -> Any:
    """Keep Numba from compiling a function once more for each number that a kernel calls it with as a literal."""
    of_types = getattr(kernel, "get_call_template", None)  # what kernels ask; a plain function if Numba is switched off
    if of_types is not None:
        kernel.get_call_template = lambda args, kws: of_types(tuple(map(types.unliteral, args)), kws)
    return kernel


def contains(function: Any, *files: str) -> None:
    """Say that the kernels beside ``function`` contain functions of other ``files``.

    Numba looks at the one file where a kernel stands. Here a mark beside its compiled code says what the others were
    like; where there is no such mark, all compiled code of the kernel's file is forgotten.
    """
    folder = getattr(function.stats, "cache_path", None) if hasattr(function, "stats") else None
    if folder is None:
        return
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]
    stem = function.py_func.__module__.rpartition(".")[2]
    mark = Path(folder, f"{stem}.{digest}.contains")
    if not mark.exists():
        with contextlib.suppress(OSError):
            for outdated in (*Path(folder).glob(f"{stem}.*.contains"), *Path(folder).glob(f"{stem}.*.nbi")):
                outdated.unlink(missing_ok=True)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


class _Announcer(event.Listener):
    """Prints one line when the first kernel of this package is compiled; loading from disk is silent."""

    done = False

    def on_start(self, event: Any) -> None:
        function = getattr(event.data["dispatcher"], "py_func", None)
        if not self.done and str(getattr(function, "__module__", "")).startswith("tinymed."):
            self.done = True
            print("tinymed: compiling its kernels for this processor (once; some seconds)", file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Announcer())
