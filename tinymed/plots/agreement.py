"""Pictures of predicted numbers: against the true ones, and their differences (Bland and Altman)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import files
from tinymed.backend import to_host
from tinymed.plots.style import BLUE, GREY, RED, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def agreement(
    y_true: Any,
    y_pred: Any,
    path: files.PathLike | None = None,
    what: str = "value",
    unit: str = "",
) -> Figure:
    """Draw predicted against true values, and beside it each difference over the mean of the two.

    The right picture is that of Bland and Altman (The Lancet 327, 1986): the mean of the differences is the bias, and
    95 % of them lie between the two dashed lines, 1.96 standard deviations off it.

    Arguments:
        y_true: True values (N,).
        y_pred: Predicted values (N,).
        path: Where to save the picture, if anywhere.
        what: Name of the values.
        unit: Their unit.

    Raises:
        ValueError: If there are no values, or not as many of both.
    """
    true, pred = to_host(y_true).astype(float).reshape(-1), to_host(y_pred).astype(float).reshape(-1)
    if not len(true) or len(true) != len(pred):
        raise ValueError(f"agreement needs as many predicted as true values, got {len(pred)} and {len(true)}")
    words = f" ({unit})" if unit else ""
    error = pred - true
    bias, half = float(error.mean()), 1.96 * float(error.std())
    size = float(np.clip(60 / np.sqrt(len(true) / 10), 5, 30))
    with style():
        figure, (left, right) = figure_with_axes(10.5, 4.8, 1, 2)
        low, high = float(min(true.min(), pred.min())), float(max(true.max(), pred.max()))
        room = 0.04 * max(high - low, 1e-6)
        limits = (low - room, high + room)
        left.plot(limits, limits, color=GREY, linestyle="--", linewidth=1.2, label="predicted = true")
        left.scatter(true, pred, s=size, color=BLUE, alpha=0.6, linewidths=0)
        left.set(xlim=limits, ylim=limits, xlabel=f"true {what}{words}", ylabel=f"predicted {what}{words}")
        left.set_aspect("equal")
        left.set_title(f"Mean absolute error {np.abs(error).mean():.2f}{' ' + unit if unit else ''}")
        left.legend(loc="upper left")
        right.axhline(0, color=GREY, linewidth=1)
        right.scatter((true + pred) / 2, error, s=size, color=BLUE, alpha=0.6, linewidths=0)
        right.axhline(bias, color=RED, linewidth=1.5, label=f"bias {bias:+.2f}")
        for sign, label in ((1, f"95 %: {bias - half:+.1f} to {bias + half:+.1f}"), (-1, None)):
            right.axhline(bias + sign * half, color=RED, linewidth=1.2, linestyle="--", label=label)
        right.set(xlabel=f"mean of true and predicted{words}", ylabel=f"predicted − true{words}")
        right.set_title("Differences (Bland–Altman)")
        right.margins(y=0.15)
        right.legend(loc="best")
        return finished(figure, path)
