"""What is said of a detector: numbers, the lines of a table, pictures, and the boxes it found."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymed import files, metrics, plots
from tinymed.applications import detection_search as search
from tinymed.applications import run
from tinymed.applications.run import Prediction
from tinymed.datasets.lesions import Lesions
from tinymed.metrics.detection import RATES

IOU = 0.5
"""Overlap from which a box counts as right."""

SIZES = ((3.0, 5.0), (5.0, 8.0), (8.0, float("inf")))
"""Diameters in pixels for which the sensitivity is told apart."""


def numbers(found: search.Found, true: Sequence[np.ndarray], threshold: float) -> dict[str, Any]:
    """Return how well the lesions were found."""
    sensitivity = metrics.froc_sensitivity(found, true, RATES, IOU)
    told = [(boxes[scores >= threshold], scores[scores >= threshold]) for boxes, scores in found]
    hits = [metrics.match_boxes(*pair, boxes, IOU) for pair, boxes in zip(told, true, strict=True)]
    reached = np.concatenate([np.isin(np.arange(len(boxes)), hit) for boxes, hit in zip(true, hits, strict=True)])
    width = np.concatenate([(boxes[:, 2:] - boxes[:, :2]).mean(axis=1) for boxes in true])
    by_size = {}
    for low, high in SIZES:
        inside = (width >= low) & (width < high) if low > SIZES[0][0] else width < high
        name = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"
        by_size[name] = {"lesions": int(inside.sum()), "found": int(reached[inside].sum())}
    return {
        "samples": len(true),
        "lesions": len(reached),
        "average_precision": metrics.detection_average_precision(found, true, IOU),
        "average_precision_at_0.3": metrics.detection_average_precision(found, true, 0.3),
        "iou": IOU,
        "froc": dict(zip(map(_rate, RATES), sensitivity.tolist(), strict=True)),
        "cpm": float(sensitivity.mean()),
        "threshold": threshold,
        "hits": int(reached.sum()),
        "missed": int((~reached).sum()),
        "false_alarms": int(sum((hit < 0).sum() for hit in hits)),
        "found_by_size": by_size,
    }


def _rate(rate: float) -> str:
    return f"{rate:g}" if rate >= 1 else f"1/{1 / rate:g}"


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    lines = [
        ("images", str(numbers["samples"])),
        ("lesions", str(numbers["lesions"])),
        (f"average precision (IoU {numbers['iou']})", f"{numbers['average_precision']:.4f}"),
        ("average precision (IoU 0.3)", f"{numbers['average_precision_at_0.3']:.4f}"),
        ("false alarms per image", "sensitivity"),
    ]
    lines += [(f"  {rate}", f"{value:.4f}") for rate, value in numbers["froc"].items()]
    lines += [
        ("mean sensitivity (CPM)", f"{numbers['cpm']:.4f}"),
        (
            f"scores from {numbers['threshold']:.2f} on",
            f"{numbers['hits']} found, {numbers['missed']} missed, {numbers['false_alarms']} false alarms",
        ),
    ]
    for name, part in numbers["found_by_size"].items():
        if part["lesions"]:
            share = part["found"] / part["lesions"]
            lines.append((f"  of {name} pixels", f"{part['found']} of {part['lesions']} found ({share:.0%})"))
    return lines


def draw(job: Any, history: run.History, model: Any, test: Lesions, found: search.Found, threshold: float) -> None:
    """Draw the pictures of a run."""
    plots.learning_curves(history, path=job / "learning_curves.png")
    plots.detection_precision_recall(found, test.boxes, threshold, IOU, path=job / "precision_recall.png")
    plots.froc(found, test.boxes, threshold, IOU, path=job / "froc.png")
    shown = slice(0, 24)
    plots.box_sheet(test.images[shown], test.boxes[shown], found[shown], threshold, IOU, path=job / "boxes.png")
    some = slice(0, 6)
    heat, _ = search.maps(model, test.images[some])
    plots.heat_sheet(test.images[some], heat, test.boxes[some], search.STRIDE, path=job / "heat_maps.png")


# --- what was found ----------------------------------------------------------------------------------------------


def told(name: str, found: list[tuple[np.ndarray, float, tuple[int, int] | None]]) -> list[Prediction]:
    """Return one entry for each lesion of an image or volume; one that says so if there is none."""
    if not found:
        return [Prediction(name, ("-", "no lesion found", ""))]
    entries = []
    for box, score, slices in found:
        y0, x0, y1, x1 = (float(value) for value in box)
        where = f"rows {y0:.1f} to {y1:.1f}, columns {x0:.1f} to {x1:.1f}"
        deep = "" if slices is None else f"slices {slices[0]} to {slices[1]}"
        values = {"score": score, "box": (y0, x0, y1, x1), "slices": slices}
        entries.append(Prediction(name, (f"{score:.3f}", where, deep), values))
    return entries


def write_boxes(path: pathlib.Path, predictions: Sequence[Prediction]) -> None:
    """Write a line for each lesion; an image without any has one line without numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "y0", "x0", "y1", "x1", "score", "first_slice", "last_slice"])
    for item in predictions:
        if not item.values:
            writer.writerow([item.name, *[""] * 7])
            continue
        box = (f"{value:.2f}" for value in item.values["box"])
        writer.writerow([item.name, *box, f"{item.values['score']:.4f}", *(item.values["slices"] or ("", ""))])
    files.write_text(path, text.getvalue())
