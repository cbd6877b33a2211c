"""What is installed, what computes here, why the GPU does not if it does not, and the line that mends it (floor 6).

tinymed.doctor()          # or, at the command line: tinymed doctor
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed import cuda

GOOD, ABSENT, BAD = "good", "absent", "bad"

_MARKS = {GOOD: "[green]✓[/]", ABSENT: "[dim]–[/]", BAD: "[red]✗[/]"}
_CORE = ("numpy", "numba", "scipy", "array-api-compat", "matplotlib")
_READERS = {"pydicom": "DICOM", "nibabel": "NIfTI", "SimpleITK": "MetaImage and more", "wfdb": "PhysioNet's records"}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        part: Which part of the report it belongs to.
        what: What was looked for.
        text: What was found.
        state: ``GOOD``, ``ABSENT`` (nothing needs it) or ``BAD``.
        remedy: What to do about it, empty if nothing.
    """

    part: str
    what: str
    text: str
    state: str = GOOD
    remedy: str = ""


def doctor(console: Any = None) -> bool:
    """Print what is installed and what can compute here, and how to mend what cannot.

    Args:
        console: A Rich console to print on; standard output if omitted.

    Returns:
        Whether the chosen backend (``TINYMED_BACKEND``, or NumPy) can compute.
    """
    if console is None:
        from rich.console import Console

        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 120
    found = list(findings())
    for line in _printed(found):
        console.print(line)
    return not any(finding.state == BAD for finding in found)


def findings(known: cuda.Facts | None = None) -> Iterator[Finding]:
    """Yield the lines of the report.

    Args:
        known: What is known of the GPU; asked if omitted.
    """
    yield from _machine()
    yield from _packages()
    yield from _processor()
    yield from _card(known or cuda.facts())
    yield from _readers()
    yield _backend()


# --- the parts -----------------------------------------------------------------------------------------------------


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "system", platform.platform(terse=True))
    yield Finding("machine", "processor", f"{_processor_name()}, {_cores()}, {_memory()}")
    python = f"{platform.python_version()} in {sys.prefix}"
    yield Finding("machine", "Python", python)


def _packages() -> Iterator[Finding]:
    from tinymed import __version__

    yield Finding("packages", "tinymed", f"{__version__} in {Path(__file__).parent}")
    for name in _CORE:
        version = _version(name)
        if version:
            yield Finding("packages", name, version)
        else:
            yield Finding("packages", name, "not installed", BAD, cuda.pip("install", name))


def _processor() -> Iterator[Finding]:
    from tinymed.kernels.cpu.threads import default_threads

    part = "on the processor"
    source = "TINYMED_NUM_THREADS" if os.environ.get("TINYMED_NUM_THREADS") else "physical cores"
    yield Finding(part, "threads", f"{default_threads()} ({source})")
    yield Finding(part, "matrix products", _blas())
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        remedy = "unset NUMBA_DISABLE_JIT"
        yield Finding(part, "kernels", "not compiled: NUMBA_DISABLE_JIT is set, everything is slow", ABSENT, remedy)
        return
    folder, count = _kernel_cache()
    if folder is None:
        text = "compiled anew in every process: no folder to keep them in can be written to"
        yield Finding(part, "kernels", text, ABSENT, "set NUMBA_CACHE_DIR to a folder of yours")
    else:
        kept = f"{count} kept" if count else "compiled when first used, then kept"
        yield Finding(part, "kernels", f"{kept} in {folder}")


def _card(known: cuda.Facts) -> Iterator[Finding]:
    part, driver = "on a GPU", known.driver
    names = [f"{name} {version}" for name, version in known.wheels.items()]
    if known.wheels and (runtime := cuda.runtime()):
        names.append(f"CUDA runtime {runtime}")
    yield Finding(part, "CuPy", ", ".join(names) or "not installed", GOOD if known.wheels else ABSENT)
    if parts := cuda.parts():
        yield Finding(part, "CUDA wheels", ", ".join(f"{name} {version}" for name, version in parts.items()))
    yield Finding(part, "driver", str(driver) if driver else "not installed", GOOD if driver else ABSENT)
    if driver is not None:
        for number, card in enumerate(driver.cards):
            yield Finding(part, f"card {number}", str(card))
    if known.wheels:
        version = cuda.compiler()
        text = f"NVRTC {version}" if version else "NVRTC is not found"
        yield Finding(part, "kernel compiler", text, GOOD if version else ABSENT)
        yield Finding(part, "compiled kernels", str(_gpu_cache()))
    trouble = cuda.trouble(known)
    if trouble is None:
        yield Finding(part, "verdict", 'it computes: tinymed.set_backend("cupy"), or --backend cupy')
    else:
        yield Finding(part, "verdict", trouble.reason, ABSENT, trouble.remedy)


