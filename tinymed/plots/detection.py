"""Pictures of found boxes: over the images, as heat maps, and as curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import files, metrics
from tinymed.metrics.detection import RATES
from tinymed.plots.style import BLUE, GREEN, GREY, ORANGE, RED, bare_figure, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Found = Sequence[tuple[Any, Any]]

LIGHT_GREEN, LIGHT_RED, YELLOW = "#3BE8A7", "#FF7A1A", "#FFE14D"
"""Brighter than the palette, to be seen on black; told apart by their line styles too."""


# --- over images -------------------------------------------------------------------------------------------------


def box_sheet(
    images: Any,
    true: Sequence[Any],
    found: Found,
    threshold: float,
    iou_threshold: float = 0.5,
    columns: int = 8,
    path: files.PathLike | None = None,
) -> Figure:
    """Draw images with their boxes: hits with their scores, false alarms, and lesions that were missed.

    Arguments:
        images: (N, H, W) or (N, H, W, 1), from 0 to 1.
        true: For each image the true boxes.
        found: For each image a pair of boxes and scores.
        threshold: Boxes with lower scores are not drawn.
        iou_threshold: Least overlap of a hit.
        columns: Images in a row.
        path: Where to save the picture, if anywhere.
    """
    pictures = np.asarray(images).reshape(len(images), *np.shape(images)[1:3])
    if not len(pictures) == len(true) == len(found) or not len(true):
        raise ValueError(
            f"box_sheet got {len(pictures)} images, true boxes of {len(true)} and found boxes of {len(found)}; "
            "it needs as many of each, and at least one"
        )
    counts = np.zeros(3, dtype=int)
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    with style():
        figure, axes = figure_with_axes(1.75 * columns, 1.75 * rows + 0.5, rows, columns)
        for ax in axes:
            ax.set_axis_off()
        for ax, picture, boxes, (places, scores) in zip(axes, pictures, true, found, strict=False):
            _show(ax, picture)
            kept = np.asarray(scores) >= threshold
            places, scores = np.asarray(places)[kept], np.asarray(scores)[kept]
            hit = metrics.match_boxes(places, scores, boxes, iou_threshold)
            for place, score, number in zip(places, scores, hit, strict=True):
                _outline(ax, place, *((LIGHT_GREEN, "-") if number >= 0 else (LIGHT_RED, "--")), score)
            missed = [box for number, box in enumerate(boxes) if number not in hit]
            for box in missed:
                _outline(ax, box, YELLOW, ":")
            counts += (int((hit >= 0).sum()), int((hit < 0).sum()), len(missed))
        _legend_of_boxes(figure, counts)
        return finished(figure, path)


def _legend_of_boxes(figure: Figure, counts: np.ndarray) -> None:
    from matplotlib.lines import Line2D

    words = ("found", "false alarms", "missed")
    looks: tuple[tuple[str, Any], ...] = ((GREEN, "-"), (RED, "--"), (ORANGE, ":"))
    handles = [
        Line2D([], [], color=colour, linestyle=line, label=f"{count} {word}")
        for (colour, line), count, word in zip(looks, counts, words, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)


def findings_sheet(
    images: Any, found: Found, findings: Sequence[Any] | None = None, most: int = 12, path: files.PathLike | None = None
) -> Figure:
    """Draw what was found where the truth is not known.

    Arguments:
        images: Images or the slices of a volume, (N, H, W, 1), from 0 to 1.
        found: For each image a pair of boxes and scores.
        findings: What the boxes of a volume were joined to (``box``, ``slices``, ``score``), best first; each is
            shown in the slice of its best box. None for images that have nothing to do with each other.
        most: At most so many images are drawn.
        path: Where to save the picture, if anywhere.
    """
    pictures = np.asarray(images)[..., 0]
    shown: list[tuple[int, str]] = []
    if findings is None:
        shown = [(i, f"image {i}" if len(pictures) > 1 else "") for i in range(min(len(pictures), most))]
    else:
        for item in findings[:most]:
            z = next(
                z for z in range(item.slices[0], item.slices[1] + 1) if any((b == item.box).all() for b in found[z][0])
            )
            if z not in [place for place, _ in shown]:
                shown.append((z, f"slice {z}"))
        shown = shown or [(len(pictures) // 2, f"slice {len(pictures) // 2}: nothing found")]
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    with style():
        side = 3.0 if columns > 1 else 5.0
        tall = side * pictures.shape[1] / pictures.shape[2]
        figure, axes = figure_with_axes(side * columns, (tall + 0.3) * rows, rows, columns)
        for ax in axes:
            ax.set_axis_off()
        for ax, (z, title) in zip(axes, shown, strict=False):
            _show(ax, pictures[z])
            ax.set_title(title, fontsize=10)
            for box, score in zip(*found[z], strict=True):
                _outline(ax, box, LIGHT_GREEN, "-", score)
        return finished(figure, path)


def heat_sheet(images: Any, heat: Any, true: Sequence[Any], stride: int, path: files.PathLike | None = None) -> Figure:
    """Draw images above the same images with the network's heat map over them, and the true boxes.

    Arguments:
        images: (N, H, W) or (N, H, W, 1), from 0 to 1.
        heat: Heat maps (N, OH, OW, 1), from 0 to 1.
        true: For each image the true boxes.
        stride: Pixels for each cell of the map.
        path: Where to save the picture, if anywhere.
    """
    pictures = np.asarray(images).reshape(len(images), *np.shape(images)[1:3])
    with style():
        count = len(pictures)
        figure = bare_figure(2.1 * count + 0.9, 4.3)
        grid = figure.subplots(2, count, squeeze=False)
        for ax in grid.flat:
            ax.set_axis_off()
        for column, (picture, values, boxes) in enumerate(zip(pictures, np.asarray(heat), true, strict=True)):
            _show(grid[0, column], picture)
            _show(grid[1, column], picture)
            values = values[..., 0]
            extent = (0, values.shape[1] * stride, values.shape[0] * stride, 0)
            drawn = grid[1, column].imshow(
                values, cmap="inferno", vmin=0, vmax=1, alpha=np.clip(2 * values, 0, 0.85), extent=extent,
                interpolation="nearest",
            )  # fmt: skip
            grid[1, column].set(xlim=(0, picture.shape[1]), ylim=(picture.shape[0], 0))
            for ax in grid[:, column]:
                for box in boxes:
                    _outline(ax, box, LIGHT_GREEN, "-")
        grid[0, 0].set_title("True boxes", fontsize=10)
        grid[1, 0].set_title("Heat map of the network", fontsize=10)
        bar = figure.colorbar(drawn, ax=grid, shrink=0.7, pad=0.01, label="probability of a centre")
        bar.outline.set_visible(False)
        return finished(figure, path)


def _show(ax: Axes, picture: np.ndarray) -> None:
    height, width = picture.shape
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")


def _outline(ax: Axes, box: Any, colour: str, line: str, score: float | None = None) -> None:
    from matplotlib.patches import Rectangle

    y0, x0, y1, x1 = (float(value) for value in box)
    ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linestyle=line, linewidth=1.3))
    if score is not None:
        above = y0 > 8
        ax.text(
            x0, y0 - 1 if above else y1 + 1, f"{score:.2f}".removeprefix("0"), color=colour, fontsize=7,
            va="bottom" if above else "top", clip_on=True,
        )  # fmt: skip


# --- curves ------------------------------------------------------------------------------------------------------


def detection_precision_recall(
    found: Found,
    true: Sequence[Any],
    threshold: float | None = None,
    iou_threshold: float = 0.5,
    path: files.PathLike | None = None,
) -> Figure:
    """Draw precision against recall of found boxes, and the falling envelope whose area is the average precision.

    Arguments:
        found: For each image a pair of boxes and scores.
        true: For each image the true boxes.
        threshold: A score to mark.
        iou_threshold: Least overlap of a hit.
        path: Where to save the picture, if anywhere.
    """
    precision, recall, scores = metrics.detection_precision_recall(found, true, iou_threshold)
    area = metrics.detection_average_precision(found, true, iou_threshold)
    with style():
        figure, (ax,) = figure_with_axes(5.0, 5.0)
        if len(scores):
            best = np.maximum.accumulate(precision[::-1])[::-1]
            steps = np.append(0.0, recall), np.append(best[0], best)
            ax.fill_between(*steps, step="pre", color=BLUE, alpha=0.10, linewidth=0)
            ax.step(*steps, where="pre", color=BLUE, label=f"average precision = {area:.3f}")
            ax.plot(recall, precision, color=BLUE, alpha=0.4, linewidth=1.0, label="as measured")
            _mark(ax, recall, precision, scores, threshold)
            ax.legend(loc="lower left")
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="recall (sensitivity)", ylabel="precision")
        ax.set_title(f"Precision and recall of boxes (IoU from {iou_threshold:g})")
        ax.set_aspect("equal")
        return finished(figure, path)


def froc(
    found: Found,
    true: Sequence[Any],
    threshold: float | None = None,
    iou_threshold: float = 0.5,
    path: files.PathLike | None = None,
) -> Figure:
    """Draw sensitivity against false alarms for each image (FROC), with the seven rates at which it is stated.

    Arguments:
        found: For each image a pair of boxes and scores.
        true: For each image the true boxes.
        threshold: A score to mark.
        iou_threshold: Least overlap of a hit.
        path: Where to save the picture, if anywhere.
    """
    alarms, sensitivity, scores = metrics.froc(found, true, iou_threshold)
    at = metrics.froc_sensitivity(found, true, RATES, iou_threshold)
    with style():
        figure, (ax,) = figure_with_axes(6.2, 4.4)
        left = RATES[0] / 4
        if len(scores):
            x = np.concatenate([[left], np.maximum(alarms, left), [max(RATES[-1], alarms[-1])]])
            y = np.concatenate([[max(sensitivity[alarms <= left], default=0.0)], sensitivity, sensitivity[-1:]])
            seen = np.append(True, np.append(alarms > left, True))
            ax.step(x[seen], y[seen], where="post", color=BLUE)
        ax.plot(RATES, at, "o", color=BLUE, markersize=6, label=f"mean of these seven (CPM) = {at.mean():.3f}")
        _mark(ax, np.maximum(alarms, left), sensitivity, scores, threshold)
        ax.set_xscale("log", base=2)
        ax.set_xticks(RATES, ["1/8", "1/4", "1/2", "1", "2", "4", "8"])
        ax.minorticks_off()
        ax.set(xlim=(left, RATES[-1] * 1.25), ylim=(-0.02, 1.02))
        ax.set(xlabel="false alarms per image (logarithmic)", ylabel="sensitivity")
        ax.set_title(f"FROC (hits from IoU {iou_threshold:g})")
        ax.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        ax.legend(loc="lower right")
        return finished(figure, path)


def _mark(ax: Axes, x: np.ndarray, y: np.ndarray, scores: np.ndarray, threshold: float | None) -> None:
    """Mark the point of the boxes whose scores reach the threshold."""
    if threshold is not None and (scores >= threshold).any():
        last = np.flatnonzero(scores >= threshold)[-1]
        ax.plot(x[last], y[last], "o", color=RED, markersize=8, zorder=5, label=f"scores from {threshold:.2f} on")
