"""Images made by a formula: the ten digits at 28 x 28 pixels, without any download.

They look like the figures that scanners burn into their pictures (dates, doses, slice positions), seen through bad
copies: drawn from the typefaces that come with matplotlib, then slanted, bent, thickened or thinned, blurred, dimmed
and covered with noise. For each face and digit the *signed distance* to the outline is kept, which makes all this
cheap: warping the distance bends the digit, adding to it makes strokes thicker, dividing it makes edges softer.

>>> x, y = digits(20, seed=1)
>>> x.shape, x.dtype, sorted(set(y.tolist()))
((20, 28, 28, 1), dtype('float32'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
>>> bool(0 <= x.min() and x.max() <= 1)
True
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from tinymed.datasets.medmnist import ImageData, Split, load_arrays, load_split, read_npz

SIZE = 28
CLASSES = tuple("0123456789")

FACES = {
    "train": (
        "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
        "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
        "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic", "cmr10", "cmb10", "cmti10",
    ),
    "val": ("cmtt10", "STIXGeneralBol"),
    "test": ("cmss10", "STIXGeneral", "STIXGeneralItalic", "STIXGeneralBolIta"),
}  # fmt: skip
"""Which typefaces each split is drawn from: none of those of the test is seen before."""

_GLYPH = 72
"""Height and width of a glyph in the atlas; its digit is 40 high."""

_TALL = 40.0
_BLOCK = 250
"""Images are drawn in blocks, each from a generator of its own, so that memory stays small."""


def digits(n: int, seed: int = 0, faces: Sequence[str] = FACES["train"]) -> tuple[np.ndarray, np.ndarray]:
    """Draw digits, of each as many as of the others.

    The first images of a larger draw with the same seed and faces are the same images.

    Args:
        n: How many images.
        seed: Which images; different seeds share none.
        faces: Names of the typefaces, of those that matplotlib brings along.

    Returns:
        Images (n, 28, 28, 1), float32 in [0, 1], bright on dark, and labels (n,), int64.

    Raises:
        ValueError: If ``n`` is not positive, or there is no such typeface.
    """
    if n < 1:
        raise ValueError(f"n, the number of images, must be at least 1, got {n}")
    atlas = np.stack([_distances(face) for face in faces])  # (faces, 10, side, side)
    x = np.empty((n, SIZE, SIZE, 1), dtype=np.float32)
    y = np.empty(n, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        part = slice(start, min(start + _BLOCK, n))
        images, labels = _block(np.random.default_rng([seed, start]), atlas)
        x[part], y[part] = images[: part.stop - start], labels[: part.stop - start]
    return x, y


def load(train: int, val: int, test: int, seed: int = 0) -> ImageData:
    """Draw the three splits of a data set, each from typefaces of its own.

    Args:
        train: Images to train on.
        val: Images to choose with.
        test: Images to test on.
        seed: Which images; typefaces do not depend on it.
    """
    counts = {"train": train, "val": val, "test": test}
    splits = [Split(*digits(n, 3 * seed + i, FACES[name])) for i, (name, n) in enumerate(counts.items())]
    return ImageData(splits[0], splits[1], splits[2], CLASSES)


def read(path: str | os.PathLike[str]) -> ImageData:
    """Read digits from a file laid out as Keras's ``mnist.npz`` or as MedMNIST's files.

    Args:
        path: An ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, of whose training images one
            in twelve is set aside to choose the best epoch (5000 of MNIST's 60000); or with ``train_images`` and so on.

    Raises:
        ValueError: If the file is missing, damaged, or laid out in neither way.
    """
    return load_arrays(path, _as_medmnist(path))


def read_split(path: str | os.PathLike[str], split: str, classes: int | None = None) -> Split:
    """Read one split of such a file, which need not have the others.

    Args:
        path: As for :func:`read`.
        split: ``"train"``, ``"val"`` or ``"test"``.
        classes: How many classes there are, to check the labels.
    """
    return load_split(path, split, classes, _as_medmnist(path))


def _as_medmnist(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays of a file by MedMNIST's names."""
    arrays = read_npz(path)
    if "x_train" not in arrays and "x_test" not in arrays:
        return arrays
    found = {"test_images": arrays.get("x_test"), "test_labels": arrays.get("y_test")}
    x, y = arrays.get("x_train"), arrays.get("y_train")
    if x is not None and y is not None and x.ndim and y.ndim:
        held = _every_twelfth(y[: len(x)])
        for split, chosen in (("val", held), ("train", ~held)):
            found[f"{split}_images"], found[f"{split}_labels"] = x[: len(held)][chosen], y[: len(held)][chosen]
    return {name: array for name, array in found.items() if array is not None}


def _every_twelfth(labels: np.ndarray) -> np.ndarray:
    """Return which images are set aside: of each class every twelfth, at random but the same for every seed."""
    flat, held = labels.reshape(len(labels), -1)[:, 0], np.zeros(len(labels), dtype=bool)
    rng = np.random.default_rng(0)
    for number in np.unique(flat):
        held[rng.permutation(np.flatnonzero(flat == number))[::12]] = True
    return held


# --- glyphs ----------------------------------------------------------------------------------------------------


@functools.cache
def _distances(face: str) -> np.ndarray:
    """Return for each digit of a typeface the distance (10, side, side) to its outline, positive inside.

    Lengths are in pixels of the atlas. All digits of a face have one size: the tallest is 40 high.
    """
    from PIL import Image, ImageDraw, ImageFont

    path = _folder() / f"{face}.ttf"
    if not path.exists():
        raise ValueError(f"no typeface {face!r} in {path.parent}; known are {', '.join(sum(FACES.values(), ()))}")
    fine = 2  # drawn twice as large, so that the distance is exact to a part of a pixel
    font = ImageFont.truetype(str(path), 64 * fine)
    tall = max(bottom - top for _, top, _, bottom in (font.getbbox(digit) for digit in CLASSES))
    font = ImageFont.truetype(str(path), 64 * fine * _TALL * fine / tall)
    found = np.empty((len(CLASSES), _GLYPH, _GLYPH), dtype=np.float32)
    for number, digit in enumerate(CLASSES):
        left, top, right, bottom = font.getbbox(digit)
        canvas = Image.new("L", (_GLYPH * fine, _GLYPH * fine))
        corner = (_GLYPH * fine - right - left) / 2, (_GLYPH * fine - bottom - top) / 2
        ImageDraw.Draw(canvas).text(corner, digit, fill=255, font=font)
        ink = np.asarray(canvas) > 127
        signed = ndimage.distance_transform_edt(ink) - ndimage.distance_transform_edt(~ink)
        found[number] = signed.reshape(_GLYPH, fine, _GLYPH, fine).mean(axis=(1, 3)) / fine
    return found


def _folder() -> pathlib.Path:
    """Return where matplotlib keeps its typefaces."""
    import matplotlib

    return pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"


# --- images ----------------------------------------------------------------------------------------------------


def _block(rng: np.random.Generator, atlas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw one block of images: shape, stroke, then what the copy does to it."""
    n = _BLOCK
    labels = rng.permuted(np.tile(np.arange(10), (n // 10, 1)), axis=1).reshape(-1)  # of ten neighbours one of each
    faces = rng.integers(len(atlas), size=n)
    size = rng.uniform(1.6, 2.6, n)  # pixels of the atlas in one pixel of the image: digits are 15 to 25 pixels high
    rows, columns = _places(rng, size)
    inside = (rows > -0.5) & (rows < _GLYPH - 0.5) & (columns > -0.5) & (columns < _GLYPH - 0.5)
    tall = atlas.reshape(-1, _GLYPH)  # one tall image of all glyphs: one call samples them all
    first = (faces * 10 + labels)[:, None, None] * _GLYPH
    rows, columns = np.clip(rows, 0, _GLYPH - 1) + first, np.clip(columns, 0, _GLYPH - 1)
    distance = ndimage.map_coordinates(tall, [rows, columns], order=1, mode="nearest", prefilter=False)
    distance = np.where(inside, distance, np.float32(-9)) / size[:, None, None]  # in pixels of the image
    thicker, soft = _between(rng, -0.1, 0.7, n), _between(rng, 0.7, 2.0, n)
    ink = np.clip((distance + thicker) / soft + 0.5, 0, 1)
    return _copied(rng, ink).astype(np.float32)[..., None], labels


def _between(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """Draw one number for each image, shaped (n, 1, 1) to go with pixels."""
    return rng.uniform(low, high, (n, 1, 1))


def _places(rng: np.random.Generator, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns (n, 28, 28) of the glyph that each pixel shows: scaled, turned, slanted, bent, moved."""
    n = len(size)
    line = np.arange(SIZE) - (SIZE - 1) / 2
    y, x = line[:, None] - _between(rng, -2.5, 2.5, n), line[None, :] - _between(rng, -3, 3, n)
    angle, slant = np.radians(_between(rng, -14, 14, n)), _between(rng, -0.25, 0.25, n)
    y, x = y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)
    x = (x + slant * y) * _between(rng, 0.85, 1.25, n)
    bend = [_between(rng, 0, 1.1, n) * np.sin(_waves(rng, n, x, y)) for _ in range(2)]
    y, x = y + bend[0], x + bend[1]
    middle = (_GLYPH - 1) / 2
    return y * size[:, None, None] + middle, x * size[:, None, None] + middle


def _waves(rng: np.random.Generator, n: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the phase of a wave in a random direction, one to two of which fit into the image."""
    direction, length = _between(rng, 0, 2 * np.pi, n), _between(rng, 14, 28, n)
    return 2 * np.pi * (x * np.cos(direction) + y * np.sin(direction)) / length + _between(rng, 0, 2 * np.pi, n)


def _copied(rng: np.random.Generator, ink: np.ndarray) -> np.ndarray:
    """Return what is left after copying: uneven ground, weak ink, a scratch, and grain."""
    n = len(ink)
    line = np.linspace(-1, 1, SIZE)
    ground = (
        _between(rng, 0.0, 0.25, n) + _between(rng, -0.1, 0.1, n) * line + _between(rng, -0.1, 0.1, n) * line[:, None]
    )
    bright = _between(rng, 0.6, 1.0, n)
    image = ground + (bright - ground) * ink
    scratched = rng.random((n, 1, 1)) < 0.25
    direction, away = _between(rng, 0, np.pi, n), _between(rng, -0.8, 0.8, n)
    distance = np.abs(line * np.cos(direction) + line[:, None] * np.sin(direction) - away) * (SIZE / 2)
    image += scratched * _between(rng, -0.35, 0.35, n) * np.clip(1.2 - distance, 0, 1)
    image += _between(rng, 0.01, 0.1, n) * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1)
