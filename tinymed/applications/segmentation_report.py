"""What a segmentation is worth: numbers of whole volumes, pictures, and a few cases to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymed import metrics
from tinymed.applications import run
from tinymed.applications import segmentation_cases as cases_of
from tinymed.applications.segmentation_cases import Case, Cases, Plan
from tinymed.datasets import volumes

LEAST = 5
"""Fewer cases than this say nothing about others."""

Table = dict[str, dict[str, dict[str, float]]]
"""For each case, for each label by name: dice, iou, hausdorff, volume, volume_pred."""


def measure(cases: Sequence[Case], found: Sequence[np.ndarray], labels: Mapping[int, str]) -> Table:
    """Return the numbers of each case."""
    return {
        case.name: metrics.volume_report(case.truth, mask, labels, case.volume.spacing)
        for case, mask in zip(cases, found, strict=True)
    }


def summary(table: Table) -> dict[str, Any]:
    """Return means over the cases: by label, and the mean of these with its 95 % interval over the cases."""
    reports = list(table.values())
    by_label = {
        label: {key: float(np.mean([report[label][key] for report in reports])) for key in ("dice", "iou", "hausdorff")}
        for label in reports[0]
    }
    for label, numbers in by_label.items():
        numbers["dice_least"] = min(report[label]["dice"] for report in reports)
    means = {
        key: float(np.mean([numbers[key] for numbers in by_label.values()])) for key in ("dice", "iou", "hausdorff")
    }
    found: dict[str, Any] = {**means, "samples": len(reports), "by_label": by_label}
    if len(reports) >= LEAST:
        by_case = [np.mean([numbers["dice"] for numbers in report.values()]) for report in reports]
        found["dice_interval"] = metrics.bootstrap(lambda _, dice: float(np.mean(dice)), by_case, by_case).numbers()
    return found


def rows(numbers: Mapping[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    lines = [("cases", str(numbers["samples"]))]
    for label, found in (*numbers["by_label"].items(), ("mean", numbers)):
        words = f"Dice {found['dice']:.4f}  IoU {found['iou']:.4f}  HD95 {found['hausdorff']:.2f} mm"
        lines.append((label, words))
    if "dice_interval" in numbers:
        low, high = numbers["dice_interval"]
        lines.append(("mean Dice of other cases", f"{low:.3f} to {high:.3f} (95 %)"))
    return lines


def write(job: Any, history: run.History, cases: Cases, found: Sequence[np.ndarray], table: Table, plan: Plan) -> None:
    """Draw the pictures, write the numbers of each case, and a few cases to try prediction on."""
    from tinymed import files, plots
    from tinymed.plots import segmentation as pictures

    plots.learning_curves(history, path=job / "learning_curves.png")
    labels = list(cases.labels.values())
    scores = {label: [report[label]["dice"] for report in table.values()] for label in labels}
    pictures.dice_by_case(scores, list(table), path=job / "dice.png")
    order = np.argsort(np.mean(list(scores.values()), axis=0))
    shown = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    drawn = []
    for word, place in shown.items():
        case, mean = cases.test[place], np.mean([scores[label][place] for label in labels])
        image = cases_of.prepare(case.volume, plan).slices[..., plan.slices // 2]
        stacks = [np.moveaxis(case.volume.to_ras(mask), plan.axis, 0) for mask in (case.truth, found[place])]
        if stacks[0].shape != image.shape:  # the volume was resampled: show it as it was
            image = np.moveaxis(case.volume.to_ras(), plan.axis, 0)
        drawn.append((f"{word}: {case.name}, mean Dice {mean:.3f}", image, *stacks))
    spacing = np.delete(cases.test[0].volume.spacing_ras, plan.axis).tolist()
    pictures.contours(drawn, labels, spacing, path=job / "contours.png")
    lines = ["case,label,dice,iou,hausdorff_mm,volume_ml,volume_predicted_ml"]
    for name, report in table.items():
        for label, one in report.items():
            lines.append(f"{name},{label}," + ",".join(f"{value:.6g}" for value in one.values()))
    files.write_text(job / "cases.csv", "\n".join(lines) + "\n")
    folder = job / "examples"
    try:
        for case in cases.test[:3]:
            volumes.write(folder / "images" / f"{case.name}.nii.gz", case.volume.array, case.volume)
            volumes.write(folder / "labels" / f"{case.name}.nii.gz", case.truth, case.volume)
    except ImportError as error:
        print(f"no examples are written: {error}", flush=True)
