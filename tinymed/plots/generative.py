"""Pictures of autoencoders and generators: what they reconstruct, what they have learned, what they draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files
from tinymed.plots.style import BLUE, GREEN, GREY, ORANGE, RED, bare_figure, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "^", "s", "D")


def image_rows(
    rows: Mapping[str, Any],
    path: files.PathLike | None = None,
    title: str | None = None,
    signed: bool = False,
) -> Figure:
    """Draw rows of images under each other, each row with its name at the left.

    Arguments:
        rows: Images (N, H, W) or (N, H, W, 1) by the name of their row; all rows have as many.
        path: Where to save the picture, if anywhere.
        title: Above the whole.
        signed: Whether the images are components, which have no black and white: each is then shown from blue
            (negative) through white (zero) to red, its largest size at the end of the scale. Otherwise 0 is black,
            1 is white.

    Raises:
        ValueError: If the rows differ in their number of images, or there are none.
    """
    pictures = {name: _grey(images) for name, images in rows.items()}
    counts = {len(images) for images in pictures.values()}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"image_rows needs rows with as many images each, at least one; got {counts or 'no rows'}")
    columns = counts.pop()
    with style():
        figure, axes = figure_with_axes(
            0.92 * columns + 1.3, 0.95 * len(pictures) + (0.45 if title else 0.1), len(pictures), columns
        )
        figure.set_layout_engine("constrained", w_pad=0.015, h_pad=0.015)
        for row, (name, images) in enumerate(pictures.items()):
            for column, image in enumerate(images):
                ax = axes[row * columns + column]
                _bare(ax)
                size = max(float(np.abs(image).max()), 1e-12)
                if signed:
                    ax.imshow(image, cmap="RdBu_r", vmin=-size, vmax=size, interpolation="nearest")
                else:
                    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes[row * columns].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
        return finished(figure, path)


def code_scatter(
    codes: Any,
    labels: Any,
    class_names: Sequence[str],
    path: files.PathLike | None = None,
    title: str = "Codes of the test images",
) -> Figure:
    """Draw the first two numbers of each image's code as a point, coloured and shaped by its class.

    Arguments:
        codes: (N, 2) or more columns.
        labels: Class numbers (N,).
        class_names: Names of the classes.
        path: Where to save the picture, if anywhere.
        title: Above the axes.
    """
    points, classes = backend.to_host(codes), backend.to_host(labels)
    if points.ndim != 2 or points.shape[1] < 2 or len(points) != len(classes):
        raise ValueError(f"code_scatter needs codes (N, 2) and labels (N,), got {points.shape} and {classes.shape}")
    with style():
        figure, (ax,) = figure_with_axes(5.6, 4.6)
        for number, name in enumerate(class_names):
            own = classes == number
            ax.scatter(
                points[own, 0], points[own, 1], s=14, alpha=0.6, linewidths=0, label=f"{name} ({int(own.sum()):,})",
                color=(BLUE, ORANGE, GREEN, RED)[number % 4], marker=_MARKERS[number % 4],
            )  # fmt: skip
        ax.set_xlabel("first number of the code")
        ax.set_ylabel("second number of the code")
        ax.set_title(title)
        ax.legend(loc="best")
        return finished(figure, path)


def angle_curve(angles: Sequence[float], path: files.PathLike | None = None, goal: float = 1.0) -> Figure:
    """Draw the largest principal angle to the principal subspace after each epoch.

    Arguments:
        angles: Degrees, one for each epoch.
        path: Where to save the picture, if anywhere.
        goal: Where to draw a line.
    """
    with style():
        figure, (ax,) = figure_with_axes(5.6, 3.6)
        ax.plot(np.arange(1, len(angles) + 1), angles, color=BLUE)
        ax.plot(len(angles), angles[-1], "o", color=RED, label=f"after the last epoch: {angles[-1]:.2g}°")
        ax.axhline(goal, color=GREY, linewidth=1, linestyle="--", label=f"{goal:g}°")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}°")
        ax.set_xlabel("epoch")
        ax.set_title("Largest angle to the principal subspace")
        ax.legend(loc="best")
        return finished(figure, path)


def error_by_code_size(
    pca: Mapping[int, float], networks: Mapping[str, Mapping[int, float]], path: files.PathLike | None = None
) -> Figure:
    """Draw the test error of principal components as a line over their number, and those of networks as points.

    Arguments:
        pca: Mean squared error by number of components.
        networks: For each network its mean squared error by code size.
        path: Where to save the picture, if anywhere.
    """
    with style():
        figure, (ax,) = figure_with_axes(5.6, 4.0)
        ax.plot(list(pca), list(pca.values()), color=GREY, label="principal components")
        for place, (name, errors) in enumerate(networks.items()):
            ax.plot(
                list(errors), list(errors.values()), linestyle="none", markersize=8, label=name,
                color=(BLUE, ORANGE, GREEN)[place % 3], marker=_MARKERS[place % 4],
            )  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
        ax.yaxis.set_minor_formatter(lambda value, _: "")
        ax.set_xlabel("numbers in the code")
        ax.set_title("Mean squared error on the test images")
        ax.legend(loc="best")
        return finished(figure, path)


def samples_beside_real(
    real: Any, generated: Any, path: files.PathLike | None = None, columns: int = 8, title: str | None = None
) -> Figure:
    """Draw a block of real images at the left and a block of generated ones at the right.

    Arguments:
        real: (N, H, W, 1) in [0, 1].
        generated: As many.
        path: Where to save the picture, if anywhere.
        columns: Images in a row of each block.
        title: Above the whole.
    """
    blocks = {"Real": _mosaic(_grey(real), columns), "Generated": _mosaic(_grey(generated), columns)}
    height, width = blocks["Real"].shape
    with style():
        figure = bare_figure(2 * 0.6 * columns + 0.3, 0.6 * columns * height / width + (0.65 if title else 0.32))
        axes = list(figure.subplots(1, 2, squeeze=False).flat)
        for ax, (name, mosaic) in zip(axes, blocks.items(), strict=True):
            _bare(ax)
            ax.imshow(mosaic, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set_title(name)
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
        return finished(figure, path)


def curve_panels(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    path: files.PathLike | None = None,
    goals: Mapping[str, float] | None = None,
    logarithmic: Sequence[str] = (),
) -> Figure:
    """Draw several panels of curves over the epochs.

    Arguments:
        panels: For each panel's title its curves by name, one value for each epoch.
        path: Where to save the picture, if anywhere.
        goals: For some panels where to draw a dashed line.
        logarithmic: Panels whose axis is logarithmic.
    """
    from matplotlib.ticker import MaxNLocator

    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    with style():
        figure, axes = figure_with_axes(4.6 * columns, 3.1 * rows, rows, columns)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        for ax, (title, curves) in zip(axes, panels.items(), strict=False):
            for place, (name, values) in enumerate(curves.items()):
                ax.plot(
                    np.arange(1, len(values) + 1), values, label=name, color=(BLUE, ORANGE, GREEN)[place % 3],
                    linestyle=("-", "--", ":")[place % 3], marker="o" if len(values) == 1 else None,
                )  # fmt: skip
            if goals and title in goals:
                ax.axhline(goals[title], color=GREY, linewidth=1, linestyle=":", label=f"{goals[title]:g}")
            if title in logarithmic:
                ax.set_yscale("log")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
            ax.set_title(title)
            ax.set_xlabel("epoch")
            if len(ax.lines) > 1:
                ax.legend(loc="best")
        return finished(figure, path)


def _grey(images: Any) -> np.ndarray:
    pictures = backend.to_host(images)
    if pictures.ndim == 4 and pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    if pictures.ndim != 3:
        raise ValueError(f"grey images (N, H, W) or (N, H, W, 1) are needed, got {pictures.shape}")
    return pictures


def _mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Put images side by side, a white pixel between them.

    >>> _mosaic(np.zeros((3, 2, 2)), columns=2).astype(int)
    array([[0, 0, 1, 0, 0],
           [0, 0, 1, 0, 0],
           [1, 1, 1, 1, 1],
           [0, 0, 1, 1, 1],
           [0, 0, 1, 1, 1]])
    """
    n, height, width = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    mosaic = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1))
    for place, image in enumerate(images):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        mosaic[top : top + height, left : left + width] = image
    return mosaic


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
