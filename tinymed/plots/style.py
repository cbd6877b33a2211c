"""One look for all pictures: figures that belong to no window, a palette, and saving in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinymed import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
PURPLE = "#CC79A7"

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
}


def bare_figure(width: float, height: float) -> Figure:
    """Make an empty figure that belongs to no window, of a size in inches; call it inside :func:`style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_with_axes(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a figure with ``rows`` times ``columns`` axes, given row by row; call it inside :func:`style`."""
    figure = bare_figure(width, height)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def style() -> Any:
    """Return a context with this module's style, whatever the settings of the machine are."""
    import matplotlib.style

    return matplotlib.style.context(_STYLE, after_reset=True)


def finished(figure: Figure, path: files.PathLike | None) -> Figure:
    """Return the figure, saved at ``path`` (written beside it and renamed) if there is one."""
    if path is not None:
        with files.atomic(path) as beside:
            figure.savefig(beside, dpi=150)
    return figure
