"""The devices on which tests run, and a stand-in for a GPU that notes whatever crosses between it and the host."""

import contextlib
import functools
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import array_api_strict
import pytest

import tinymed
from tinymed import backend

STANDIN = array_api_strict.Device("device1")
"""A device that is not the host's: NumPy functions and silent copies raise on its arrays."""

DEVICES = [pytest.param("array_api_strict", id="standin"), pytest.param("cupy", marks=pytest.mark.gpu, id="gpu")]
"""For ``@pytest.mark.parametrize("device", DEVICES)``: the stand-in always, CuPy with ``-m gpu``."""

HOST_AND_GPU = ["numpy", DEVICES[-1]]
"""The same for tests that take long on the stand-in and need it less: NumPy always, CuPy with ``-m gpu``."""


def on(device):
    """Return a context in which weights and batches live on a device of :data:`DEVICES`, or on ``"numpy"``."""
    return backend.use_backend(device, STANDIN if device == "array_api_strict" else None)


def is_on(device, array):
    """Tell whether an array lies where :func:`on` puts arrays."""
    if device == "array_api_strict":
        return type(array) is type(array_api_strict.zeros(1)) and backend.device_of(array) == STANDIN
    return type(array).__module__.partition(".")[0] == device


# --- what crosses --------------------------------------------------------------------------------------------------

TO_DEVICE, TO_HOST, WAITS = "to the device", "to the host", "waits"


@dataclass(frozen=True)
class Crossing:
    """A copy between host and device, or a place where the host waits for the device's numbers.

    Attributes:
        kind: ``TO_DEVICE``, ``TO_HOST``, or ``WAITS`` where the shape of a result depends on the numbers.
        how: What was called.
        stack: The functions of tinymed and of the tests that were running, the innermost first: file, line, name.
    """

    kind: str
    how: str
    stack: tuple

    def __str__(self):
        inner = " < ".join(f"{file}:{line} {name}" for file, line, name in self.stack[:3])
        return f"{self.how} ({self.kind}) in {inner}"

    def within(self, *functions):
        """Tell whether it happened inside a function of one of these names."""
        return any(name in functions for _, _, name in self.stack)


_PLACES = (str(Path(tinymed.__file__).parent), str(Path(__file__).parent))
_LIBRARY = "array_api_strict"

_METHODS = {
    **dict.fromkeys(("__bool__", "__int__", "__float__", "__complex__", "__index__"), TO_HOST),
    **dict.fromkeys(("__array__", "__buffer__", "__dlpack__", "__repr__", "to_device"), TO_HOST),
}
_FUNCTIONS = {
    **dict.fromkeys(("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"), WAITS),
    "clip": TO_DEVICE,  # on CuPy array-api-compat brings the limits there, and takes what is under a mask
}


def _stack():
    """Return the running functions of tinymed and the tests; None if the library itself is the caller."""
    frame = sys._getframe(2)
    if frame.f_globals.get("__name__", "").partition(".")[0] == _LIBRARY:
        return None
    found = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_PLACES) and code.co_filename != __file__:
            found.append((Path(code.co_filename).name, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return tuple(found)


@contextlib.contextmanager
def crossings():
    """Lend a list in which everything that crosses is noted as it happens, on arrays of the stand-in."""
    seen = []

    def note(kind, how):
        stack = _stack()
        if stack is not None:
            seen.append(Crossing(kind, how, stack))

    array = type(array_api_strict.zeros(1))

    def method(name, kind):
        original = getattr(array, name)

        @functools.wraps(original)
        def noting(self, *args, **kwargs):
            note(kind, name)
            return original(self, *args, **kwargs)

        return noting

    def function(name, kind):
        original = getattr(array_api_strict, name)

        @functools.wraps(original)
        def noting(*args, **kwargs):
            note(kind, name)
            return original(*args, **kwargs)

        return noting

    make, take = array_api_strict.asarray, array.__getitem__

    @functools.wraps(make)
    def asarray(obj, /, **options):
        if not isinstance(obj, array):
            note(TO_DEVICE, "asarray")
        return make(obj, **options)

    @functools.wraps(take)
    def getitem(self, key):
        if isinstance(key, array) and key.dtype == array_api_strict.bool:
            note(WAITS, "mask as an index")
        return take(self, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_api_strict, "asarray", asarray)
        patch.setattr(array, "__getitem__", getitem)
        for name, kind in _METHODS.items():
            if hasattr(array, name):
                patch.setattr(array, name, method(name, kind))
        for name, kind in _FUNCTIONS.items():
            patch.setattr(array_api_strict, name, function(name, kind))
        yield seen


def none_of(seen):
    """Return no lines if nothing crossed, else one for each place, so that ``assert not none_of(seen)`` names them."""
    return [f"{count} x {crossing}" for crossing, count in Counter(map(str, seen)).items()]
