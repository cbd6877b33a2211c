"""Curves and matrices: how training went, and how good the result is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files, metrics
from tinymed.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# --- training ----------------------------------------------------------------------------------------------------


def learning_curves(history: Any, path: files.PathLike | None = None) -> Figure:
    """Draw loss and metrics over the epochs: training dim, validation solid, its best epoch marked.

    Arguments:
        history: What ``fit`` returned, or its ``history`` dict.
        path: Where to save the picture (``.png``, ``.pdf``, ``.svg``), if anywhere.

    Raises:
        ValueError: If the history holds no epoch.
    """
    from matplotlib.ticker import MaxNLocator

    series = _series(history)
    names = [name for name in series if not name.startswith("val_") and name != "learning_rate"]
    names += [name[4:] for name in series if name.startswith("val_") and name[4:] not in series]
    if not names:
        raise ValueError("learning_curves needs a history with at least one finished epoch")
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    with style():
        figure, axes = figure_with_axes(max(4.2 * columns, 5.2), 3.3 * rows, rows, columns)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        for ax, name in zip(axes, names, strict=False):
            _curves_of(ax, name, series)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        for ax in axes[len(names) :]:
            ax.set_axis_off()
        return finished(figure, path)


def _series(history: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return epochs (from 1) and values of each scalar name of a History or a dict of lists."""
    record: Mapping[str, Sequence[Any]] = getattr(history, "history", history)
    length = max((len(values) for values in record.values()), default=0)
    found = {}
    for name, values in record.items():
        epochs: Sequence[int] = range(len(values))
        if hasattr(history, "series"):
            epochs, values = history.series(name)
        elif 0 < len(values) < length:  # validation every few epochs
            every = length // len(values)
            epochs = range(every - 1, every * len(values), every)
        if len(values) and np.ndim(values[0]) == 0:
            found[name] = np.asarray(epochs) + 1, np.asarray(values, dtype=float)
    return found


def _curves_of(ax: Axes, name: str, series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    colour = BLUE
    if name in series:
        alone = f"val_{name}" not in series
        ax.plot(
            *series[name], color=colour, alpha=1 if alone else 0.45, linestyle="-" if alone else "--", label="training"
        )
    best = None
    if f"val_{name}" in series:
        epochs, values = series[f"val_{name}"]
        ax.plot(epochs, values, color=colour, marker="o" if len(epochs) == 1 else None, label="validation")
        best = _best(name, values)
    elif len(series[name][0]) == 1:
        ax.plot(*series[name], color=colour, marker="o")
    if best is not None:
        ax.axvline(epochs[best], color=GREY, linewidth=0.9, linestyle=":")
        ax.plot(
            epochs[best], values[best], "o", color=RED, markersize=7, zorder=5,
            label=f"best: {_short(values[best])} in epoch {epochs[best]}",
        )  # fmt: skip
    ax.set_title(_words(name))
    ax.set_xlabel("epoch")
    ax.margins(x=0.03, y=0.08)
    ax.legend(loc="best")


def _best(name: str, values: np.ndarray) -> int | None:
    """Return where the best value lies, or None if it is not known which way is better."""
    from tinymed.callbacks.monitor import direction_of

    try:
        sign = 1 if direction_of(name) == "max" else -1
    except ValueError:
        return None
    return None if np.isnan(values).all() else int(np.nanargmax(sign * values))


def _words(name: str) -> str:
    known = {"auc": "AUC", "mse": "MSE", "mae": "MAE", "rmse": "RMSE", "io_u": "IoU", "f1_score": "F1 score"}
    return known.get(name.lower(), name.replace("_", " ").capitalize() if name.islower() else name)


def _short(value: float) -> str:
    return f"{value:.3f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"


# --- classification ----------------------------------------------------------------------------------------------


def roc(y_true: Any, scores: Any, path: files.PathLike | None = None, title: str = "ROC curve") -> Figure:
    """Draw the ROC curve: the part of the positives found against the part of the negatives called positive.

    Arguments:
        y_true: Labels 0 or 1.
        scores: Numbers that grow with the probability of class 1.
        path: Where to save the picture, if anywhere.
        title: Above the picture.

    Raises:
        ValueError: If there is no positive or no negative.
    """
    x, y, thresholds = metrics.roc_curve(y_true, scores)
    area = metrics.roc_auc(y_true, scores)
    with style():
        figure, (ax,) = figure_with_axes(5.0, 5.0)
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="guessing: AUC = 0.5")
        ax.fill_between(x, y, color=BLUE, alpha=0.10, linewidth=0)
        ax.plot(x, y, color=BLUE, label=f"model: AUC = {area:.3f}")
        _mark_half(ax, x, y, thresholds)
        _unit_square(ax, "1 − specificity (false positive rate)", "sensitivity (true positive rate)", title)
        ax.legend(loc="lower right")
        return finished(figure, path)


