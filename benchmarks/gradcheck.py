"""The proof of the gradient check: every mistake with a hundred seeds, everything right with two hundred.

    python benchmarks/gradcheck.py                       # writes benchmarks/results/gradcheck.md
    python benchmarks/gradcheck.py --seeds 5 --alarms 5  # a taste
    python benchmarks/gradcheck.py --without recurrent   # leave a family of cases out, and say so

A mistake counts as caught only if the check that the zoo names for it fails; a false alarm is any finding that
fails on tinymed's own operations, layers, losses, optimizers and schedules.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import tinymed
from tinymed.files import write_text
from tinymed.gradcheck import FAULTS
from tinymed.gradcheck.report import Report
from tinymed.gradcheck.runner import all_names, check, check_all


def catch(task: tuple[int, int]) -> tuple[int, float]:
    """Return how often one fault was caught, and the smallest error that gave it away."""
    index, seeds = task
    rows = [FAULTS[index].catch(seed) for seed in range(seeds)]
    errors = [row.error for row in rows if row is not None]
    return len(errors), min(errors, default=float("nan"))


def alarm(task: tuple[int, frozenset[str]]) -> tuple[int, list[str], float]:
    """Check everything but some names with one seed: the number of findings, those that failed, and the seconds."""
    seed, without = task
    if without:
        report, start = Report(), time.perf_counter()
        for name in all_names():
            if name not in without:
                report.rows += check(name, seed=seed).rows
        report.seconds = time.perf_counter() - start
    else:
        report = check_all(seed=seed)
    false = [f"seed {seed}: {r.item} ({r.case}), {r.check}, {r.tensor}: {r.error:.2e}" for r in report.failures]
    return len(report.rows), false, report.seconds


def names_of_family(family: str) -> set[str]:
    """Return the names of the operations and layers that a file of cases is about."""
    module = importlib.import_module(f"tinymed.gradcheck.cases.{family}")
    layers = {type(case.make()).__name__ for case in module.LAYER_CASES}
    return {case.op for case in module.OP_CASES} | layers


def main() -> None:
    """Run both and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="seeds for each mistake")
    parser.add_argument("--alarms", type=int, default=200, help="seeds for everything that is right")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many to run at once")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gradcheck.md")
    parser.add_argument("--without", help="a family of cases (a file of gradcheck/cases) to leave out of the alarms")
    options = parser.parse_args()
    without = frozenset(names_of_family(options.without)) if options.without else frozenset()

    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        start = time.perf_counter()
        zoo = []
        for fault, (count, error) in zip(
            FAULTS, pool.map(catch, [(i, options.seeds) for i in range(len(FAULTS))]), strict=True
        ):
            zoo.append((fault, count, error))
            print(f"{len(zoo):4d}/{len(FAULTS)}  {fault.name}: {count} of {options.seeds}", flush=True)
        zoo_seconds = time.perf_counter() - start
        findings, false, seconds = 0, [], []
        for seed, (number, wrong, took) in enumerate(
            pool.map(alarm, [(seed, without) for seed in range(options.alarms)])
        ):
            findings, false, seconds = findings + number, false + wrong, [*seconds, took]
            print(f"seed {seed}: {number} findings, {took:.1f} s", *wrong, sep="\n  ", flush=True)

    full = sum(count == options.seeds for _, count, _ in zoo)
    lines = [
        "# The gradient check, checked",
        "",
        f"tinymed {tinymed.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"{os.cpu_count()} cores. Written by `python benchmarks/gradcheck.py --seeds {options.seeds} "
        f"--alarms {options.alarms}{f' --without {options.without}' if options.without else ''}`.",
        "",
        f"* **{full} of {len(zoo)} mistakes** are caught by the named check in {options.seeds} of {options.seeds} "
        f"seeds ({zoo_seconds:.0f} s).",
        *([f"* Not among what is checked for false alarms: {', '.join(sorted(without))}."] if without else []),
        f"* **{len(false)} false alarms** in {options.alarms} runs of everything ({findings:,} findings; one run takes "
        f"{np.median(seconds):.0f} s in the median, {max(seconds):.0f} s at most, on a machine with other work to do).",
        *[f"  * {line}" for line in false],
        "",
        "| mistake | in | caught by | times | smallest error | who had it |",
        "|---|---|---|---|---|---|",
    ]
    for fault, count, error in zoo:
        lines.append(
            f"| {fault.name}: {fault.wrong} | {fault.target} | {fault.caught_by} | {count} of {options.seeds} "
            f"| {error:.1e} | {fault.seen_in} |"
        )
    write_text(options.out, "\n".join(lines) + "\n")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
