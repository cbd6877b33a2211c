"""What stands between CuPy and a GPU on this machine, and the line that mends it (floor 0).

``import cupy`` succeeds on a machine without a driver, and the first array then fails with words that name neither the
cause nor the cure. So NVIDIA's driver is asked directly, the installed wheels are listed, and only then is CuPy tried:

>>> Trouble("the driver sees no NVIDIA card", "look at nvidia-smi").line()
'the driver sees no NVIDIA card; to mend it: look at nvidia-smi'
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WHEELS = {12: "cupy-cuda12x[ctk]>=14", 13: "cupy-cuda13x[ctk]>=14"}
"""What pip is to install, by the major version of CUDA; ``[ctk]`` brings CUDA's compiler, headers and cuBLAS along."""

_LIBRARIES = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1")
_NO_CARD, _STUB, _MISMATCH = 100, 34, 803
_MAJOR, _MINOR = 75, 76  # the driver's numbers for the two parts of the compute capability


@dataclass(frozen=True)
class Card:
    """A GPU: its name, its memory in bytes, and its compute capability."""

    name: str
    memory: int
    capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name}, {self.memory / 2**30:.0f} GB, compute capability {'.'.join(map(str, self.capability))}"


@dataclass(frozen=True)
class Driver:
    """What NVIDIA's driver says of itself.

    Attributes:
        cuda: The newest CUDA version that it runs.
        release: Its own version, where the system tells.
        cards: The cards that this process may use.
        error: The number of the error with which it refuses to start, 0 if it does not.
        words: The same in words.
    """

    cuda: tuple[int, int] = (0, 0)
    release: str = ""
    cards: tuple[Card, ...] = ()
    error: int = 0
    words: str = ""

    def __str__(self) -> str:
        release = f"{self.release}, " if self.release else ""
        return f"{release}runs CUDA up to {_dotted(self.cuda)}"


@dataclass(frozen=True)
class Trouble:
    """Why CuPy cannot run, and what to do about it."""

    reason: str
    remedy: str

    def line(self) -> str:
        """Return both as one line."""
        return f"{self.reason}; to mend it: {self.remedy}"


@dataclass(frozen=True)
class Facts:
    """All that :func:`trouble` looks at.

    Attributes:
        driver: The driver, None where there is none.
        wheels: Installed distributions of CuPy, with their versions.
        failure: What went wrong when CuPy was imported or asked to compute, empty if nothing did.
        visible: The environment variable ``CUDA_VISIBLE_DEVICES``, None if it is not set.
        system: ``sys.platform``.
    """

    driver: Driver | None
    wheels: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    visible: str | None = None
    system: str = sys.platform


# --- asking --------------------------------------------------------------------------------------------------------


def facts(failure: str | None = None) -> Facts:
    """Collect the facts; ``failure`` spares trying CuPy where it has just failed."""
    found = driver()
    if failure is None:
        failure = probe() if found is not None and not found.error and wheels() else ""
    return Facts(found, wheels(), failure, os.environ.get("CUDA_VISIBLE_DEVICES"))


