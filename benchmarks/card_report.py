"""What the figures of ``benchmarks.cpu_gpu`` say: crossovers, rooflines, goals, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks import common

EAGER = ("PyTorch", "PyTorch, channels last")


# --- arithmetic ----------------------------------------------------------------------------------------------------


def crossover(sizes: Sequence[float], cpu: Sequence[float], gpu: Sequence[float]) -> float | None:
    """Return the size from which on the GPU is faster; the smallest one if it always is, None if it is not at last.

    Between two sizes the times are taken to follow a power of the size.

    >>> crossover([1, 100], [1.0, 100.0], [10.0, 10.0])
    10.0
    >>> crossover([1, 100], [3.0, 4.0], [1.0, 1.0]), crossover([1, 100], [3.0, 4.0], [1.0, 5.0])
    (1, None)
    """
    slower = [place for place, (a, b) in enumerate(zip(cpu, gpu, strict=False)) if b >= a]
    if not slower:
        return sizes[0]
    last = slower[-1]
    if last == min(len(cpu), len(gpu)) - 1:
        return None
    before, after = (math.log(gpu[i] / cpu[i]) for i in (last, last + 1))
    part = before / (before - after)
    return round(math.exp((1 - part) * math.log(sizes[last]) + part * math.log(sizes[last + 1])), 6)


def attainable(intensity: float, peak: Mapping[str, float]) -> float:
    """Return the FLOP/s that a device can reach at so many operations for each byte that it moves: the roofline.

    >>> attainable(2.0, {"flops": 100.0, "bytes": 10.0}), attainable(50.0, {"flops": 100.0, "bytes": 10.0})
    (20.0, 100.0)
    """
    return min(peak["flops"], intensity * peak["bytes"])


def step_bytes(facts: Mapping[str, int], size: int) -> int:
    """Return the bytes that a training step moves at least.

    Each weight is read twice, its gradient written and read, Adam's two means are read and written, and the weight is
    written (9 numbers); each value between layers is written and read on the way there and its gradient on the way back
    (4 numbers).
    """
    return 4 * (9 * facts["weights"] + 4 * size * facts["activations"])


def joined(cpu: Sequence[Mapping[str, Any]], gpu: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return both devices' sweeps of an operation as one row, as far as both went."""
    rows = list(zip(cpu, gpu, strict=False))
    values = [a["values"] for a, _ in rows]

    def total(row: Mapping[str, Any]) -> float:
        return float(row["forward"]["step"] + row["backward"]["step"])

    times = {"CPU": [total(a) for a, _ in rows], "GPU": [total(b) for _, b in rows]}
    largest_cpu, largest_gpu = rows[-1]
    return {
        "values": values,
        "samples": [a["samples"] for a, _ in rows],
        **times,
        "crossover": crossover(values, times["CPU"], times["GPU"]),
        "largest": {"CPU": dict(largest_cpu), "GPU": dict(largest_gpu)},
    }


