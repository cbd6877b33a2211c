"""What stands for CUDA graphs on a computer without a GPU: array operations recorded one by one, and done again.

Arrays are array-api-strict's, on a device that is not the host's. Between the beginning and the end of a recording
every function of the library and every operator is noted, with the arrays it read and those it wrote. As on a GPU,

* nothing has happened when a recording ends: what was written in place is put back, and what was made holds garbage;
* a replay does the noted operations again, with the arrays and the Python numbers of the recording: it sees a new
  value only where somebody has put it into one of those arrays;
* what a recording made is its own: after each replay it holds garbage again, so whoever keeps such an array instead of
  a copy reads garbage;
* whoever reads a value on the host during a recording, or brings one from there, gets an error.
"""

import contextlib
import functools
import types

import array_api_strict
import numpy as np
import pytest

ARRAY = type(array_api_strict.zeros(1))
READS = ("__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__", "__buffer__", "__dlpack__")
OPERATORS = [
    f"__{prefix}{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
        "matmul",
    )
    for prefix in ("", "r", "i")
] + ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__neg__", "__pos__", "__abs__", "__invert__"]


class CaptureError(RuntimeError):
    """What CUDA calls 'operation not permitted when stream is capturing'."""


def arrays_in(x):
    """Yield the arrays among arguments or results."""
    if isinstance(x, ARRAY):
        yield x
    elif isinstance(x, list | tuple):
        for item in x:
            yield from arrays_in(item)
    elif isinstance(x, dict):
        yield from arrays_in(list(x.values()))


def owner(x):
    """Return the NumPy array whose memory an array shows."""
    base = x._array
    while base.base is not None:
        base = base.base
    return base


def spoil(memory):
    """Fill memory with garbage."""
    if memory.dtype.kind in "fc":
        memory.fill(np.nan)
    elif memory.dtype.kind in "iu":
        memory.fill(113)
    else:
        memory.fill(True)


class Recording:
    """One recording."""

    def __init__(self):
        self.operations = []  # each does one operation again
        self.made = []  # memory that belongs to the recording
        self.before = {}  # memory that was written in place: what was there
        self.depth = 0

    def note(self, function, args, kwargs, in_place=None):
        """Do an operation and note it; ``in_place`` is the array that it writes."""
        if self.depth:  # one operation of the library calls another
            return function(*args, **kwargs)
        args = tuple(list(a) if isinstance(a, list) else a for a in args)
        given = [owner(a) for a in (*arrays_in(args), *arrays_in(kwargs))]
        if in_place is not None and all(owner(in_place) is not memory for memory in self.made):
            self.before.setdefault(id(owner(in_place)), (owner(in_place), owner(in_place).copy()))
        self.depth += 1
        try:
            result = function(*args, **kwargs)
        finally:
            self.depth -= 1
        results = list(arrays_in(result))
        if in_place is not None:
            self.operations.append(lambda: function(*args, **kwargs))
        elif results and not any(owner(r) is memory for r in results for memory in given):  # a view is no operation

            def again():
                for old, new in zip(results, arrays_in(function(*args, **kwargs)), strict=True):
                    old._array[...] = new._array

            self.operations.append(again)
            self.made += [owner(r) for r in results]
        return result

    def end(self):
        """Undo everything."""
        for memory, values in self.before.values():
            memory[...] = values
        self.spoil()

    def spoil(self):
        for memory in self.made:
            spoil(memory)


class StandinGraphs:
    """The same methods as CudaGraphs."""

    def __init__(self):
        self.recordings, self.replays = [], 0

    def write(self, place, host):
        """Copy to the device."""
        place._array[...] = host

    def capture(self, body):
        """Record what ``body`` does."""
        recording = Recording()
        with noting(recording):
            body()
        recording.end()
        self.recordings.append(recording)

        def replay():
            recording.spoil()
            for operation in recording.operations:
                operation()
            self.replays += 1
            # Garbage again: only what was copied to arrays from before the recording is left.
            recording.spoil()

        return replay


@contextlib.contextmanager
def noting(recording):
    """Note every operation of array-api-strict inside the ``with`` block."""

    def function(original):
        @functools.wraps(original)
        def noted(*args, **kwargs):
            return recording.note(original, args, kwargs)

        return noted

    def operator(original, in_place):
        @functools.wraps(original)
        def noted(self, *args):
            return recording.note(original, (self, *args), {}, self if in_place else None)

        return noted

    def refused(name):
        def refuse(self, *args, **kwargs):
            if recording.depth:
                return getattr(self._array, name)(*args, **kwargs)
            raise CaptureError(f"{name}: operation not permitted when stream is capturing")

        return refuse

    make = array_api_strict.asarray

    def asarray(obj, /, **options):
        if not isinstance(obj, ARRAY) and not recording.depth:
            raise CaptureError("asarray: copies from the host are not permitted when stream is capturing")
        return recording.note(make, (obj,), options)

    with pytest.MonkeyPatch.context() as patch:
        for name in array_api_strict.__all__:
            original = getattr(array_api_strict, name)
            if isinstance(original, types.FunctionType):
                patch.setattr(array_api_strict, name, function(original))
        patch.setattr(array_api_strict, "asarray", asarray)
        for name in (*OPERATORS, "__getitem__", "__setitem__", "to_device"):
            in_place = name == "__setitem__" or (name.startswith("__i") and name != "__invert__")
            if hasattr(ARRAY, name):
                patch.setattr(ARRAY, name, operator(getattr(ARRAY, name), in_place))
        for name in READS:
            if hasattr(ARRAY, name):
                patch.setattr(ARRAY, name, refused(name))
        yield
