"""One training step and one prediction of the articles' networks, beside PyTorch and Keras on TensorFlow and JAX.

All start from the same weights, and the losses of three steps must agree before anything is timed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import common
from benchmarks.networks import NETWORKS, find, prepared, unsupported
from benchmarks.peaks import Peaks
from benchmarks.workers import Worker, contest

ACTIONS = {"train": "training step", "predict": "predict"}


@dataclass(frozen=True)
class Contender:
    """A library, one of its ways to run, and the factory of its program."""

    library: str
    variant: str
    factory: str
    arguments: tuple[tuple[str, Any], ...] = ()
    recurrent_only: bool = False

    @property
    def label(self) -> str:
        """The name in tables: library and variant."""
        return f"{self.library} {self.variant}".strip()

    def start(self, network: str, path: Any, options: Any, **extra: str) -> Worker:
        """Start the program in a process of its own, with further environment variables."""
        arguments = {"network": network, "path": str(path), **dict(self.arguments)}
        return common.start(self.factory, arguments, options, **extra)


CONTENDERS = (
    Contender("tinymed", "", "benchmarks.programs:tinymed_program"),
    Contender("TensorFlow", "", "benchmarks.programs:keras_program", (("backend", "tensorflow"),)),
    Contender(
        "TensorFlow",
        "XLA",
        "benchmarks.programs:keras_program",
        (("backend", "tensorflow"), ("xla", True)),
        recurrent_only=True,
    ),
    Contender("JAX", "", "benchmarks.programs:keras_program", (("backend", "jax"),)),
    Contender("PyTorch", "channels last", "benchmarks.programs:torch_program", (("channels_last", True),)),
    Contender("PyTorch", "default layout", "benchmarks.programs:torch_program"),
)
PEAK = "sgemm"


def taking_part(network: str, options: Any) -> list[Contender]:
    """Return the contenders that the options name and that have a chance on this network."""
    recurrent = any(kind == "lstm" for kind, *_ in find(network).layers)
    return [c for c in CONTENDERS if common.wanted(c.library, options) and (recurrent or not c.recurrent_only)]


def measure(name: str, options: Any) -> dict[str, Any]:
    """Check that all libraries agree on a network, then time them in turn."""
    reason = unsupported(find(name))
    if reason:
        return {"skipped": reason}
    result: dict[str, Any] = {"absent": {}, "times": {}}
    with contextlib.ExitStack() as stack:
        path, flops = stack.enter_context(prepared(name))
        result["flops"] = dict(zip(ACTIONS, flops, strict=True))
        workers: dict[str, Worker] = {}
        for contender in taking_part(name, options):
            worker = stack.enter_context(contender.start(name, path, options))
            if worker.absent:
                result["absent"][contender.label] = worker.absent
            else:
                workers[contender.label] = worker
        result["losses"] = {label: worker.call("losses") for label, worker in workers.items()}
        result["disagree"] = common.disagreeing(result["losses"], "tinymed")
        workers = {label: worker for label, worker in workers.items() if label not in result["disagree"]}
        workers[PEAK] = stack.enter_context(common.start("benchmarks.peaks:Peaks", {}, options))
        for action in ACTIONS:
            turns = {
                label: partial(worker.time, "arithmetic" if label == PEAK else action, seconds=options.seconds)
                for label, worker in workers.items()
            }
            result["times"][action] = contest(turns, options.rounds, group=_library)
    result["summary"] = {action: summary(result, action) for action in ACTIONS}
    return result


def _library(label: str) -> str:
    return label.split()[0]


def summary(result: dict[str, Any], action: str) -> dict[str, Any]:
    """Reduce the rounds to what a row of the table says."""
    times = result["times"][action]
    spreads = {label: common.spread(values) for label, values in times.items()}
    best: dict[str, str] = {}
    for label in (label for label in spreads if label != PEAK):
        rival = best.get(_library(label))
        if rival is None or spreads[label]["median"] < spreads[rival]["median"]:
            best[_library(label)] = label
    peers = sorted((label for label in best.values() if label != "tinymed"), key=lambda x: spreads[x]["median"])
    peak = Peaks.flops / spreads[PEAK]["median"] / 1e6
    speed = result["flops"][action] / spreads["tinymed"]["median"] / 1e6
    return {
        "ms": {library: {"variant": label, **spreads[label]} for library, label in best.items()},
        "fastest peer": peers[0] if peers else None,
        "ratio": common.ratio(times["tinymed"], times[peers[0]]) if peers else None,
        "GFLOP/s": speed,
        "sgemm GFLOP/s": peak,
        "share of sgemm": speed / peak,
    }


def _cells(name: str, action: str, result: dict[str, Any], libraries: Sequence[str]) -> list[str]:
    title = f"{name}, {ACTIONS[action]}"
    if "skipped" in result:
        return [title, "skipped", *[""] * (len(libraries) + 2)]
    row = result["summary"][action]
    cells = [title]
    for library in libraries:
        if library in row["ms"]:
            ms = row["ms"][library]
            cells.append(
                " ".join([common.number(ms["median"]), f"({common.number(ms['low'])}–{common.number(ms['high'])})"])
            )
        else:
            cells.append("–")
    cells.append("–" if row["ratio"] is None else f"{row['ratio']:.2f}")
    return [*cells, common.number(row["GFLOP/s"]), f"{row['share of sgemm']:.0%}"]


def report(results: dict[str, Any]) -> str:
    """Write the table, and below it what could not be measured and which variant of a library was quoted."""
    present = {lib for r in results.values() for a in r.get("summary", {}).values() for lib in a["ms"]}
    libraries = [library for library in common.COLORS if library in present]
    header = ["milliseconds for 32 samples", *libraries, "tinymed / fastest peer", "GFLOP/s", "of sgemm"]
    rows = [_cells(name, action, result, libraries) for name, result in results.items() for action in ACTIONS]
    notes = ["Median of the rounds (quartiles). The ratio is the median of the ratios in each round."]
    absent: dict[str, list[str]] = {}
    for name, result in results.items():
        if "skipped" in result:
            notes.append(f"{name} skipped: {result['skipped']}.")
            continue
        for label, reason in result["absent"].items():
            absent.setdefault(f"{label}: {reason}", []).append(name)
        for label, apart in result["disagree"].items():
            notes.append(f"**{name}: the losses of {label} are {apart:.1e} away from tinymed's; it was not timed.**")
        chosen = {m["variant"] for a in result["summary"].values() for m in a["ms"].values()} - set(libraries)
        if chosen:
            notes.append(f"{name} quotes {', '.join(sorted(chosen))}.")
    notes += [f"{reason} ({', '.join(names)})." for reason, names in absent.items()]
    return "\n".join([common.table(header, rows), "", *[f"* {note}" for note in notes]])


def draw(results: dict[str, Any], path: Any) -> None:
    """Draw each library's time beside that of the fastest peer."""
    from tinymed.plots.style import figure_with_axes, finished, style

    measured = {name: result for name, result in results.items() if "summary" in result}
    with style():
        figure, axes = figure_with_axes(10, 1.2 + 1.1 * len(measured), columns=2)
        for ax, action in zip(axes, ACTIONS, strict=True):
            _bars(ax, {name: result["summary"][action]["ms"] for name, result in measured.items()})
            ax.set_title(ACTIONS[action])
        handles, labels = axes[0].get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique))
        finished(figure, path)


