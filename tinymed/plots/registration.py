"""Pictures of registration: what was deformed, how, and whether it fits now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files, metrics
from tinymed.plots.style import BLUE, RED, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = (
    "moving",
    "fixed",
    "moving, deformed",
    "difference before",
    "difference after",
    "deformed grid",
    "area change",
)


def registration_sheet(
    moving: Any,
    fixed: Any,
    warped: Any,
    field: Any,
    names: Sequence[str] = (),
    path: files.PathLike | None = None,
) -> Figure:
    """Draw a row for each pair: both images, the deformed one, differences, the deformed grid, the Jacobian.

    Arguments:
        moving: Moving images (N, H, W, 1), values from 0 to 1.
        fixed: Fixed images, alike.
        warped: The moving ones, deformed.
        field: Displacements (N, H, W, 2), in pixels.
        names: A name for each pair.
        path: Where to save the picture, if anywhere.
    """
    moving, fixed, warped = (_grey(images) for images in (moving, fixed, warped))
    field = backend.to_host(field)
    determinants = np.asarray(metrics.jacobian_determinant(field))
    rows = len(moving)
    with style():
        figure, axes = figure_with_axes(1.75 * len(COLUMNS) + 0.6, 1.8 * rows + 0.5, rows, len(COLUMNS))
        for n in range(rows):
            line = axes[n * len(COLUMNS) : (n + 1) * len(COLUMNS)]
            for ax, title in zip(line, COLUMNS, strict=True):
                ax.set_xticks([])
                ax.set_yticks([])
                ax.spines[:].set_visible(False)
                ax.grid(False)
                if n == 0:
                    ax.set_title(title, fontsize=9.5, loc="center", pad=4)
            for ax, image in zip(line, (moving[n], fixed[n], warped[n]), strict=False):
                ax.imshow(image, cmap="gray", vmin=0, vmax=1)
            for ax, image in zip(line[3:5], (moving[n], warped[n]), strict=True):
                difference = image - fixed[n]
                ax.imshow(difference, cmap="RdBu_r", vmin=-0.6, vmax=0.6)
                ax.set_xlabel(f"rms {np.sqrt(np.mean(difference**2)):.3f}", fontsize=8, labelpad=2)
            _grid(line[5], field[n])
            shown = line[6].imshow(determinants[n], cmap="PuOr", vmin=0, vmax=2)
            folded = float(np.mean(determinants[n] <= 0))
            if folded:
                line[6].contourf(determinants[n], levels=[-1e9, 0], colors=[RED])
            line[6].set_xlabel(f"{folded:.2%} folded", fontsize=8, labelpad=2)
            bar = figure.colorbar(shown, ax=line[6], ticks=[0, 1, 2], fraction=0.05, pad=0.03)
            bar.ax.tick_params(labelsize=7)
            bar.outline.set_visible(False)
            if n < len(names):
                line[0].set_ylabel(names[n], fontsize=8)
        return finished(figure, path)


def checkerboards(
    moving: Any,
    fixed: Any,
    warped: Any,
    names: Sequence[str] = (),
    path: files.PathLike | None = None,
    squares: int = 8,
) -> Figure:
    """Draw boards whose squares show the fixed and the other image in turn: edges go on where the images fit.

    Arguments:
        moving: Moving images (N, H, W, 1), values from 0 to 1.
        fixed: Fixed images, alike.
        warped: The moving ones, deformed.
        names: A name for each pair.
        path: Where to save the picture, if anywhere.
        squares: Squares along each side.
    """
    moving, fixed, warped = (_grey(images) for images in (moving, fixed, warped))
    height, width = fixed.shape[1:]
    row, column = np.arange(height) * squares // height, np.arange(width) * squares // width
    board = (row[:, None] + column[None, :]) % 2 == 0
    count = len(fixed)
    with style():
        figure, axes = figure_with_axes(2.5 * count + 0.4, 5.4, 2, count)
        for line, (what, images) in enumerate((("before", moving), ("after", warped))):
            for n in range(count):
                ax = axes[line * count + n]
                ax.imshow(np.where(board, fixed[n], images[n]), cmap="gray", vmin=0, vmax=1)
                ax.set_xticks([])
                ax.set_yticks([])
                ax.grid(False)
                ax.spines[:].set_visible(False)
                if n == 0:
                    ax.set_ylabel(f"{what} registration", fontsize=10)
                if line == 0 and n < len(names):
                    ax.set_title(names[n], fontsize=9, loc="center", pad=4)
        return finished(figure, path)


def _grid(ax: Axes, field: np.ndarray) -> None:
    """Draw where the lines of a square grid come from: they bend as the deformation does."""
    height, width = field.shape[:2]
    step = max(height, width) // 16
    h, w = np.mgrid[:height, :width]
    h, w = h + field[..., 0], w + field[..., 1]
    for k in range(0, height, step):
        ax.plot(w[k], h[k], color=BLUE, linewidth=0.7)
    for k in range(0, width, step):
        ax.plot(w[:, k], h[:, k], color=BLUE, linewidth=0.7)
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    ax.set_aspect("equal")


def _grey(images: Any) -> np.ndarray:
    host = backend.to_host(images)
    if host.ndim == 4 and host.shape[-1] == 1:
        host = host[..., 0]
    if host.ndim != 3 or not host.size:
        raise ValueError(f"grey images of shape (N, H, W) or (N, H, W, 1) are needed, got {host.shape}")
    return host
