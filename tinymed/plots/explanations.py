"""Maps of what a network looked at, over the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files
from tinymed.plots.style import bare_figure, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def explanation(
    image: Any,
    maps: Mapping[str, Any],
    path: files.PathLike | None = None,
    title: str = "",
    mask: Any = None,
) -> Figure:
    """Draw an image, and beside it the same image under each map.

    A map without negative values is laid over the image in yellow to red, the stronger the denser. A map with signs
    is red where the place speaks for the class, and blue where it speaks against it; a key below says so. Each map has
    a scale of its own.

    Arguments:
        image: (H, W), or (H, W, channels), of which the middle one is shown.
        maps: (H, W) by name.
        path: Where to save the picture, if anywhere.
        title: Above the whole.
        mask: Where what is sought really is, (H, W), drawn as an outline.

    Raises:
        ValueError: If a map has another size than the image.
    """
    picture = backend.to_host(image)
    if picture.ndim == 3:
        picture = picture[..., picture.shape[-1] // 2]
    if picture.ndim != 2:
        raise ValueError(f"explanation needs an image (H, W) or (H, W, channels), got shape {picture.shape}")
    with style():
        columns = len(maps) + 1
        figure = bare_figure(1.95 * columns, 2.35 * len(picture) / picture.shape[1] + (0.6 if title else 0.3))
        grid = figure.add_gridspec(2, columns, height_ratios=(1, 0.05), hspace=0.03)
        axes = [figure.add_subplot(grid[0, column]) for column in range(columns)]
        for ax in axes:
            ax.imshow(picture, cmap="gray", interpolation="nearest")
            ax.set_axis_off()
            if mask is not None:
                ax.contour(backend.to_host(mask).astype(float), levels=[0.5], colors="#56B4E9", linewidths=1.2)
        axes[0].set_title("image", loc="center", fontsize=10)
        for ax, (name, values) in zip(axes[1:], maps.items(), strict=True):
            found = backend.to_host(values)
            if found.shape != picture.shape:
                raise ValueError(f"the map {name!r} has shape {found.shape} but the image {picture.shape}")
            ax.imshow(_coloured(found), interpolation="nearest")
            ax.set_title(name, loc="center", fontsize=10)
        if maps:
            _key(figure.add_subplot(grid[1, 1:]), any((backend.to_host(values) < 0).any() for values in maps.values()))
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left", fontsize=11)
        return finished(figure, path)


def _key(ax: Axes, signs: bool) -> None:
    """Draw which colours mean what."""
    line = np.linspace(-1 if signs else 0, 1, 200)[np.newaxis]
    ax.imshow(np.full((1, 200), 0.35), cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(line[0, 0], 1, 0, 1))
    ax.imshow(_coloured(line), aspect="auto", extent=(line[0, 0], 1, 0, 1))
    words = {-1: "speaks against the class", 0: "does not matter", 1: "speaks for it (maps without signs: matters)"}
    ax.set_xticks([-1, 0, 1] if signs else [0, 1], [words[k] for k in ((-1, 0, 1) if signs else (0, 1))], fontsize=9)
    ax.get_xticklabels()[0].set_horizontalalignment("left")
    ax.get_xticklabels()[-1].set_horizontalalignment("right")
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def _coloured(values: np.ndarray) -> np.ndarray:
    """Return colours (H, W, 4) whose opacity is the size of the value."""
    from matplotlib import colormaps

    size = np.abs(np.nan_to_num(values))
    # The few largest values would make all others invisible.
    size = np.clip(size / max(float(np.quantile(size, 0.995)), 1e-12), 0, 1)
    if (values < 0).any():
        against, speaks_for = colormaps["Blues"](0.55 + 0.3 * size), colormaps["autumn_r"](size)
        colours = np.where((values < 0)[..., None], against, speaks_for)
    else:
        colours = colormaps["autumn_r"](size)
    colours = np.array(colours)
    colours[..., 3] = 0.85 * size * (size > 0.1)  # the little that every place matters would hide the image
    return colours