def point(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return an operation's forward in the roofline's terms: operations for each byte, and in each second."""
    if not row["flops"]:
        return None
    return row["flops"] / row["bytes"], row["flops"] / row["forward"]["step"] * 1000


def best(rows: Mapping[str, Any], labels: Iterable[str]) -> float | None:
    """Return the least milliseconds of a step among contenders, None if none was measured."""
    found = [rows[label]["step"] for label in labels if label in rows]
    return min(found) if found else None


def disagrees(results: Mapping[str, Any]) -> bool:
    """Tell whether any numbers that should agree do not."""
    return (
        any(not found["ok"] for found in results["agreement"].values())
        or any(found["disagree"] for found in results["networks"].values())
        or any(row["apart"] > common.TOLERANCE for row in results["operations"].values())
    )


def goals(results: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what was to be reached, what was found, and whether that is enough."""
    found = []
    for name, network in results["networks"].items():
        for size, rows in network["batches"].items():
            ours, theirs = best(rows, ["GPU"]), best(rows, EAGER)
            if ours is None or theirs is None:
                continue
            what, factor = f"{name}, batch {size}", theirs / ours
            if name in ("P0", "P3", "P4a"):
                found.append(
                    (f"{what}: not slower than PyTorch eager", f"{ours / theirs:.2f} of its time", factor >= 1)
                )
            elif name == "P4b tanh 2000":
                found.append((f"{what}: 3 times as fast as cuDNN's LSTM", f"{factor:.1f} times", factor >= 3))
            elif name == "P4b relu 2000":
                found.append((f"{what}: 20 times as fast as PyTorch's loop", f"{factor:.1f} times", factor >= 20))
    for name, agreement in results["agreement"].items() if results["precision"] == "float32" else ():
        text = f"{agreement['apart']:.1e} over {agreement['steps']} steps"
        found.append((f"{name}: losses of both devices within 1e-4", text, agreement["ok"]))
    return found


# --- the page ------------------------------------------------------------------------------------------------------


def _ms(value: float | None) -> str:
    return "–" if value is None else common.number(value)


def network_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each network and batch size."""
    lines = []
    for name, network in results["networks"].items():
        for size, rows in network["batches"].items():
            ours, cpu, gpu = rows.get("GPU", {}), best(rows, ["CPU"]), best(rows, ["GPU"])
            eager, compiled = best(rows, EAGER), best(rows, ["PyTorch, compiled"])
            lines.append(
                [
                    f"{name}, {size}",
                    _ms(cpu),
                    _ms(gpu),
                    _ms(ours.get("host")),
                    _ms(ours.get("device")),
                    _ms(ours.get("to the card")),
                    f"{ours['compile']:.1f}" if "compile" in ours else "–",
                    _ms(best(rows, ["GPU, not recorded"])),
                    _ms(eager),
                    _ms(compiled),
                    "–" if not (cpu and gpu) else f"{cpu / gpu:.1f}",
                    "–" if not (gpu and eager) else f"{gpu / eager:.2f}",
                ]
            )
    return lines


NETWORK_HEAD = [
    "ms for a training step (batch)", "CPU", "GPU", "host", "device", "copy in", "compile, s", "not recorded",
    "PyTorch", "compiled", "CPU / GPU", "GPU / PyTorch",
]  # fmt: skip


def operation_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each operation: at its largest size, and where the GPU overtakes."""
    lines = []
    peak = results["peaks"].get("GPU")
    for op, row in sorted(results["operations"].items()):
        if "largest" not in row:
            lines.append([op, *["–"] * 7, f"{row['apart']:.0e} apart"])
            continue
        gpu, cpu = row["largest"]["GPU"], row["largest"]["CPU"]
        moved = gpu["bytes"] / gpu["forward"]["step"] * 1000
        share = "–"
        if peak:
            spot = point(gpu)
            reached = moved / peak["bytes"] if spot is None else spot[1] / attainable(spot[0], peak)
            share = f"{reached:.0%}"
        lines.append(
            [
                op,
                f"{gpu['values']:,}",
                _ms(cpu["forward"]["step"]),
                _ms(gpu["forward"]["step"]),
                _ms(gpu["forward"]["host"]),
                _ms(gpu["forward"]["device"]),
                f"{_ms(cpu['backward']['step'])} / {_ms(gpu['backward']['step'])}",
                share,
                "never" if row["crossover"] is None else f"{row['crossover']:,.0f}",
            ]
        )
    return lines


def sweep_rows(results: Mapping[str, Any], columns: int) -> list[list[str]]:
    """Return a line for each network whose batches grew."""
    lines = []
    for name, sweep in results["sweeps"].items():
        pairs = [f"{_ms(a)} / {_ms(b)}" for a, b in zip(sweep["CPU"], sweep["GPU"], strict=True)]
        where = "never" if sweep["crossover"] is None else common.number(sweep["crossover"])
        lines.append([name, *pairs, *["–"] * (columns - len(pairs)), where])
    return lines


OPERATION_HEAD = [
    "operation", "values", "CPU forward, ms", "GPU", "host", "device", "backward CPU / GPU", "of the roof",
    "GPU faster from",
]  # fmt: skip


def report(results: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Write the page."""
    card = facts.get("card", {})
    precision = (
        "TF32: factors of matrix products rounded to 11 binary digits, in tinymed and in PyTorch"
        if results["precision"] == "tf32"
        else "float32 throughout, TF32 off in tinymed and in PyTorch (products and cuDNN)"
    )
    parts = [
        f"{card.get('card', '')}, {card.get('driver', '')}; {card.get('versions', '')}." if card else "",
        f"{precision}.",
    ]
    reached = goals(results)
    if reached:
        rows = [[what, text, "yes" if good else "**no**"] for what, text, good in reached]
        parts += ["## Goals", common.table(["goal", "found", "reached"], rows)]
    if results["networks"]:
        parts += ["## Networks", common.table(NETWORK_HEAD, network_rows(results)), _EXPLAINED]
    if results["sweeps"]:
        sizes = max((sweep["sizes"] for sweep in results["sweeps"].values()), key=len)
        head = ["CPU / GPU, ms, by batch", *map(str, sizes), "GPU faster from"]
        parts += ["## Growing batches", common.table(head, sweep_rows(results, len(sizes)))]
    if results["operations"]:
        parts += ["## Operations, at the largest size", common.table(OPERATION_HEAD, operation_rows(results))]
    if results["peaks"]:
        lines = [
            f"* {device}: {peak['flops'] / 1e12:.2f} TFLOP/s in a matrix product, "
            f"{peak['bytes'] / 1e9:.0f} GB/s in a copy."
            for device, peak in results["peaks"].items()
        ]
        parts.append("\n".join(lines))
    parts += ["\n".join(_notes(results, facts))]
    return "\n\n".join(part for part in parts if part)


_EXPLAINED = (
    "CPU and GPU: from step to step when many follow each other. Host: until Python has handed a step over. Device: "
    "between CUDA events around it. Copy in: a batch's way to the card, which the figures before do not contain. "
    "Compile: what a network's first step took longer, with an empty cache; kernels that an earlier network had too "
    "are there already. Not recorded: the same kernels, one by one. PyTorch: eager, in the faster memory layout; on "
    "P4b tanh that is cuDNN's LSTM, on P4b relu a loop over the steps."
)


def _notes(results: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    notes = []
    for name, network in results["networks"].items():
        for label, apart in network["disagree"].items():
            notes.append(
                f"**{name}: the first losses of {label} are {apart:.1e} away from the processor's; not timed.**"
            )
        reasons = {rows["GPU"]["reason"] for rows in network["batches"].values() if rows.get("GPU", {}).get("reason")}
        notes += [f"{name} was not recorded: {reason}." for reason in sorted(reasons)]
    for op, row in results["operations"].items():
        if row["apart"] > common.TOLERANCE:
            notes.append(f"**{op}: the devices are {row['apart']:.1e} apart; not timed.**")
    notes += [f"{what}: {why}." for what, why in results["absent"].items()]
    if results["left out"]:
        notes.append(f"Left out for time: {'; '.join(results['left out'])}.")
    if "minutes" in facts:
        notes.append(f"All of it took {facts['minutes']} minutes.")
    return [f"* {note}" for note in notes]
