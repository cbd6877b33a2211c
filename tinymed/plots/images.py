"""Sheets of images, and of the predictions for them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, files
from tinymed.plots.style import GREEN, RED, bare_figure, figure_with_axes, finished, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def sheet(
    images: Any,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    path: files.PathLike | None = None,
    title: str | None = None,
    rgb: bool = True,
) -> Figure:
    """Draw images side by side.

    Arguments:
        images: (N, H, W) or (N, H, W, channels). Grey values are spread from the darkest to the brightest of all the
            images. Of channels that are no colours the middle one is shown.
        titles: A line above each image.
        columns: Images in a row.
        path: Where to save the picture, if anywhere.
        title: Above the whole.
        rgb: Whether three channels are the colours red, green and blue; False for neighbouring slices.
    """
    pictures = _pictures(images, rgb)
    columns = max(1, min(columns, len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    with style():
        figure, axes = figure_with_axes(
            1.35 * columns + 0.2, (1.6 if titles else 1.4) * rows + (0.4 if title else 0.1), rows, columns
        )
        for ax in axes:
            ax.set_axis_off()
        for place, (ax, picture) in enumerate(zip(axes, pictures, strict=False)):
            _show(ax, picture)
            if titles is not None:
                ax.set_title(titles[place], fontsize=8, fontweight="normal", loc="center", pad=3)
        if title:
            figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
        return finished(figure, path)


def prediction_sheet(
    images: Any,
    y_true: Any,
    scores: Any,
    class_names: Sequence[str] | None = None,
    path: files.PathLike | None = None,
    columns: int = 8,
    rows: int = 2,
    threshold: float = 0.5,
    rgb: bool = True,
) -> Figure:
    """Draw right predictions above wrong ones, each with the predicted class and its probability.

    Of the right predictions a mixture over the classes is shown, of the wrong ones those that were surest.

    Arguments:
        images: As for :func:`sheet`.
        y_true: Class numbers (N,) or (N, 1).
        scores: Probabilities of class 1 (N,) or (N, 1), or of each class (N, C).
        class_names: Names of the classes; their numbers if omitted.
        path: Where to save the picture, if anywhere.
        columns: Images in a row.
        rows: Rows of right and rows of wrong predictions.
        threshold: With two classes, the probability above which class 1 is predicted.
        rgb: As for :func:`sheet`.
    """
    true = backend.to_host(y_true).reshape(-1).astype(int)
    host = backend.to_host(scores)
    host = host.reshape(len(host), -1)
    if host.shape[1] == 1:
        predicted = (host[:, 0] > threshold).astype(int)
        sure = np.where(predicted == 1, host[:, 0], 1 - host[:, 0])
    else:
        predicted, sure = host.argmax(axis=1), host.max(axis=1)
    if not len(true) == len(host) == len(images) or not len(true):
        raise ValueError(
            f"prediction_sheet got {len(images)} images, {len(true)} labels and {len(host)} scores; "
            "it needs as many of each, and at least one"
        )
    count = int(max(true.max(), predicted.max())) + 1
    names = [str(name) for name in (class_names if class_names is not None else [f"class {c}" for c in range(count)])]
    if len(names) < count:
        raise ValueError(f"prediction_sheet got {len(names)} class names but found class {count - 1}")
    right, wrong = np.flatnonzero(predicted == true), np.flatnonzero(predicted != true)
    total_right, total_wrong = len(right), len(wrong)
    right = _mixture(right, true)[: columns * rows]
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][: columns * rows]
    headings = [
        f"{word}: {count:,} of {len(true):,} ({count / len(true):.1%})"
        for word, count in (("Right", total_right), ("Wrong", total_wrong))
    ]
    if total_wrong > len(wrong):
        headings[1] += f", the {len(wrong)} surest shown"
    shown = np.concatenate([right, wrong])
    pictures = dict(zip(shown.tolist(), _pictures(_rows(images, shown), rgb), strict=True))
    captions = [_caption(names[p], s, names[t]) for p, s, t in zip(predicted, sure, true, strict=True)]
    with style():
        blocks = [b for b in zip(headings, (right, wrong), (GREEN, RED), strict=True) if len(b[1])]
        lines = [max(captions[n].count("\n") + 1 for n in chosen) for _, chosen, _ in blocks]
        heights = [
            math.ceil(len(chosen) / columns) * (1.36 + 0.145 * count) + 0.42
            for (_, chosen, _), count in zip(blocks, lines, strict=True)
        ]
        figure = bare_figure(1.45 * columns, sum(heights))
        parts = figure.subfigures(len(blocks), 1, height_ratios=heights, squeeze=False).flat
        for part, (heading, chosen, colour) in zip(parts, blocks, strict=True):
            part.suptitle(heading, fontsize=12, fontweight="bold", color=colour, x=0.01, ha="left")
            axes = list(part.subplots(math.ceil(len(chosen) / columns), columns, squeeze=False).flat)
            for ax in axes:
                ax.set_axis_off()
            for ax, n in zip(axes, chosen, strict=False):
                _show(ax, pictures[n], colour)
                ax.set_title(captions[n], fontsize=8.5, fontweight="normal", loc="center", pad=3)
        return finished(figure, path)


def _rows(images: Any, places: np.ndarray) -> Any:
    """Return some of the images; those that are read from files when they are asked for are not all read."""
    return images[places] if backend.is_host(images) and hasattr(images, "shape") else backend.to_host(images)[places]


def _caption(predicted: str, sure: float, true: str) -> str:
    """Return the predicted class with its probability and, if that is wrong, the true class, in short lines."""
    lines = textwrap.wrap(f"{predicted} {sure:.0%}", 19)
    if predicted != true:
        lines += textwrap.wrap(f"true: {true}", 19)
    return "\n".join(lines)


def _mixture(chosen: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Order samples so that the classes take turns."""
    turn = np.zeros(len(chosen), dtype=int)
    for number in np.unique(classes[chosen]):
        own = classes[chosen] == number
        turn[own] = np.arange(own.sum())
    return chosen[np.lexsort((classes[chosen], turn))]


def _pictures(images: Any, rgb: bool = True) -> np.ndarray:
    """Return images as (N, H, W) or (N, H, W, 3) with values from 0 to 1."""
    pictures = backend.to_host(images)
    if pictures.ndim not in (3, 4) or not pictures.size:
        raise ValueError(f"images of shape (N, H, W) or (N, H, W, channels) are needed, got {pictures.shape}")
    pictures = pictures.astype(np.float32)
    if pictures.ndim == 4 and not (rgb and pictures.shape[-1] == 3):
        pictures = pictures[..., pictures.shape[-1] // 2]
    finite = pictures[np.isfinite(pictures)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if pictures.ndim == 4 and low >= 0 and high <= 255:  # colours keep their brightness
        low, high = 0.0, 1.0 if high <= 1 else 255.0
    return np.clip(np.nan_to_num((pictures - low) / max(high - low, 1e-12)), 0, 1)


def _show(ax: Axes, picture: np.ndarray, frame: str | None = None) -> None:
    from matplotlib.patches import Rectangle

    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if frame:
        ax.add_patch(
            Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, edgecolor=frame, linewidth=2, clip_on=False)
        )
