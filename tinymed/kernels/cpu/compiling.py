"""How the kernels are compiled: once, without Python's lock, kept on disk, and saying so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` at its first call; from then on load it from disk.

    The compiled code lies in ``__pycache__`` beside the source, else in the user's cache folder (or where
    ``NUMBA_CACHE_DIR`` says). Where none of them can be written to, every process compiles for itself.
    A kernel and the functions that it calls belong into one file: the file's contents decide whether the
    compiled code is still up to date.
    """
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except (RuntimeError, OSError):  # no folder to keep the compiled code in
        return numba.njit(**_OPTIONS)(function)


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