def roc_of_classes(
    y_true: Any,
    scores: Any,
    class_names: Sequence[str] | None = None,
    path: files.PathLike | None = None,
    title: str = "ROC curves, one class against the rest",
) -> Figure:
    """Draw a ROC curve for each of several classes.

    Arguments:
        y_true: Class numbers (N,).
        scores: Probabilities (N, C), a column for each class.
        class_names: Names of the classes; their numbers if omitted.
        path: Where to save the picture, if anywhere.
        title: Above the picture.

    Raises:
        ValueError: If a class does not occur, or there are not as many names as columns.
    """
    labels, values = backend.to_host(y_true).reshape(-1), backend.to_host(scores)
    names = [str(name) for name in (range(values.shape[1]) if class_names is None else class_names)]
    if len(names) != values.shape[1]:
        raise ValueError(f"roc_of_classes got {len(names)} class names for {values.shape[1]} columns of scores")
    areas = [metrics.roc_auc(labels == k, values[:, k]) for k in range(len(names))]
    colours, dashes = (BLUE, ORANGE, GREEN, RED, PURPLE), ("-", "--", ":", "-.")
    with style():
        figure, (ax,) = figure_with_axes(6.7 + 0.07 * max(map(len, names)), 5.0)
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="guessing: AUC = 0.5")
        for k, (name, area) in enumerate(zip(names, areas, strict=True)):
            x, y, _ = metrics.roc_curve(labels == k, values[:, k])
            colour, dash = colours[k % len(colours)], dashes[k // len(colours) % len(dashes)]
            ax.plot(x, y, color=colour, linestyle=dash, linewidth=1.6, label=f"{name}: AUC = {area:.3f}")
        _unit_square(ax, "1 − specificity (false positive rate)", "sensitivity (true positive rate)", title)
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title=f"mean AUC = {np.mean(areas):.3f}")
        return finished(figure, path)


def precision_recall(
    y_true: Any, scores: Any, path: files.PathLike | None = None, title: str = "Precision and recall"
) -> Figure:
    """Draw precision against recall.

    Arguments:
        y_true: Labels 0 or 1.
        scores: Numbers that grow with the probability of class 1.
        path: Where to save the picture, if anywhere.
        title: Above the picture.

    Raises:
        ValueError: If there is no positive.
    """
    precision, recall, thresholds = metrics.precision_recall_curve(y_true, scores)
    average = metrics.average_precision(y_true, scores)
    share = float(np.mean(backend.to_host(y_true)))
    with style():
        figure, (ax,) = figure_with_axes(5.0, 5.0)
        ax.axhline(share, color=GREY, linestyle="--", linewidth=1.2, label=f"guessing: precision = {share:.2f}")
        steps = np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision])
        ax.fill_between(*steps, step="pre", color=BLUE, alpha=0.10, linewidth=0)
        ax.step(*steps, where="pre", color=BLUE, label=f"model: average precision = {average:.3f}")
        _mark_half(ax, recall, precision, thresholds)
        _unit_square(ax, "recall (sensitivity)", "precision (positive predictive value)", title)
        ax.legend(loc="lower left")
        return finished(figure, path)


def _mark_half(ax: Axes, x: np.ndarray, y: np.ndarray, thresholds: np.ndarray) -> None:
    """Mark the point at which scores above 0.5 are positive, if the scores are probabilities."""
    above = np.flatnonzero(thresholds[np.isfinite(thresholds)] > 0.5) + int(np.isinf(thresholds[0]))
    if len(above) and np.nanmin(thresholds) >= 0 and thresholds[np.isfinite(thresholds)].max() <= 1:
        ax.plot(x[above[-1]], y[above[-1]], "o", color=RED, markersize=8, zorder=5, label="threshold 0.5")


def _unit_square(ax: Axes, xlabel: str, ylabel: str, title: str) -> None:
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title)
    ax.set_aspect("equal")


def confusion(
    matrix: Any,
    class_names: Sequence[str] | None = None,
    path: files.PathLike | None = None,
    title: str = "Confusion matrix",
) -> Figure:
    """Draw a confusion matrix: counts, and their part of the true class (dark: a large part).

    Arguments:
        matrix: Counts (classes, classes), a row for each true class, a column for each predicted one.
        class_names: Names of the classes; their numbers if omitted.
        path: Where to save the picture, if anywhere.
        title: Above the picture.

    Raises:
        ValueError: If the matrix is not square or has another number of classes than there are names.
    """
    counts = backend.to_host(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"confusion expects a square matrix of counts but got shape {counts.shape}")
    size = len(counts)
    names = [str(name) for name in (range(size) if class_names is None else class_names)]
    if len(names) != size:
        raise ValueError(f"confusion got {len(names)} class names for {size} classes")
    rows = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(rows, 1)
    with style():
        side = max(3.6, 0.85 * size + 1.4)
        figure, (ax,) = figure_with_axes(side + 0.11 * max(map(len, names)), side + 0.3)
        ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for i in range(size):
            for j in range(size):
                text = f"{counts[i, j]:,}\n{share[i, j]:.1%}" if rows[i, 0] else f"{counts[i, j]:,}"
                ax.text(
                    j, i, text, ha="center", va="center", color="white" if share[i, j] > 0.55 else "#1A1A1A",
                    fontsize=11 if size <= 4 else 8, fontweight="bold" if i == j else "normal",
                )  # fmt: skip
        slanted = max(map(len, names)) > (4 if size > 3 else 14)
        ax.set_xticks(range(size), names, rotation=35 if slanted else 0, ha="right" if slanted else "center")
        ax.set_yticks(range(size), names)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.set_title(title)
        ax.grid(False)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        ax.set_xticks(np.arange(size - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(size - 1) + 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=3)
        ax.tick_params(which="minor", length=0)
        return finished(figure, path)
