"""Pictures of segmentations: outlines over the slices, and the Dice coefficient of each case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import files
from tinymed.plots.style import BLUE, GREEN, GREY, ORANGE, RED, bare_figure, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (ORANGE, "#56B4E9", GREEN, RED, "#CC79A7", BLUE, "#F0E442")
"""Of the labels from 1 on."""


def contours(
    volumes: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
    labels: Sequence[str],
    spacing: Sequence[float] = (1.0, 1.0),
    path: files.PathLike | None = None,
    columns: int = 5,
) -> Figure:
    """Draw slices of volumes, the true outlines dashed and the predicted ones solid: a row for each volume.

    The slices are spread over that part of the volume where a label is, true or predicted.

    Arguments:
        volumes: For each row its title, the image (slices, H, W), the true labels and the predicted ones.
        labels: Names of the labels from 1 on.
        spacing: Height and width of a pixel.
        path: Where to save the picture, if anywhere.
        columns: Slices in a row.

    Raises:
        ValueError: If there is no volume, or labels and images have different shapes.
    """
    from matplotlib.lines import Line2D

    if not volumes:
        raise ValueError("contours needs at least one volume")
    for title, image, true, predicted in volumes:
        if not image.shape == true.shape == predicted.shape or image.ndim != 3:
            raise ValueError(f"{title}: image and labels must be (slices, H, W), got {image.shape} and {true.shape}")
    shapes = [_upright(image[0]).shape for _, image, _, _ in volumes]
    high, wide = spacing[1], spacing[0]
    with style():
        width = 2.1
        heights = [width * (h * high) / (w * wide) + 0.36 for h, w in shapes]
        figure = bare_figure(width * columns + 0.1, sum(heights) + 0.4)
        parts = figure.subfigures(len(volumes), 1, height_ratios=heights, squeeze=False).flat
        for part, (title, image, true, predicted) in zip(parts, volumes, strict=True):
            part.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
            low, top = _range(image)
            for ax, k in zip(
                part.subplots(1, columns, squeeze=False).flat, _spread(true, predicted, columns), strict=True
            ):
                ax.set_axis_off()
                ax.imshow(_upright(image[k]), cmap="gray", vmin=low, vmax=top, aspect=high / wide, origin="lower")
                ax.text(
                    0.03, 0.97, f"slice {k + 1}", transform=ax.transAxes, color="white", fontsize=7.5, va="top",
                    bbox={"facecolor": "black", "alpha": 0.55, "linewidth": 0, "pad": 1.5},
                )  # fmt: skip
                for number in range(1, len(labels) + 1):
                    colour = COLOURS[(number - 1) % len(COLOURS)]
                    _outline(ax, _upright(predicted[k] == number), colour, "-", 1.6)
                    _outline(ax, _upright(true[k] == number), "white", (0, (2, 1.5)), 1.1)
        handles = [
            Line2D([], [], color=COLOURS[i % len(COLOURS)], linewidth=2, label=f"{name}, predicted")
            for i, name in enumerate(labels)
        ]
        handles.append(
            Line2D([], [], color="#444444", linestyle=(0, (2, 1.5)), linewidth=1.3, label="true (white, dashed)")
        )
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        return finished(figure, path)


def _upright(plane: np.ndarray) -> np.ndarray:
    """Return a slice (first axis, second axis) so that the first axis runs to the right and the second one up."""
    return plane.T


def _range(image: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(image, (0.5, 99.5)).tolist()
    return low, max(high, low + 1e-6)


def _spread(true: np.ndarray, predicted: np.ndarray, count: int) -> list[int]:
    """Return slices at even distances from the first to the last that shows something, without these two."""
    shows = np.flatnonzero(((true > 0) | (predicted > 0)).any(axis=(1, 2)))
    first, last = (int(shows[0]), int(shows[-1])) if len(shows) else (0, len(true) - 1)
    places = np.linspace(first, last, count + 2)[1:-1]
    return [int(place) for place in np.rint(places)]


def _outline(ax: Axes, mask: np.ndarray, colour: str, line: Any, width: float) -> None:
    """Draw the edges of the pixels of a mask, where it ends."""
    from matplotlib.collections import LineCollection

    wider = np.pad(mask, 1)
    down, across = np.nonzero(wider[1:, 1:-1] != wider[:-1, 1:-1]), np.nonzero(wider[1:-1, 1:] != wider[1:-1, :-1])
    flat = [((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)) for y, x in zip(*down, strict=True)]
    steep = [((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)) for y, x in zip(*across, strict=True)]
    ax.add_collection(LineCollection(_joined([*flat, *steep]), colors=colour, linewidths=width, linestyles=[line]))


Point = tuple[float, float]


def _joined(edges: Sequence[tuple[Point, Point]]) -> list[list[Point]]:
    """Join edges that meet into lines, so that dashes run on around corners."""
    beside: dict[Point, list[Point]] = {}
    for a, b in edges:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    lines = []
    while beside:
        start = next(iter(beside))
        line = [start]
        while line[-1] in beside:
            here = line[-1]
            there = beside[here].pop()
            beside[there].remove(here)
            for point in (here, there):
                if not beside[point]:
                    del beside[point]
            line.append(there)
        lines.append(line)
    return lines


def dice_by_case(
    scores: Mapping[str, Sequence[float]],
    cases: Sequence[str],
    path: files.PathLike | None = None,
    title: str = "Dice of the test cases",
) -> Figure:
    """Draw a point for each case and label, cases in the order of their means, and the mean of each label.

    Arguments:
        scores: For each label its Dice coefficients, one for each case.
        cases: Names of the cases.
        path: Where to save the picture, if anywhere.
        title: Above the picture.

    Raises:
        ValueError: If a label has another number of values than there are cases, or there is no case.
    """
    if not cases or any(len(values) != len(cases) for values in scores.values()):
        raise ValueError(f"dice_by_case needs one value for each of {len(cases)} cases and each label")
    table = np.array([list(values) for values in scores.values()])
    order = np.argsort(table.mean(axis=0), kind="stable")
    with style():
        figure, (ax,) = figure_with_axes(max(6.0, min(11.0, 2.5 + 0.17 * len(cases))), 4.2)
        places = np.arange(len(cases))
        ax.vlines(places, table.min(axis=0)[order], table.max(axis=0)[order], color="#CFCFCF", linewidth=1.2, zorder=1)
        for i, (name, values) in enumerate(zip(scores, table, strict=True)):
            colour, marker = COLOURS[i % len(COLOURS)], "osD^vP*"[i % 7]
            ax.plot(
                places, values[order], marker, color=colour, markersize=5.5, label=f"{name}: mean {values.mean():.3f}"
            )
            ax.axhline(values.mean(), color=colour, linewidth=1.2, linestyle="--", zorder=0)
        lowest = float(table.min())
        ax.set_ylim(max(-0.02, np.floor(lowest * 10 - 0.5) / 10), 1.01)
        ax.set_xlim(-0.8, len(cases) - 0.2)
        ax.set(xlabel="case, from the worst to the best", ylabel="Dice coefficient")
        ax.set_title(title)
        ax.grid(axis="x", visible=False)
        if len(cases) <= 12:
            ax.set_xticks(places, [cases[i] for i in order], rotation=30, ha="right", fontsize=8)
        else:
            ax.set_xticks([0, len(cases) - 1], [cases[order[0]], cases[order[-1]]], fontsize=8)
            first, last = ax.get_xticklabels()
            first.set_horizontalalignment("left")
            last.set_horizontalalignment("right")
        ax.spines["bottom"].set_color(GREY)
        figure.legend(loc="outside lower center", ncols=len(scores))
        return finished(figure, path)
