"""A driver that runs the CUDA kernels on this computer's processor: the same text, compiled by its C++ compiler.

Every launch runs twice, on copies of its arrays: in order, each array's end at a page that nobody may touch; and
backwards (the last block first, the last thread first), each array's beginning at such a page. So an index that leaves
its array is caught on either side, and a result that depends on who comes first shows in the bits.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from tinymed.kernels.gpu.reading import Source

HERE = Path(__file__).parent
CHECKS = ("bounds", "signed-integer-overflow", "float-cast-overflow", "shift")
FLAGS = (
    "-O1",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-U_FORTIFY_SOURCE",
    "-w",
    f"-fsanitize={','.join(CHECKS)}",
    "-fsanitize-undefined-trap-on-error",
)


class KernelError(AssertionError):
    """A kernel did what would be undefined on a GPU, or different from run to run."""


@functools.cache
def compiler() -> str | None:
    """Return the system's C++ compiler; None if there is none, or if the system is not Linux (see ``cuda.h``)."""
    if not sys.platform.startswith("linux"):
        return None
    wanted = os.environ.get("CXX")
    return next((found for name in (wanted, "g++", "c++") if name and (found := shutil.which(name))), None)


class HostDriver:
    """See above; compiled libraries are kept in ``folder``, under names that change with their text.

    Arguments:
        folder: Where libraries are kept.
        ways: In order ("forwards") and "backwards".
    """

    def __init__(self, folder: Path, ways: tuple[str, ...] = ("forwards", "backwards")) -> None:
        self.folder = folder
        self.ways = ways
        self.libraries: dict[tuple[str, tuple[str, ...]], ctypes.CDLL] = {}
        self.launches: Counter[str] = Counter()
        self.largest_grid: dict[str, int] = {}

    def library(self, source: Source, options: tuple[str, ...]) -> ctypes.CDLL:
        """Compile a source, or find it compiled."""
        key = (source.text, options)
        if key not in self.libraries:
            self.libraries[key] = ctypes.CDLL(str(compiled(source, options, self.folder)))
            self.libraries[key].run_grid.restype = ctypes.c_char_p
            self.libraries[key].guarded_copy.restype = ctypes.c_void_p
        return self.libraries[key]

    def empty(self, shape, dtype, like):
        """Return an array that no result can be made of: NaN everywhere, -1 in whole numbers."""
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = 0xFF
        return array

    def launch(self, source, kernel, options, grid, block, arguments, shared_bytes):
        """Run a kernel twice on copies, compare, and write what it wrote into the arrays."""
        self.launches[kernel] += 1
        self.largest_grid[kernel] = max(self.largest_grid.get(kernel, 0), int(np.prod(grid)))
        library = self.library(source, options)
        results = [
            _run(library, source, kernel, grid, block, arguments, shared_bytes, way == "backwards") for way in self.ways
        ]
        for place, array in results[0].items():
            if any(array.tobytes() != other[place].tobytes() for other in results[1:]):
                raise KernelError(f"{kernel}: another order of blocks and threads gave other bits: a race")
            where, which = place
            target = arguments[where] if which is None else arguments[where][which]
            target[...] = array


def _run(library, source, kernel, grid, block, arguments, shared_bytes, backwards):
    """Run the kernel on copies; return those that it may have written, by (number of argument, number in its list)."""
    parameters = source.kernels[kernel]
    copies, spans, written, values, names = {}, [], {}, [], []

    def copy(array, parameter, place):
        first = array.ctypes.data
        if (first, array.nbytes) not in copies:
            for start, end in spans:
                if first < end and start < first + array.nbytes:
                    raise KernelError(f"{kernel}: {parameter.name} overlaps another argument")
            spans.append((first, first + array.nbytes))
            only_read = parameter.constant and not any(
                other is array and not p.constant for other, p in zip(arguments, parameters, strict=True)
            )
            address = library.guarded_copy(
                ctypes.c_void_p(first), ctypes.c_size_t(array.nbytes), int(not backwards), int(only_read)
            )
            if not address:
                raise MemoryError(f"{kernel}: no memory for a copy of {parameter.name}")
            copies[first, array.nbytes] = address
            names.append(parameter.name)
        address = copies[first, array.nbytes]
        if not parameter.constant:
            written[place] = (address, array)
        return address

    try:
        for number, (parameter, value) in enumerate(zip(parameters, arguments, strict=True)):
            if isinstance(value, list):
                addresses = [copy(array, parameter, (number, which)) for which, array in enumerate(value)]
                values.append(np.array([*addresses, *[0] * (32 - len(addresses))], np.uint64))
            elif parameter.pointer:
                values.append(np.array([0 if value is None else copy(value, parameter, (number, None))], np.uint64))
            else:
                values.append(np.atleast_1d(np.asarray(value)))
        pointers = (ctypes.c_void_p * max(len(values), 1))(*[v.ctypes.data for v in values])
        found = library.run_grid(
            ctypes.cast(getattr(library, f"call_{kernel}"), ctypes.c_void_p),
            pointers,
            (ctypes.c_uint * 3)(*grid),
            (ctypes.c_uint * 3)(*block),
            ctypes.c_size_t(shared_bytes),
            int(backwards),
        )
        if found:
            named = dict(enumerate([*names, "the shared memory"]))
            what = re.sub(r"buffer (\d+)", lambda number: named[int(number[1])], found.decode())
            raise KernelError(f"{kernel}: {what} (grid {grid}, block {block})")
        results = {}
        for place, (address, array) in written.items():
            results[place] = np.empty_like(array)
            ctypes.memmove(results[place].ctypes.data, address, array.nbytes)
        return results
    finally:
        library.forget_copies()


def compiled(source: Source, options: tuple[str, ...], folder: Path) -> Path:
    """Return the library made of a source; it is compiled unless the folder has it.

    Raises:
        KernelError: With what the compiler says, if it refuses the source.
    """
    text = f'#include "cuda.h"\n{source.text}\n{_callers(source)}'
    header = (HERE / "cuda.h").read_text()
    key = hashlib.sha256(repr((text, header, options, FLAGS, compiler())).encode()).hexdigest()[:16]
    library = folder / f"{source.name}-{key}.so"
    if not library.exists():
        written = folder / f"{source.name}-{key}-{os.getpid()}.cpp"
        written.write_text(text)
        made = written.with_suffix(".so")
        command = [compiler(), *options, *FLAGS, f"-I{HERE}", str(written), "-o", str(made)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise KernelError(f"{source.name}: {' '.join(command)}\n{result.stderr}")
        made.replace(library)
        written.unlink()
    return library


def _callers(source: Source) -> str:
    """Write, for each kernel, a function that takes its arguments as CUDA does: an array of their addresses."""
    lines = []
    for kernel, parameters in source.kernels.items():
        values = []
        for i, p in enumerate(parameters):
            kind = f"{'const ' * p.constant}{p.type}{'*' * p.pointer}"
            values.append(f"*static_cast<{kind}*>(values[{i}])")
        lines.append(f"EXPORTED void call_{kernel}(void** values) {{ {kernel}({', '.join(values)}); }}")
    return "\n".join(lines)
