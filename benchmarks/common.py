"""What the benchmarks share: options, the machine's description, statistics, tables, files and bars."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workers import ROOT, AbsentError, Worker
from tinymed import files
from tinymed.plots.style import BLUE, GREEN, ORANGE, RED

RESULTS = ROOT / "benchmarks" / "results"
TOLERANCE = 1e-4
"""How far numbers that should be equal may lie apart, as a part of the larger one."""

COLORS = {"tinymed": BLUE, "PyTorch": RED, "TensorFlow": ORANGE, "JAX": GREEN}
"""A library's colour in every plot; all four can be told apart without seeing red or green."""


def parser(name: str, description: str, rounds: int) -> argparse.ArgumentParser:
    """Return the options that every benchmark has."""
    found = argparse.ArgumentParser(f"python -m benchmarks.{name}", description=description)
    found.add_argument("--quick", action="store_true", help="few and short rounds; writes nothing without --out")
    found.add_argument("--rounds", type=int, help=f"turns of each library (default {rounds}, quick 2)")
    found.add_argument("--threads", type=int, help="default: TINYMED_NUM_THREADS or the physical cores")
    found.add_argument("--libraries", default="", help="comma-separated; all that are installed if omitted")
    found.add_argument("--out", type=Path, help=f"folder for results (default {RESULTS.relative_to(ROOT)})")
    found.set_defaults(usual_rounds=rounds, name=name)
    return found


def parsed(options: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line and fill in what depends on ``--quick``; ``seconds`` is the length of a turn."""
    found = options.parse_args(arguments)
    found.command = shlex.join(["python", "-m", f"benchmarks.{found.name}", *(arguments or sys.argv[1:])])
    found.rounds = found.rounds or (2 if found.quick else found.usual_rounds)
    found.seconds = 0.1 if found.quick else 0.5
    found.libraries = [name.strip() for name in found.libraries.split(",") if name.strip()]
    if found.out is None and not found.quick:
        found.out = RESULTS
    if found.threads is None:
        from tinymed.kernels.cpu.threads import default_threads

        found.threads = default_threads()
    return found


def wanted(library: str, options: argparse.Namespace) -> bool:
    """Tell whether this library takes part; tinymed always does."""
    known = [name.lower() for name in options.libraries]
    return library == "tinymed" or not known or library.lower() in known


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """Describe where and with what the figures were measured."""
    packages = ("numpy", "numba", "torch", "tensorflow-cpu", "tensorflow", "jax", "keras")
    commit = _output("git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*")
    return {
        "command": options.command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": options.threads,
        "rounds": options.rounds,
        "system": platform.platform(terse=True),
        "load at the start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version(), **{n: v for n in packages if (v := _version(n))}},
    }


def described(facts: Mapping[str, Any]) -> str:
    """Return the machine's description as the lines that stand below a table."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        f"`{facts['command']}`, {facts['date'][:10]}, commit {facts['commit']}.",
        f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, {facts['system']}; {versions}.",
    ]
    load = facts["load at the start"]
    if load is not None and load > 0.5:
        lines.append(f"**The machine was busy (load {load}) when this began: do not quote these figures.**")
    return "\n".join(lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, value in fields.items()}
        extra = " with AVX-512" if "avx512f" in values.get("flags", "") else ""
        return values.get("model name", platform.machine()) + extra
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


# --- numbers -------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": middle, "low": low, "high": high}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios round by round, so that what slows a whole round cancels."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return p of the law cost = a size^p that fits best."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def disagreement(found: Any, expected: Any) -> float:
    """Return the largest difference between two sets of numbers, relative to the largest expected one."""
    ours, reference = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if ours.shape != reference.shape or not np.all(np.isfinite(ours)):
        return float("inf")
    scale = np.max(np.abs(reference), initial=0.0) or 1.0
    return float(np.max(np.abs(ours - reference), initial=0.0) / scale)


def disagreeing(found: Mapping[str, Any], reference: str) -> dict[str, float]:
    """Return those whose numbers lie further from the reference's than is tolerated, and how far."""
    apart = {label: disagreement(numbers, found[reference]) for label, numbers in found.items()}
    return {label: error for label, error in apart.items() if not error <= TOLERANCE}


def start(factory: str, arguments: Mapping[str, Any], options: argparse.Namespace, **extra: str) -> Worker:
    """Start a contender with the benchmark's number of threads."""
    return Worker(factory, arguments, options.threads, extra)


# --- output --------------------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are also aligned in a terminal: first left, others right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def written(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = [":" + "-" * (w - 1) if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join(written(line) for line in (lines[0], rule, *lines[1:]))


def publish(options: argparse.Namespace, title: str, facts: Mapping[str, Any], text: str, data: Any) -> None:
    """Print the table and write NAME.md and NAME.json, unless nothing shall be written."""
    page = f"# {title}\n\n{text}\n\n{described(facts)}\n"
    print("\n" + page)
    if options.out is not None:
        files.write_text(options.out / f"{options.name}.md", page)
        files.write_text(
            options.out / f"{options.name}.json", json.dumps({"machine": facts, "results": data}, indent=1)
        )
        print(f"written: {options.out / options.name}.md, .json" + " and .png where there is a plot")


def number(value: float) -> str:
    """Write a number with three digits that count."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


__all__ = [
    "COLORS", "RESULTS", "TOLERANCE", "AbsentError", "described", "disagreement", "exponent", "machine", "number",
    "parsed", "parser", "publish", "ratio", "spread", "start", "table", "wanted",
]  # fmt: skip