def driver(load: Callable[[str], Any] = ctypes.CDLL) -> Driver | None:
    """Ask NVIDIA's driver for its version and its cards; None if there is no driver."""
    for name in _LIBRARIES:
        try:
            library = load(name)
        except OSError:
            continue
        break
    else:
        return None
    version = ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = (version.value // 1000, version.value % 1000 // 10)
    error = int(library.cuInit(0))
    if error:
        return Driver(cuda, _release(), error=error, words=_words(library, error))
    count = ctypes.c_int(0)
    library.cuDeviceGetCount(ctypes.byref(count))
    return Driver(cuda, _release(), tuple(_card(library, number) for number in range(count.value)))


def _card(library: Any, number: int) -> Card:
    device, memory, name = ctypes.c_int(0), ctypes.c_size_t(0), ctypes.create_string_buffer(256)
    library.cuDeviceGet(ctypes.byref(device), number)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    capability = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int(0)
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(value.value)
    return Card(name.value.decode(errors="replace"), memory.value, (capability[0], capability[1]))


def _words(library: Any, error: int) -> str:
    text = ctypes.c_char_p()
    library.cuGetErrorString(error, ctypes.byref(text))
    return (text.value or b"unknown error").decode(errors="replace")


def _release() -> str:
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return ""


def wheels() -> dict[str, str]:
    """Return the installed distributions of CuPy, with their versions; more than one get in each other's way."""
    named = ((str(found.metadata["Name"] or ""), found.version) for found in importlib.metadata.distributions())
    return {
        name: version for name, version in sorted(named) if re.fullmatch(r"cupy(-cuda\w+|-rocm[\w-]+|-core)?", name)
    }


def parts() -> dict[str, str]:
    """Return the wheels that bring parts of CUDA (its compiler, headers, cuBLAS ...), with their versions."""
    names = {str(found.metadata["Name"] or ""): found.version for found in importlib.metadata.distributions()}
    return {name: names[name] for name in sorted(names) if re.match(r"nvidia-(cu|nv)|cuda-toolkit", name)}


def runtime() -> str:
    """Return the version of the CUDA runtime that CuPy was built with, empty without CuPy."""
    try:
        version = int(importlib.import_module("cupy_backends.cuda.api.runtime").runtimeGetVersion())
    except Exception:  # whatever keeps CuPy from being loaded, there is none
        return ""
    return _dotted((version // 1000, version % 1000 // 10))


def compiler() -> str:
    """Return the version of the compiler that CuPy finds for its kernels (NVRTC), empty if it finds none."""
    try:
        nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        return _dotted(nvrtc.getVersion())
    except Exception:  # whatever keeps CuPy or the compiler from being loaded, there is none
        return ""


def probe() -> str:
    """Let CuPy compile a kernel, multiply two matrices and copy the result; return what went wrong, or nothing."""
    try:
        cupy = importlib.import_module("cupy")
        x = cupy.ones((2, 2), dtype="float32")
        right = float((x @ x + x).sum()) == 12
    except Exception as error:  # CuPy's errors have no common class, and a broken installation has any
        return f"{type(error).__name__}: {error}"
    return "" if right else "a sum of ones came out wrong"


# --- judging -------------------------------------------------------------------------------------------------------


def require() -> None:
    """Raise ValueError, with reason and remedy, unless CuPy can compute here."""
    global _computes
    if _computes:
        return
    failure = probe()
    if failure:
        found = trouble(facts(failure)) or Trouble(f"it fails with {failure}", "see `tinymed doctor`")
        raise ValueError(f"backend 'cupy' cannot run here: {found.line()}")
    _computes = True


_computes = False
"""Whether CuPy has computed something in this process."""


def trouble(known: Facts) -> Trouble | None:
    """Return what keeps CuPy from computing, the first thing to mend, or None if it can."""
    if known.system == "darwin":
        return Trouble("there is no CUDA for macOS", "use the backend numpy, or a machine with an NVIDIA card")
    for judge in (_of_driver, _of_wheels, _of_versions):
        found = judge(known)
        if found is not None:
            return found
    return _of_failure(known) if known.failure else None


def _of_driver(known: Facts) -> Trouble | None:
    if known.driver is None:
        then = "" if known.wheels else f", and then: {pip('install', WHEELS[12])} (cuda13x for a driver of CUDA 13)"
        return Trouble(
            f"no NVIDIA driver is installed ({_LIBRARIES[0]} is not found)",
            "on a machine with an NVIDIA card install its driver, https://www.nvidia.com/drivers (a container gets it "
            f"with --gpus all); pip cannot bring it{then}",
        )
    if known.driver.error == _NO_CARD or not (known.driver.error or known.driver.cards):
        if known.visible is not None:
            return Trouble(f"CUDA_VISIBLE_DEVICES={known.visible!r} hides every card", "unset CUDA_VISIBLE_DEVICES")
        return Trouble("the driver sees no NVIDIA card", "see whether `nvidia-smi` lists one")
    if known.driver.error == _STUB:
        return Trouble(
            f"{_LIBRARIES[0]} is the toolkit's stub, not the driver", "take its folder out of LD_LIBRARY_PATH"
        )
    if known.driver.error == _MISMATCH:
        return Trouble("the driver was updated but the old one is still loaded", "restart the machine")
    if known.driver.error:
        return Trouble(f"the driver does not start: {known.driver.words} ({known.driver.error})", "see `nvidia-smi`")
    if known.driver.cuda < (12, 0):
        return Trouble(
            f"the driver is too old: it runs CUDA up to {_dotted(known.driver.cuda)}, CuPy needs 12.0",
            "install a newer driver, https://www.nvidia.com/drivers",
        )
    return None


def _of_wheels(known: Facts) -> Trouble | None:
    right = _wheel_for(known.driver)
    if not known.wheels:
        return Trouble("CuPy is not installed", pip("install", right))
    if len(known.wheels) > 1:
        return Trouble(
            f"{len(known.wheels)} CuPy wheels are installed over each other: {', '.join(known.wheels)}",
            f"{pip('uninstall', '-y', *known.wheels)} && {pip('install', right)}",
        )
    return None


def _of_versions(known: Facts) -> Trouble | None:
    """Tell whether the wheel fits driver and cards: a driver runs the CUDA versions before its own, not later ones."""
    (name,) = known.wheels
    major = _cuda_of(name)
    if major is None or known.driver is None:
        return None
    swap = f"{pip('uninstall', '-y', name)} && {pip('install', _wheel_for(known.driver))}"
    if major > known.driver.cuda[0]:
        return Trouble(f"{name} needs a driver of CUDA {major}, this one runs up to {_dotted(known.driver.cuda)}", swap)
    if major < min(WHEELS):
        return Trouble(f"{name} {known.wheels[name]} is too old", swap)
    old = [card for card in known.driver.cards if card.capability < (7, 5)]
    if major >= 13 and len(old) == len(known.driver.cards):
        return Trouble(f"CUDA {major} no longer supports the card: {old[0]}", swap)
    return None


_TOOLKIT = re.compile(r"nvrtc|cannot open source file|headers|cublas|libcud|CUDA_PATH|cuda-pathfinder|DynamicLib", re.I)


def _of_failure(known: Facts) -> Trouble:
    wheel = next(iter(known.wheels))
    right = WHEELS.get(_cuda_of(wheel) or 0, _wheel_for(known.driver))
    if known.failure.startswith(("ImportError", "ModuleNotFoundError")) or _TOOLKIT.search(known.failure):
        what = "a part of CUDA that CuPy needs (its compiler NVRTC, its headers, cuBLAS) is missing or broken"
        return Trouble(f"{what}: {known.failure}", pip("install", "--upgrade", right))
    return Trouble(f"CuPy fails: {known.failure}", "python -c 'import cupy; cupy.show_config()' tells what it finds")


def _wheel_for(found: Driver | None) -> str:
    """Return the wheel for a driver and its cards: the newest CUDA that both know."""
    if found is None or found.cuda[0] < 13:
        return WHEELS[12]
    return WHEELS[13 if any(card.capability >= (7, 5) for card in found.cards) or not found.cards else 12]


def _cuda_of(wheel: str) -> int | None:
    """Return the major version of CUDA of a wheel.

    >>> _cuda_of("cupy-cuda12x"), _cuda_of("cupy-cuda112"), _cuda_of("cupy")
    (12, 11, None)
    """
    found = re.fullmatch(r"cupy-cuda(\d\d)\w*", wheel)
    return int(found.group(1)) if found else None


def pip(*arguments: str) -> str:
    """Return the line that lets the running Python's pip do something."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return " ".join([str(python), "-m pip", *(_quoted(argument) for argument in arguments)])


def _quoted(argument: str) -> str:
    return argument if shlex.quote(argument) == argument else f'"{argument}"'


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version[:2]))
