"""What the lessons share that is not their subject: drawing numbers in squares, and marking exercises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
"""Okabe and Ito's colours, which colour-blind readers can tell apart."""

Place = tuple[int, int]


def set_style() -> None:
    """Choose sizes and colours that are legible on a page and on a projector."""
    plt.rcParams.update(
        {
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, GREY]),
            "lines.linewidth": 2,
            "legend.frameon": False,
        }
    )


def draw_matrices(*panels: dict[str, Any] | str, cell: float = 0.5) -> Any:
    """Draw matrices side by side as squares with numbers in them, all squares of one size.

    Args:
        panels: What stands in the row: a sign such as "=", or a matrix as a dict with ``values``, ``title`` and, where
            wanted, ``tint`` (places (row, column) to colour) and ``frame`` (row, column, height, width to frame).
        cell: Side of a square in inches.

    Returns:
        The figure.
    """
    matrices = [np.atleast_2d(panel["values"]) for panel in panels if isinstance(panel, dict)]
    height = max(len(values) for values in matrices)
    widths = [0.6 if isinstance(panel, str) else np.atleast_2d(panel["values"]).shape[1] for panel in panels]
    gap = 0.5
    total = sum(widths) + gap * (len(panels) - 1)
    figure, ax = plt.subplots(figsize=(cell * (total + 0.4), cell * (height + 1.1)))
    left = 0.0
    for panel, width in zip(panels, widths, strict=True):
        if isinstance(panel, str):
            ax.text(left + width / 2, height / 2, panel, ha="center", va="center", fontsize=18, color=GREY)
        else:
            _draw_matrix(ax, left, height, **panel)
        left += width + gap
    ax.set(xlim=(-0.2, total + 0.2), ylim=(height + 0.1, -1.0), aspect="equal")
    ax.set_axis_off()
    return figure


def _draw_matrix(
    ax: Any,
    left: float,
    height: int,
    values: Any,
    title: str,
    tint: Iterable[Place] = (),
    frame: tuple[int, int, int, int] | None = None,
) -> None:
    values, tint = np.atleast_2d(values), set(tint)
    top = (height - len(values)) / 2
    for (i, j), value in np.ndenumerate(values):
        colour = "#F7DCA5" if (i, j) in tint else "white"
        ax.add_patch(plt.Rectangle((left + j, top + i), 1, 1, facecolor=colour, edgecolor="#888888", linewidth=0.8))
        ax.text(
            left + j + 0.5, top + i + 0.53, format(value, "g"), ha="center", va="center",
            fontweight="bold" if (i, j) in tint else "normal",
        )  # fmt: skip
    if frame is not None:
        corner = left + frame[1], top + frame[0]
        ax.add_patch(plt.Rectangle(corner, frame[3], frame[2], fill=False, edgecolor=RED, linewidth=3, zorder=3))
    ax.text(left + values.shape[1] / 2, top - 0.3, title, ha="center", va="bottom", fontweight="bold", clip_on=False)


def check(exercise: str, answer: Any, expected: Any) -> None:
    """Say whether an answer is right, without giving the right one away."""
    if answer is None:
        print(f"{exercise}: not answered yet")
        return
    answer, expected = np.asarray(answer, dtype=float), np.asarray(expected, dtype=float)
    if answer.shape != expected.shape:
        print(f"{exercise}: not right yet, the shape should be {expected.shape}, yours is {answer.shape}")
    elif not np.isfinite(answer).all():
        print(f"{exercise}: not right yet, there is a NaN or an infinity in your answer")
    elif np.allclose(answer, expected, rtol=1e-5, atol=1e-8):
        print(f"{exercise}: right")
    else:
        worst = np.unravel_index(np.argmax(np.abs(answer - expected)), answer.shape)
        where = f", most of all at {tuple(map(int, worst))}" if answer.ndim else ""
        print(f"{exercise}: not right yet; the shape is, the numbers are not{where}")
