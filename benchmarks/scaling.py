"""How tinymed's cost grows with the batch, the image's area, channels and sequence length.

Time is drawn against work, with the exponent of the law that fits best: 1 where cost grows as work does, less where
small sizes cannot use the whole machine yet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks import common
from benchmarks.layers import apart
from benchmarks.networks import find, prepared, unsupported
from benchmarks.operations import resized, traffic
from benchmarks.workers import contest

# Operation, and for what grows in which of its sizes: (N, side, C, F), (N, side, C) or (N, D, U).
AXES: dict[str, tuple[str, list[list[int]]]] = {
    "convolution: batch": ("conv2d", [[n, 48, 16, 32] for n in (4, 8, 16, 32, 64)]),
    "convolution: image area": ("conv2d", [[8, side, 16, 32] for side in (32, 45, 64, 90, 128)]),
    "convolution: channels": ("conv2d", [[8, 48, c, 32] for c in (8, 16, 32, 64, 128)]),
    "convolution: filters": ("conv2d", [[8, 48, 16, f] for f in (16, 32, 64, 128, 256)]),
    "max pooling: image area": ("max_pool2d", [[16, side, 32] for side in (32, 46, 64, 90, 128)]),
    "dense: inputs": ("dense", [[256, d, 256] for d in (512, 1024, 2048, 4096, 8192)]),
}
SEQUENCES = "LSTM training step: sequence length"
LENGTHS = (50, 100, 200, 400, 800)


def operations(options: Any) -> dict[str, Any]:
    """Time the operations at each of their sizes, forward and backward together."""
    found = {}
    with contextlib.ExitStack() as stack:
        workers = {
            label: stack.enter_context(common.start("benchmarks.operations:tinymed_operations", given, options))
            for label, given in (("textbook", {"textbook": True}), ("tinymed", {}))
        }
        for title, (op, family) in AXES.items():
            print(f"{title} ...", flush=True)
            names = [(op, sizes) for sizes in (family[:2] if options.quick else family)]
            errors = [apart(workers, name)["tinymed"] for name in names]
            seconds = {}
            for way in ("forward", "backward"):
                turns = {
                    str(i): partial(workers["tinymed"].time, way, name, seconds=options.seconds / 2)
                    for i, name in enumerate(names)
                }
                for key, values in contest(turns, options.rounds).items():
                    seconds[key] = seconds.get(key, 0.0) + common.spread(values)["median"]
            rows = [resized(*name) for name in names]
            work = [row.flops or traffic(row) for row in rows]
            found[title] = {"work": work, "ms": [seconds[str(i)] for i in range(len(names))], "error": max(errors)}
    return found


def sequences(options: Any) -> dict[str, Any]:
    """Time a training step of the recurrent network at each length of its sequences."""
    lengths = LENGTHS[:2] if options.quick else LENGTHS
    names = [f"P4b tanh {length}" for length in lengths]
    reason = unsupported(find(names[0]))
    if reason:
        return {"skipped": reason}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            path, _ = stack.enter_context(prepared(name))
            arguments = {"network": name, "path": str(path)}
            workers[name] = stack.enter_context(common.start("benchmarks.programs:tinymed_program", arguments, options))
        turns = {name: partial(worker.time, "train", seconds=options.seconds) for name, worker in workers.items()}
        times = contest(turns, options.rounds)
    return {"work": list(lengths), "ms": [common.spread(times[name])["median"] for name in names], "error": 0.0}


def report(results: dict[str, Any]) -> str:
    """Write a row for each axis."""
    rows = []
    for title, result in results.items():
        if "skipped" in result:
            rows.append([title, result["skipped"], "", ""])
            continue
        growth = f"{result['work'][-1] / result['work'][0]:.1f}"
        cost = f"{result['ms'][-1] / result['ms'][0]:.1f}"
        rows.append([title, growth, cost, f"{common.exponent(result['work'], result['ms']):.2f}"])
    wrong = [
        f"* **{title}: numbers are {result['error']:.1e} away from the textbook's.**"
        for title, result in results.items()
        if result.get("error", 0.0) > common.TOLERANCE
    ]
    return "\n".join([common.table(["what grows", "work times", "time times", "exponent"], rows), "", *wrong])


def draw(results: dict[str, Any], path: Any) -> None:
    """Draw time against work, with the line of proportion through the middle point."""
    from matplotlib.ticker import LogLocator, NullFormatter

    from tinymed.plots.style import BLUE, GREY, figure_with_axes, finished, style

    measured = {title: result for title, result in results.items() if "work" in result}
    columns = min(len(measured), 4)
    rows = -(-len(measured) // columns)
    with style():
        figure, axes = figure_with_axes(3.4 * columns, 3.1 * rows, rows, columns)
        for ax, (title, result) in zip(axes, measured.items(), strict=False):
            work = [value / result["work"][0] for value in result["work"]]
            middle = len(work) // 2
            line = [result["ms"][middle] * value / work[middle] for value in work]
            ax.loglog(work, line, color=GREY, linestyle="--", linewidth=1, label="in proportion")
            ax.loglog(work, result["ms"], color=BLUE, marker="o", label="measured")
            for axis, digits in ((ax.xaxis, (1, 2, 4)), (ax.yaxis, (1, 2, 5))):
                axis.set_major_locator(LogLocator(subs=digits))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
            ax.set_title(f"{title}\nexponent {common.exponent(result['work'], result['ms']):.2f}", fontsize=10)
            ax.set_xlabel("work, relative to the smallest")
            ax.set_ylabel("milliseconds")
        for ax in axes[len(measured) :]:
            ax.set_axis_off()
        axes[0].legend()
        finished(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the status is 1 if any numbers disagree."""
    options = common.parsed(common.parser("scaling", __doc__ or "", rounds=5), arguments)
    facts = common.machine(options)
    results = {**operations(options), SEQUENCES: sequences(options)}
    common.publish(options, "Cost against work", facts, report(results), results)
    if options.out is not None:
        draw(results, options.out / "scaling.png")
    return int(any(result.get("error", 0.0) > common.TOLERANCE for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