def _readers() -> Iterator[Finding]:
    part = "optional"
    versions = {name: _version(name) for name in _READERS}
    missing = [name for name, version in versions.items() if not version]
    remedy = cuda.pip("install", *missing)
    for name, version in versions.items():
        text = f"{version or 'not installed'} ({_READERS[name]})"
        yield Finding(part, name, text, GOOD if version else ABSENT, remedy if missing[:1] == [name] else "")
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    text = f"{compiler or 'not found'} (tests compile the GPU's kernels with it)"
    yield Finding(part, "C++ compiler", text, GOOD if compiler else ABSENT)


def _backend() -> Finding:
    from tinymed.backend import get_backend

    asked = os.environ.get("TINYMED_BACKEND")
    where = "TINYMED_BACKEND" if asked else "the default"
    try:
        name = get_backend()
    except ValueError as error:
        reason, _, remedy = str(error).partition("; to mend it: ")
        reason = reason.removeprefix("backend ")
        return Finding("in use", "backend", reason, BAD, remedy or "unset TINYMED_BACKEND")
    chosen = where if name == (asked or "numpy") else "set by this program"
    return Finding("in use", "backend", f"{name} ({chosen})")


# --- what they ask -------------------------------------------------------------------------------------------------


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> str:
    from tinymed.kernels.cpu.threads import physical_cores

    count = physical_cores()
    return f"{count} core{'s' * (count > 1)}"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return "memory unknown"


def _blas() -> str:
    import numpy  # noqa: F401  (loads its library, which is then found)
    from threadpoolctl import threadpool_info

    found = [item for item in threadpool_info() if item.get("user_api") == "blas"]
    if not found:
        return "the library of NumPy"
    names = [f"{item['internal_api']} {item.get('version') or ''}".strip() for item in found]
    return ", ".join(dict.fromkeys(names))


def _kernel_cache() -> tuple[Path | None, int]:
    """Return the folder where compiled kernels are kept, and how many are in it."""
    import tinymed.kernels.cpu as kernels

    asked = os.environ.get("NUMBA_CACHE_DIR")
    beside = Path(kernels.__file__).parent / "__pycache__"
    places = [Path(asked)] if asked else [beside, _user_cache()]
    for folder in places:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if os.access(existing, os.W_OK):
            return folder, sum(1 for _ in folder.rglob("*.nbi")) if folder.exists() else 0
    return None, 0


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "numba" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "numba"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "numba"


def _gpu_cache() -> Path:
    return Path(os.environ.get("CUPY_CACHE_DIR", Path.home() / ".cupy" / "kernel_cache"))


# --- on screen -----------------------------------------------------------------------------------------------------


def _printed(found: list[Finding]) -> Iterator[Any]:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    part = None
    for finding in found:
        if finding.part != part:
            if part is not None:
                table.add_row()
            part = finding.part
            table.add_row("", f"[bold]{part}[/]")
        style = "dim" if finding.state == ABSENT and not finding.remedy else ""
        text = escape(finding.text)
        table.add_row(_MARKS[finding.state], finding.what, f"[{style}]{text}[/]" if style else text)
    yield table
    remedies = sorted((finding for finding in found if finding.remedy), key=lambda finding: finding.state == BAD)
    if remedies:
        yield ""
    for finding in {finding.remedy: finding for finding in remedies}.values():  # each line once, the most urgent last
        what = "GPU" if finding.what == "verdict" else finding.what
        wanted = "[red]needed[/]" if finding.state == BAD else "if you want it"
        yield f"[bold]{escape(what)}[/] ({wanted}): {escape(finding.remedy)}"
