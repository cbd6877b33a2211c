"""Single operations, forward and backward: the textbook body, the kernel, PyTorch, and the share of what is possible.

Possible is, for an operation that is arithmetic, the speed of NumPy's matrix product, and for one that moves memory,
that of a copy on one thread (several threads can do better than it).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.operations import QUICK, ROWS, traffic
from benchmarks.peaks import Peaks
from benchmarks.workers import Worker, contest

CONTENDERS = {
    "textbook": ("tinymed_operations", {"textbook": True}),
    "tinymed": ("tinymed_operations", {}),
    "PyTorch": ("torch_operations", {}),
}


def apart(workers: dict[str, Worker], name: Any) -> dict[str, float]:
    """Return how far each contender's output and gradients lie from the textbook's."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        arrays: dict[str, list[np.ndarray]] = {}
        for label, worker in workers.items():
            path = Path(folder) / f"{label}.npz"
            worker.call("save", name, str(path))
            with np.load(path) as file:
                arrays[label] = [file[key] for key in file]
        for label, values in arrays.items():
            pairs = zip(values, arrays["textbook"], strict=True)
            found[label] = max(common.disagreement(ours, right) for ours, right in pairs)
    return found


def measure(workers: dict[str, Worker], name: str, options: Any) -> dict[str, Any]:
    """Compare a row's numbers, then time it, forward and backward."""
    row = ROWS[name]
    errors = apart(workers, name)
    right = {label: worker for label, worker in workers.items() if errors[label] <= common.TOLERANCE}
    result: dict[str, Any] = {"errors": errors, "ms": {}, "share": {}}
    for way in ("forward", "backward"):
        turns = {label: partial(worker.time, way, name, seconds=options.seconds) for label, worker in right.items()}
        times = contest(turns, options.rounds)
        result["ms"][way] = {label: common.spread(values)["median"] for label, values in times.items()}
        if "tinymed" in right:
            seconds = result["ms"][way]["tinymed"] / 1000
            twice = 2 if way == "backward" and row.flops else 1
            result["share"][way] = (twice * row.flops or traffic(row)) / seconds
    return result


def peaks(options: Any) -> dict[str, float]:
    """Return FLOP/s of a matrix product and bytes/s of a copy."""
    with common.start("benchmarks.peaks:Peaks", {}, options) as worker:
        turns = {what: partial(worker.time, what, seconds=options.seconds) for what in ("arithmetic", "memory")}
        times = {
            what: common.spread(values)["median"] / 1000 for what, values in contest(turns, options.rounds).items()
        }
    return {"arithmetic": Peaks.flops / times["arithmetic"], "memory": Peaks.traffic / times["memory"]}


def report(results: dict[str, Any], possible: dict[str, float]) -> str:
    """Write a row for each operation and direction."""
    rows, notes = [], []
    for name, result in results.items():
        kind = "arithmetic" if ROWS[name].flops else "memory"
        for way, ms in result["ms"].items():
            cells = [common.number(ms[label]) if label in ms else "–" for label in CONTENDERS]
            gain = f"{ms['textbook'] / ms['tinymed']:.1f}" if "tinymed" in ms else "–"
            beside = f"{ms['tinymed'] / ms['PyTorch']:.2f}" if {"tinymed", "PyTorch"} <= set(ms) else "–"
            share = f"{result['share'][way] / possible[kind]:.0%} of {kind}" if way in result["share"] else "–"
            rows.append([f"{name}, {way}", *cells, gain, beside, share])
        for label, error in result["errors"].items():
            if error > common.TOLERANCE:
                notes.append(f"* **{name}: {label} is {error:.1e} away from the textbook body and was not timed.**")
    header = ["milliseconds", *CONTENDERS, "textbook / tinymed", "tinymed / PyTorch", "of the possible"]
    speeds = f"Possible: {possible['arithmetic'] / 1e9:.0f} GFLOP/s, {possible['memory'] / 1e9:.0f} GB/s."
    return "\n".join([common.table(header, rows), "", speeds, *notes])


def draw(results: dict[str, Any], path: Any) -> None:
    """Draw the ladder of each operation on a logarithmic axis."""
    from tinymed.plots.style import GREY, figure_with_axes, finished, style

    with style():
        figure, axes = figure_with_axes(12, 1.2 + 0.62 * len(results), columns=2)
        for ax, way in zip(axes, ("forward", "backward"), strict=True):
            for turn, label in enumerate(CONTENDERS):
                places = [i for i, result in enumerate(results.values()) if label in result["ms"][way]]
                values = [result["ms"][way][label] for result in results.values() if label in result["ms"][way]]
                color = common.COLORS.get(label, GREY)
                ax.barh([p + (turn - 1) * 0.27 for p in places], values, 0.25, color=color, label=label)
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set_yticks(range(len(results)), list(results) if ax is axes[0] else [""] * len(results))
            ax.invert_yaxis()
            ax.grid(axis="y", visible=False)
            ax.set_title(way)
            ax.set_xlabel("milliseconds (logarithmic; shorter is faster)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(CONTENDERS))
        finished(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the status is 1 if any numbers disagree."""
    options = common.parsed(common.parser("layers", __doc__ or "", rounds=5), arguments)
    facts, names = common.machine(options), QUICK if options.quick else tuple(ROWS)
    absent: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        workers = {}
        for label, (factory, given) in CONTENDERS.items():
            if label != "textbook" and not common.wanted(label, options):
                continue
            worker = stack.enter_context(common.start(f"benchmarks.operations:{factory}", given, options))
            if worker.absent:
                absent[label] = worker.absent
            else:
                workers[label] = worker
        possible = peaks(options)
        results = {}
        for name in names:
            print(f"{name} ...", flush=True)
            results[name] = measure(workers, name, options)
    text = report(results, possible) + "".join(f"\n* {label}: {reason}." for label, reason in absent.items())
    common.publish(options, "Single operations", facts, text, {"possible": possible, "rows": results})
    if options.out is not None:
        draw(results, options.out / "layers.png")
    wrong = (error for result in results.values() for error in result["errors"].values())
    return int(any(error > common.TOLERANCE for error in wrong))


if __name__ == "__main__":
    raise SystemExit(main())
