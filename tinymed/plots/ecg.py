"""Pictures of signals: strips of an electrocardiogram with the beats that are there and those that were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import files
from tinymed.plots.style import BLUE, GREEN, GREY, RED, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Strip = tuple[Any, float, Any, Any]
"""Signal in mV (T,), its samples in a second, times of the true beats and of those found in s (None: not known)."""


def strips(records: Sequence[Strip], titles: Sequence[str], path: files.PathLike | None = None) -> Figure:
    """Draw pieces of records one above the other, with their beats.

    Arguments:
        records: For each the signal in mV, its rate, and the times in seconds of its true and its found beats; None
            where beats are not known or were not looked for.
        titles: One for each.
        path: Where to save the picture, if anywhere.

    Raises:
        ValueError: If there are no records, or not as many titles.
    """
    if not records or len(records) != len(titles):
        raise ValueError(f"strips needs a title for each of at least one record, got {len(records)} and {len(titles)}")
    with style():
        figure, axes = figure_with_axes(9.5, 1.75 * len(records) + 0.5, len(records))
        for ax, (values, rate, true, found), title in zip(axes, records, titles, strict=True):
            values = np.asarray(values, dtype=float)
            low, high = float(values.min()), float(values.max())
            room = max(high - low, 0.1)
            ax.plot(np.arange(len(values)) / rate, values, color=BLUE, linewidth=1.1)
            if true is not None:
                label = "true beats" if found is not None else "beats"
                ax.vlines(true, low, high + 0.06 * room, color=GREY, linewidth=1, linestyle=":", label=label)
            if found is not None:
                wrong = np.zeros(len(found), dtype=bool) if true is None else ~_near(found, true)
                for part, colour, marker, label in ((~wrong, GREEN, "v", "found"), (wrong, RED, "x", "found, wrongly")):
                    if part.any():
                        x = np.asarray(found)[part]
                        ax.plot(x, np.full(len(x), high + 0.16 * room), marker, color=colour, markersize=6, label=label)
            ax.set_title(title, fontsize=10)
            ax.set_ylim(low - 0.08 * room, high + 0.28 * room)
            ax.margins(x=0.005)
            ax.set_ylabel("mV")
        axes[-1].set_xlabel("seconds")
        handles: dict[str, Any] = {}
        for ax in axes:
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        if handles:
            figure.legend(
                list(handles.values()), list(handles), loc="outside upper right", ncols=len(handles), fontsize=9
            )
        return finished(figure, path)


def _near(found: Any, true: Any, tolerance: float = 0.075) -> np.ndarray:
    """Return which of the beats found lie within a tolerance of a true one."""
    found, true = np.asarray(found, dtype=float), np.asarray(true, dtype=float)
    if not len(true):
        return np.zeros(len(found), dtype=bool)
    return np.abs(found[:, None] - true).min(axis=1) <= tolerance
