"""Pictures of patients over time: what was measured and what had been predicted, and how errors grow or shrink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import files
from tinymed.plots.style import BLUE, GREEN, GREY, ORANGE, RED, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def trajectories(
    patients: Sequence[tuple[str, Any, Any, Any]], path: files.PathLike | None = None, what: str = "score"
) -> Figure:
    """Draw what was measured of each patient, and what had been predicted for each visit from those before it.

    Arguments:
        patients: For each a name, the times of the visits in months (T,), the measured values (T,) with NaN where there
            is none, and the predictions for all visits but the first (T - 1,), NaN where there is none.
        path: Where to save the picture, if anywhere.
        what: Name of the values.

    Raises:
        ValueError: If there is no patient.
    """
    if not patients:
        raise ValueError("trajectories needs at least one patient")
    columns = min(3, len(patients))
    rows = -(-len(patients) // columns)
    with style():
        figure, axes = figure_with_axes(3.7 * columns, 2.7 * rows + 0.4, rows, columns)
        for ax, (name, times, values, predicted) in zip(axes, patients, strict=False):
            times, values = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
            known = np.isfinite(values)
            ax.plot(times[known], values[known], "o-", color=BLUE, markersize=5, linewidth=1.4, label="measured")
            ax.plot(times[1:], predicted, "D", color=RED, markersize=5, mfc="none", mew=1.5, label="predicted before")
            for time, value, guess in zip(times[1:], values[1:], predicted, strict=True):
                if np.isfinite(value) and np.isfinite(guess):
                    ax.plot([time, time], [value, guess], color=GREY, linewidth=0.9, zorder=0)
            ax.set_title(str(name), fontsize=10)
        for ax in axes[len(patients) :]:
            ax.set_axis_off()
        for i, ax in enumerate(axes[: len(patients)]):
            if i % columns == 0:
                ax.set_ylabel(what)
            if i + columns >= len(patients):
                ax.set_xlabel("months")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        return finished(figure, path)


def errors_by(
    errors: Mapping[str, Any], group: Any, path: files.PathLike | None = None, by: str = "group", unit: str = ""
) -> Figure:
    """Draw the mean error of several predictors in each group, with 95 % of its uncertainty as a band.

    Arguments:
        errors: Absolute errors (N,) by the predictor's name.
        group: A whole number for each of the N, such as how many visits came before.
        path: Where to save the picture, if anywhere.
        by: What the groups are.
        unit: Unit of the errors.

    Raises:
        ValueError: If the lengths differ.
    """
    from matplotlib.ticker import MaxNLocator

    group = np.asarray(group)
    for name, values in errors.items():
        if len(values) != len(group) or not len(group):
            raise ValueError(f"errors_by: {name} has {len(values)} errors for {len(group)} groups")
    places = np.unique(group)
    with style():
        figure, (ax,) = figure_with_axes(6.2, 4.0)
        for (name, values), colour, marker in zip(errors.items(), (BLUE, ORANGE, GREEN, RED), "osDv", strict=False):
            parts = [np.asarray(values, dtype=float)[group == place] for place in places]
            mean = np.array([part.mean() for part in parts])
            half = np.array([1.96 * part.std() / np.sqrt(len(part)) for part in parts])
            ax.fill_between(places, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
            ax.plot(places, mean, marker=marker, color=colour, label=name)
        ax.set(xlabel=by, ylabel=f"mean absolute error{f' ({unit})' if unit else ''}", ylim=(0, None))
        ax.set_title("Error against what was known")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        ax.legend(loc="lower left")
        return finished(figure, path)
