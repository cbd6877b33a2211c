"""Reading the CUDA sources: their text, and what their kernels' signatures say of each argument."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = Path(__file__).parent / "sources"

TYPES = {
    "REAL": None,
    "float": np.float32,
    "double": np.float64,
    "bool": np.bool_,
    "unsigned char": np.uint8,
    "int": np.int32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "INDEX": None,
}
"""dtypes by their names in C; those of REAL and INDEX are known at the launch."""

LISTS = ("Arrays", "Inputs")
"""Structures of several arrays, which are written, or only read."""

ARRAYS = 32
"""How many arrays a list of arrays, an argument of type ``Arrays`` or ``Inputs``, has room for."""

STRUCTURES = {
    "Windows": np.dtype([("numbers", np.int32, 19)]),
    "Shape": np.dtype([("numbers", np.int64, 8)]),
    "Ends": np.dtype([("numbers", np.int64, ARRAYS)]),
}
"""Structures of the prelude, which go to a kernel by value: nothing but whole numbers of one kind."""

_KERNEL = re.compile(r"^KERNEL\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)", re.MULTILINE)
_PARAMETER = re.compile(r"^(const )?([\w ]+?)\s*(\*?)\s*(?:__restrict__ )?(\w+)$")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    Arguments:
        name: Its name.
        type: ``"REAL"``, ``"int"`` ..., or the name of a structure of the prelude, which goes by value.
        pointer: Whether it is the address of an array.
        constant: Whether the kernel only reads the array, or the arrays of a list.
    """

    name: str
    type: str
    pointer: bool
    constant: bool

    @functools.cached_property
    def arrays(self) -> bool:
        """Whether arrays are given for it: one, or a list."""
        return self.pointer or self.type in LISTS

    @functools.cached_property
    def dtype(self) -> np.dtype | None:
        """The dtype of what is given, None where that is REAL, INDEX or a structure."""
        kind = TYPES.get(self.type)
        return None if kind is None else np.dtype(kind)

    def convert(self, value: Any, real: np.dtype, wide: bool) -> Any:
        """Return ``value`` as a driver takes it: arrays as they are, numbers and structures as the kernel has them."""
        if self.arrays:
            return value
        if self.dtype is not None:
            return self.dtype.type(value)
        if self.type == "REAL":
            return real.type(value)
        if self.type == "INDEX":
            return np.int64(value) if wide else np.int32(value)
        return structure(self.type, tuple(value))


@dataclass(frozen=True)
class Source:
    """A file of kernels: its name, its text behind the prelude's, and the parameters of each kernel."""

    name: str
    text: str
    kernels: dict[str, tuple[Parameter, ...]]

    def __hash__(self) -> int:
        return hash(self.name)


KERNELS: dict[str, Source] = {}
"""The sources that are loaded, by the names of their kernels."""


@functools.cache
def load(name: str) -> Source:
    """Read ``sources/<name>.cu``; :func:`tinymed.kernels.gpu.launching.launch` knows its kernels from then on."""
    source = read(SOURCES / f"{name}.cu")
    for kernel in source.kernels:
        if kernel in KERNELS:
            raise ValueError(f"{name}.cu and {KERNELS[kernel].name}.cu both have a kernel {kernel}; rename one")
        KERNELS[kernel] = source
    return source


def read(path: Path) -> Source:
    """Read a file of kernels, without making them known to :func:`tinymed.kernels.gpu.launching.launch`."""
    text = _with_includes(path.read_text(encoding="utf-8"), path.name)
    kernels = {
        kernel: tuple(_parameter(path.name, kernel, part) for part in signature.split(",") if part.strip())
        for kernel, signature in _KERNEL.findall(_without_comments(text))
    }
    return Source(path.stem, f"{_numbered('prelude.cuh')}\n{text}", kernels)


def _numbered(header: str) -> str:
    return f'#line 1 "{header}"\n' + (SOURCES / header).read_text(encoding="utf-8")


def _with_includes(text: str, name: str) -> str:
    """Put the headers that a source includes into it: what is compiled is one text, wherever that happens."""
    lines = [f'#line 1 "{name}"']
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.fullmatch(r'#include "(\w+\.cuh)"', line.strip())
        lines += [_numbered(header[1]), f'#line {number + 1} "{name}"'] if header else [line]
    return "\n".join(lines) + "\n"


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _parameter(file: str, kernel: str, text: str) -> Parameter:
    found = _PARAMETER.match(" ".join(text.split()))
    if not found:
        raise ValueError(f"{file}: cannot read the parameter {text.strip()!r} of {kernel}")
    constant, kind, star, name = found.groups()
    if star and kind not in TYPES:
        raise ValueError(f"{file}: {kernel} takes {name} of type {kind} *, which no array has")
    return Parameter(name, kind, bool(star), bool(constant) or kind == "Inputs")


@functools.lru_cache(maxsize=4096)
def structure(name: str, numbers: tuple[int, ...]) -> np.ndarray:
    """Return a structure of the prelude as an array of size one; numbers left out are zero."""
    dtype = STRUCTURES[name]
    kind, (room,) = dtype["numbers"].base, dtype["numbers"].shape
    if len(numbers) > room or any(abs(n) > np.iinfo(kind).max for n in numbers):
        raise ValueError(f"{name} has room for {room} numbers of type {kind} but got {numbers}")
    filled = np.zeros(1, dtype)
    filled["numbers"][0, : len(numbers)] = numbers
    return filled