def _bars(ax: Any, rows: dict[str, dict[str, dict]]) -> None:
    for place, times in enumerate(rows.values()):
        fastest = min(
            [t["median"] for library, t in times.items() if library != "tinymed"] or [times["tinymed"]["median"]]
        )
        present = [library for library in common.COLORS if library in times]
        height = 0.8 / len(present)
        for turn, library in enumerate(present):
            ms = times[library]["median"]
            y = place - 0.4 + (turn + 0.5) * height
            ax.barh(y, ms / fastest, height * 0.9, color=common.COLORS[library], label=library)
            ax.text(ms / fastest, y, f" {common.number(ms)} ms", va="center", fontsize=8)
    ax.axvline(1, color="#444444", linewidth=1, linestyle="--")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("time / fastest peer (shorter is faster)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the status is 1 if any library's losses disagree."""
    parser = common.parser("peers", __doc__ or "", rounds=5)
    parser.add_argument("--networks", help=f"comma-separated, of: {', '.join(NETWORKS)} (default: all; quick: P0, P3)")
    options = common.parsed(parser, arguments)
    names = [n.strip() for n in (options.networks or ("P0,P3" if options.quick else ",".join(NETWORKS))).split(",")]
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        parser.error(f"unknown network {unknown[0]!r}; there are {', '.join(NETWORKS)}")
    facts = common.machine(options)
    results = {}
    for name in names:
        print(f"{name} ...", flush=True)
        results[name] = measure(name, options)
    common.publish(options, "One step beside the peers", facts, report(results), results)
    if options.out is not None and any("summary" in result for result in results.values()):
        draw(results, options.out / "peers.png")
    return int(any(result.get("disagree") for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
