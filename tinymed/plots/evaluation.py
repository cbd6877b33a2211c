"""How far a result can be trusted: calibration, several ROC curves at once, and intervals side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files, metrics
from tinymed.plots.style import BLUE, GREEN, GREY, ORANGE, RED, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9")
_DASHES = ("-", "--", "-.", ":")


def reliability(
    y_true: Any,
    probabilities: Any,
    bins: int = 10,
    path: files.PathLike | None = None,
    title: str = "Calibration",
    strategy: str = "uniform",
    of: str = "class 1",
) -> Figure:
    """Draw observed against predicted frequency, and below how many predictions there are of each size.

    On the diagonal the probabilities mean what they say; below it the model is too sure of class 1. The bars at the
    points are 95 % intervals of the observed frequency (Wilson's): few samples say little.

    Arguments:
        y_true: Labels 0 or 1.
        probabilities: Of class 1.
        bins: Number of bins.
        path: Where to save the picture, if anywhere.
        title: Above the picture.
        strategy: As for :func:`tinymed.metrics.reliability_curve`.
        of: What class 1 is called.
    """
    curve = metrics.reliability_curve(y_true, probabilities, bins, strategy)
    error = metrics.expected_calibration_error(y_true, probabilities, bins, strategy)
    brier = metrics.brier_score(y_true, probabilities)
    low, high = _wilson(curve.observed, curve.counts)
    with style():
        figure, (ax, below) = _stacked(5.0, 6.3)
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="perfect")
        ax.errorbar(
            curve.predicted, curve.observed, yerr=[curve.observed - low, high - curve.observed],
            color=BLUE, marker="o", markersize=6, elinewidth=1.2, capsize=3, label="model",
        )  # fmt: skip
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel=f"observed frequency of {of}")
        ax.set_title(f"{title}\n")
        words = f"expected calibration error {error:.3f}, Brier score {brier:.3f}"
        ax.text(0, 1.03, words, transform=ax.transAxes, color=GREY)
        ax.legend(loc="upper left")
        host = backend.to_host(probabilities).reshape(-1)
        below.hist(host, bins=np.linspace(0, 1, bins + 1), color=BLUE, alpha=0.6, edgecolor="white")
        below.set(xlim=(-0.02, 1.02), xlabel=f"predicted probability of {of}", ylabel="samples")
        return finished(figure, path)


def _stacked(width: float, height: float) -> tuple[Figure, tuple[Any, Any]]:
    from tinymed.plots.style import bare_figure

    figure = bare_figure(width, height)
    upper, lower = figure.subplots(2, 1, height_ratios=(3.4, 1))
    return figure, (upper, lower)


def _wilson(share: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of a share."""
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return np.minimum(middle - half, share), np.maximum(middle + half, share)


def roc_curves(
    curves: Mapping[str, tuple[Any, Any]], path: files.PathLike | None = None, title: str = "ROC curves"
) -> Figure:
    """Draw several ROC curves into one picture: folds, or models to compare.

    Arguments:
        curves: Labels and scores by name.
        path: Where to save the picture, if anywhere.
        title: Above the picture.
    """
    with style():
        figure, (ax,) = figure_with_axes(5.2, 5.2)
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
        for place, (name, (labels, scores)) in enumerate(curves.items()):
            x, y, _ = metrics.roc_curve(labels, scores)
            area = metrics.roc_auc(labels, scores)
            ax.plot(
                x, y, linewidth=1.8, color=_COLOURS[place % len(_COLOURS)], linestyle=_DASHES[place % len(_DASHES)],
                label=f"{name}: AUC = {area:.3f}",
            )  # fmt: skip
        ax.set(
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="1 − specificity (false positive rate)",
            ylabel="sensitivity (true positive rate)",
        )  # fmt: skip
        ax.set_title(title)
        ax.set_aspect("equal")
        ax.legend(loc="lower right")
        return finished(figure, path)


def intervals(
    names: Sequence[str],
    values: Sequence[Any],
    path: files.PathLike | None = None,
    title: str = "",
    xlabel: str = "AUC",
) -> Figure:
    """Draw numbers with their confidence intervals, one below the other.

    Arguments:
        names: What each is.
        values: An :class:`tinymed.metrics.Interval` for each.
        path: Where to save the picture, if anywhere.
        title: Above the picture.
        xlabel: What the numbers are.
    """
    if len(names) != len(values) or not len(names):
        raise ValueError(f"intervals got {len(names)} names and {len(values)} values; it needs as many, at least one")
    with style():
        figure, (ax,) = figure_with_axes(6.4, 1.3 + 0.42 * len(names))
        for place, found in enumerate(values):
            ax.plot([found.low, found.high], [place, place], color=BLUE, linewidth=2)
            ax.plot(found.value, place, "o", color=BLUE, markersize=7)
            ax.annotate(
                f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})", (1.02, place),
                xycoords=("axes fraction", "data"), va="center", fontsize=9,
            )  # fmt: skip
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_xlabel(xlabel)
        ax.grid(False, axis="y")
        if title:
            ax.set_title(title)
        return finished(figure, path)
