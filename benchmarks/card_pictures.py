"""The pictures of ``benchmarks.cpu_gpu``: networks beside PyTorch, growing sizes with crossovers, the roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import card_report, common
from tinymed.plots.style import BLUE, GREY, ORANGE, RED, bare_figure, figure_with_axes, finished, style

BARS = {
    "CPU": GREY, "GPU, not recorded": "#7FB7D8", "GPU": BLUE, "PyTorch": RED, "PyTorch, compiled": ORANGE,
}  # fmt: skip
"""Contenders in the order of their bars, and their colours."""

NAMES = {"CPU": "tinymed, CPU", "GPU": "tinymed, GPU", "GPU, not recorded": "tinymed, GPU, launched one by one"}


def draw_all(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw whatever was measured; return the files."""
    drawn = []
    parts = {
        "networks": (networks, results["networks"]), "crossover": (crossovers, results["sweeps"]),
        "operations": (operations, results["operations"]), "roofline": (roofline, results["peaks"].get("GPU")),
    }  # fmt: skip
    for name, (draw, there) in parts.items():
        if there:
            drawn.append(folder / f"cpu_gpu_{name}.png")
            draw(results, drawn[-1])
    return drawn


def _finished(results: Mapping[str, Any], figure: Any, path: Any) -> None:
    """Save a figure; one of figures that nobody measured says so across itself."""
    if "made up" in results:
        figure.text(0.5, 0.5, results["made up"], ha="center", va="center", rotation=25, fontsize=34, color="#C00000",
                    alpha=0.25)  # fmt: skip
    finished(figure, path)


def _milliseconds(rows: Mapping[str, Any], label: str) -> float | None:
    return card_report.best(rows, card_report.EAGER if label == "PyTorch" else [label])


def networks(results: Mapping[str, Any], path: Any) -> None:
    """Draw a training step of each network, with each contender, for each batch size."""
    sizes = list(dict.fromkeys(size for network in results["networks"].values() for size in network["batches"]))
    with style():
        figure, axes = figure_with_axes(6.2 * len(sizes) + 1, 1.3 + 0.95 * len(results["networks"]), columns=len(sizes))
        for place, (ax, size) in enumerate(zip(axes, sizes, strict=True)):
            for y, network in enumerate(results["networks"].values()):
                rows = network["batches"].get(size, {})
                there = [label for label in BARS if _milliseconds(rows, label) is not None]
                height = 0.84 / max(len(there), 1)
                for turn, label in enumerate(there):
                    ms = _milliseconds(rows, label) or 0.0
                    at = y - 0.42 + (turn + 0.5) * height
                    ax.barh(at, ms, height * 0.9, color=BARS[label], label=NAMES.get(label, label))
                    ax.text(ms, at, f" {common.number(ms)}", va="center", fontsize=7)
            ax.set_xscale("log")
            ax.margins(x=0.12)
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set_yticks(range(len(results["networks"])), list(results["networks"]) if place == 0 else [])
            ax.invert_yaxis()
            ax.grid(axis="y", visible=False)
            ax.set_title(f"batch of {size}")
            ax.set_xlabel("milliseconds for a training step (logarithmic)")
        _legend(figure, axes)
        _finished(results, figure, path)


def _legend(figure: Any, axes: Any) -> None:
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = [NAMES.get(label, label) for label in BARS]
    labels = sorted(found, key=lambda label: order.index(label) if label in order else 99)
    figure.legend([found[label] for label in labels], labels, loc="outside lower center", ncols=len(labels))


def crossovers(results: Mapping[str, Any], path: Any) -> None:
    """Draw both devices' times against the batch size, and mark where the GPU overtakes."""
    sweeps = results["sweeps"]
    with style():
        figure, axes = figure_with_axes(4.4 * len(sweeps) + 0.4, 4.0, columns=len(sweeps))
        for ax, (name, sweep) in zip(axes, sweeps.items(), strict=True):
            ax.plot(sweep["sizes"], sweep["CPU"], "o-", color=GREY, label="CPU")
            ax.plot(sweep["sizes"], sweep["GPU"], "o-", color=BLUE, label="GPU")
            ax.set_xscale("log", base=4)
            ax.set_yscale("log")
            ax.set_xticks(sweep["sizes"], [str(size) for size in sweep["sizes"]])
            ax.minorticks_off()
            ax.yaxis.set_major_formatter("{x:g}")
            where = sweep["crossover"]
            if where is None:
                note = "the CPU stays ahead"
            elif where <= sweep["sizes"][0]:
                note = "the GPU is always ahead"
            else:
                note = f"the GPU is ahead from {common.number(where)}"
                ax.axvline(where, color=RED, linestyle="--", linewidth=1.2)
            ax.set_title(f"{name}: {note}", fontsize=11)
            ax.set_xlabel("samples in a batch")
        axes[0].set_ylabel("milliseconds for a training step")
        axes[0].legend(loc="best")
        _finished(results, figure, path)


def operations(results: Mapping[str, Any], path: Any) -> None:
    """Draw for each operation where the GPU overtakes, and how many times faster it is at the largest size."""
    rows = {op: row for op, row in results["operations"].items() if "largest" in row}
    if not rows:
        return
    gain = {op: row["CPU"][-1] / row["GPU"][-1] for op, row in rows.items()}
    order = sorted(rows, key=gain.__getitem__)
    with style():
        figure = bare_figure(11, 1.6 + 0.19 * len(order))
        left, right = figure.subplots(1, 2, sharey=True)
        for y, op in enumerate(order):
            values, where = rows[op]["values"], rows[op]["crossover"]
            left.plot([values[0], values[-1]], [y, y], color="#D8D8D8", linewidth=3, solid_capstyle="butt")
            if where is not None:
                always = where <= values[0]
                left.plot([where], [y], "<" if always else "o", color=BLUE, markersize=5)
            right.barh(y, gain[op] - 1, 0.7, left=1, color=BLUE if gain[op] >= 1 else GREY)
            right.text(max(gain[op], 1), y, f" {common.number(gain[op])}", va="center", fontsize=7)
        left.set_xscale("log")
        left.set_yticks(range(len(order)), order, fontsize=7)
        left.set_ylim(-0.8, len(order) - 0.2)
        left.set_title("GPU faster from so many values")
        left.set_xlabel("values in all inputs; grey: measured; ◂ at every size; no dot: at none")
        right.set_xscale("log")
        right.axvline(1, color="#444444", linewidth=1)
        right.xaxis.set_major_formatter("{x:g}")
        right.margins(x=0.15)
        right.set_title("times faster at the largest size")
        right.set_xlabel("CPU / GPU, forward and backward (logarithmic)")
        for ax in (left, right):
            ax.grid(axis="y", visible=False)
        _finished(results, figure, path)


def roofline(results: Mapping[str, Any], path: Any) -> None:
    """Draw what each device could reach for its operations by byte, and what operations and networks do reach."""
    with style():
        figure, axes = figure_with_axes(14, 5.6, columns=2)
        panels = {"operations, forward": _operation_spots(results), "networks, training step": _network_spots(results)}
        everything = [spot for spots in panels.values() for spot in spots]
        xs = [x for _, _, x, _ in everything] or [1.0]
        ys = [y for _, _, _, y in everything] + [peak["flops"] for peak in results["peaks"].values()]
        limits = (min(0.3, *xs) / 2, max(300.0, *xs) * 2), (min(ys) / 3, max(ys) * 3)
        for ax, (title, spots) in zip(axes, panels.items(), strict=True):
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set(xlim=limits[0], ylim=limits[1])
            _roofs(ax, results["peaks"])
            for device, _, x, y in spots:
                ax.plot([x], [y], "o", color=COLORS[device], markersize=6, alpha=0.85)
            _labelled(ax, [(name, x, y) for device, name, x, y in spots if device == "GPU"])
            ax.set_title(title[0].upper() + title[1:])
            ax.set_xlabel("operations for each byte that must be moved")
        precision = "TF32" if results["precision"] == "tf32" else "float32, no TF32"
        axes[0].set_ylabel(f"operations in a second ({precision})")
        _finished(results, figure, path)


COLORS = {"CPU": GREY, "GPU": BLUE}
Spot = tuple[str, str, float, float]
"""Device, name, operations for each byte, operations in a second."""


def _operation_spots(results: Mapping[str, Any]) -> list[Spot]:
    spots: list[Spot] = []
    for op, row in results["operations"].items():
        for device in COLORS:
            found = card_report.point(row["largest"][device]) if "largest" in row else None
            if found:
                spots.append((device, op, *found))
    return spots


def _network_spots(results: Mapping[str, Any]) -> list[Spot]:
    spots: list[Spot] = []
    for name, network in results["networks"].items():
        for size, rows in network["batches"].items():
            for device in (device for device in COLORS if device in rows):
                flops = network["facts"]["flops"] * int(size)
                moved = card_report.step_bytes(network["facts"], int(size))
                spots.append((device, f"{name}, {size}", flops / moved, flops / rows[device]["step"] * 1000))
    return spots


def _roofs(ax: Any, peaks: Mapping[str, Mapping[str, float]]) -> None:
    low, high = ax.get_xlim()
    for device, peak in peaks.items():
        ridge = peak["flops"] / peak["bytes"]
        ax.plot([low, ridge, high], [low * peak["bytes"], peak["flops"], peak["flops"]], color=COLORS[device])
        words = f"{device}: {peak['flops'] / 1e12:.3g} TFLOP/s, {peak['bytes'] / 1e9:.0f} GB/s"
        ax.text(low * 1.3, peak["flops"], words, color=COLORS[device], va="bottom", fontsize=9)


def _labelled(ax: Any, spots: list[tuple[str, float, float]]) -> None:
    """Write names at the right, one below the other, each with a line to its spot."""
    bottom, top = (math.log(y) for y in ax.get_ylim())
    gap, edge = (top - bottom) / 34, ax.get_xlim()[1]
    at = bottom
    for name, x, y in sorted(spots, key=lambda spot: spot[2]):
        at = max(at + gap, math.log(y) - gap * len(spots) / 4)
        ax.plot([x, edge], [y, math.exp(at)], color="#C8C8C8", linewidth=0.6, zorder=1)
        ax.text(edge, math.exp(at), f" {name}", fontsize=7, va="center", clip_on=False)
