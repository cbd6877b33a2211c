"""Images made by a formula: small chest X-rays with and without an opacity, without any download.

A pixel of an X-ray shows how much the ray has met on its way, so the parts of the chest are simply added: soft tissue
and spine, less where there is air in the lungs, more where there are ribs, the heart, the diaphragm, and fluid in the
lung (an *opacity*, what pneumonia looks like). Size and statistics are those of MedMNIST's PneumoniaMNIST. Lengths
are in half widths of the picture: x from -1 (the patient's right) to 1, y from -1 (top) to 1.

>>> x, y = chests(6, seed=1)
>>> x.shape, x.dtype, sorted(y.tolist())
((6, 28, 28, 1), dtype('float32'), [0, 0, 0, 1, 1, 1])
>>> bool(0 <= x.min() and x.max() <= 1)
True
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from tinymed.datasets.medmnist import PNEUMONIA_CLASSES, ImageData, Split

SIZE = 28
CLASSES = PNEUMONIA_CLASSES

_FINE = 2
"""Each pixel is the mean of 2 x 2 finer ones."""

_BLOCK = 60
"""Images are drawn in blocks, each from a generator of its own, so that memory stays small."""


def chests(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw chest X-rays, half of them with an opacity.

    The first images of a larger draw with the same seed are the same images.

    Args:
        n: How many images.
        seed: Which images; different seeds share none.

    Returns:
        Images (n, 28, 28, 1), float32 in [0, 1], and labels (n,), int64: 1 with an opacity, 0 without.

    Raises:
        ValueError: If ``n`` is not positive.
    """
    if n < 1:
        raise ValueError(f"n, the number of images, must be at least 1, got {n}")
    x = np.empty((n, SIZE, SIZE, 1), dtype=np.float32)
    y = np.empty(n, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        part = slice(start, min(start + _BLOCK, n))
        images, labels = _block(np.random.default_rng([seed, start]))
        x[part], y[part] = images[: part.stop - start], labels[: part.stop - start]
    return x, y


def load(train: int, val: int, test: int, seed: int = 0) -> ImageData:
    """Draw the three splits of a data set, none of which shares an image with another or with another seed.

    Args:
        train: Images to train on.
        val: Images to choose with.
        test: Images to test on.
        seed: Which data set.
    """
    splits = [Split(*chests(n, seed=3 * seed + i)) for i, n in enumerate((train, val, test))]
    return ImageData(splits[0], splits[1], splits[2], CLASSES)


def _block(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one block of images: a pose, what the rays meet, then the film."""
    n = _BLOCK
    labels = rng.permuted(np.tile([0, 1], (n // 2, 1)), axis=1).reshape(-1)  # of two neighbours one has an opacity
    x, y = _posed_grid(rng, n)
    lungs, domes = draw_lungs(rng, x, y)
    heart = draw_heart(rng, x, y)
    lungs = lungs * (1 - 0.85 * heart)
    density = draw_soft_tissue(rng, x, y)
    density += _between(rng, 0.08, 0.22, n) * domes + _between(rng, 0.03, 0.10, n) * heart
    air = _between(rng, 0.24, 0.44, n) * lungs
    density -= air
    density += draw_ribs(rng, x, y, lungs) + draw_clavicles(rng, x, y)
    density += np.where(labels[:, None, None] == 1, _opacity(rng, x, y, lungs, air), 0)
    return _film(rng, density), labels


def _between(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """Draw one number for each image, shaped (n, 1, 1) to go with pixels."""
    return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)


def soft_edge(distance: np.ndarray, width: float | np.ndarray = 0.04) -> np.ndarray:
    """Return 1 inside (negative distance), 0 outside, and a soft step between."""
    return 1 / (1 + np.exp(np.clip(distance / width, -30, 30)))


def _smooth_field(rng: np.random.Generator, n: int, sigma: float) -> np.ndarray:
    """Draw noise of standard deviation 1 that changes over ``sigma`` fine pixels."""
    field = rng.standard_normal((n, SIZE * _FINE, SIZE * _FINE), dtype=np.float32)
    field = ndimage.gaussian_filter(field, (0, sigma, sigma), mode="wrap", truncate=3)
    return field / field.std()


def _posed_grid(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of each fine pixel as the patient has them: moved, turned and scaled."""
    line = (np.arange(SIZE * _FINE, dtype=np.float32) + 0.5) * (2 / (SIZE * _FINE)) - 1
    angle = np.radians(rng.normal(0, 2.5, (n, 1, 1))).astype(np.float32)
    x, y = line[None, None, :] - _between(rng, -0.12, 0.12, n), line[None, :, None] - _between(rng, -0.14, 0.14, n)
    x, y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return x / _between(rng, 0.88, 1.16, n), y / _between(rng, 0.88, 1.16, n)


# --- anatomy ---------------------------------------------------------------------------------------------------


def draw_soft_tissue(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what chest wall, spine and mediastinum add; beside the trunk and above the shoulders there is air."""
    n = len(x)
    trunk = soft_edge(np.abs(x) - _between(rng, 0.92, 1.25, n) + 0.1 * (y < 0) * y, 0.03)
    neck = _between(rng, 0.22, 0.38, n)
    slope = -_between(rng, 0.85, 1.15, n) + _between(rng, 0.0, 0.35, n) * np.maximum(np.abs(x) - neck, 0)
    shoulders = np.maximum(soft_edge(slope - y, 0.03), soft_edge(np.abs(x) - neck, 0.03))
    wall = 0.62 + 0.06 * np.abs(x) + _between(rng, -0.05, 0.05, n) * y
    spine = _between(rng, 0.02, 0.08, n) * np.exp(-((x / 0.09) ** 2))
    middle = _between(rng, 0.03, 0.09, n) * soft_edge(np.abs(x) - _between(rng, 0.14, 0.24, n), 0.05)
    return trunk * shoulders * (wall + spine + middle)


def draw_lungs(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where there is lung, and where the belly under the diaphragm's domes, from 0 to 1."""
    n = len(x)
    lungs, domes = np.zeros_like(x), np.zeros_like(x)
    top, spread, lean = _between(rng, -0.92, -0.72, n), _between(rng, 0.32, 0.44, n), _between(rng, 0.08, 0.26, n)
    floor = _between(rng, 0.42, 0.72, n)
    for side, lower in ((-1, _between(rng, -0.08, 0.02, n)), (1, _between(rng, -0.02, 0.08, n))):
        across = side * x - 0.43 - lean * y  # the lungs part towards the diaphragm
        below = np.clip(y - top, 0, None)
        half = spread * np.sqrt(below / (0.45 + below))  # narrow at the apex
        dome = floor + lower + 0.9 * (across - 0.02) ** 2
        lungs += soft_edge(np.abs(across) - half, 0.03) * soft_edge(top - y, 0.03) * soft_edge(y - dome, 0.03)
        domes = np.maximum(domes, soft_edge(dome - y, 0.04) * soft_edge(-side * x, 0.05))
    return np.clip(lungs, 0, 1), domes


def draw_heart(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where the heart is, from 0 to 1: an oval that reaches further to the patient's left."""
    n = len(x)
    u, v = x - _between(rng, 0.06, 0.18, n), y - _between(rng, 0.22, 0.4, n)
    turn = _between(rng, 0.3, 0.7, n)
    along, aside = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    oval = np.hypot(along / _between(rng, 0.34, 0.5, n), aside / _between(rng, 0.26, 0.36, n))
    return soft_edge(oval - 1, 0.12)


def draw_ribs(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """Return what the ribs add: bright arcs that fall towards the sides, well seen only in front of the lungs."""
    n = len(x)
    fall, bend = _between(rng, 0.1, 0.45, n), _between(rng, 0.1, 0.4, n)
    level = (y - fall * np.abs(x) - bend * x**2) / _between(rng, 0.17, 0.23, n) + _between(rng, 0, 1, n)
    arcs = np.cos(2 * np.pi * level)
    return _between(rng, 0.015, 0.05, n) * arcs * (0.25 + 0.75 * lungs) * soft_edge(0.12 - np.abs(x), 0.03)


def draw_clavicles(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what the collar bones add."""
    n = len(x)
    height, rise = _between(rng, -0.78, -0.62, n), _between(rng, 0.1, 0.4, n)
    level = y - height + rise * (np.abs(x) - 0.3)
    return _between(rng, 0.02, 0.08, n) * np.exp(-((level / 0.05) ** 2)) * soft_edge(0.14 - np.abs(x), 0.03)


def _opacity(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, lungs: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Return what fluid in the lung adds: it takes the air's place in a lobe, in patches, or everywhere a little."""
    n = len(x)
    share = np.zeros_like(x)
    for number in range(3):
        side = np.where(rng.random((n, 1, 1)) < 0.6, -1, 1)
        u, v = x - side * _between(rng, 0.25, 0.6, n), y - _between(rng, -0.5, 0.5, n)
        blob = np.hypot(u / _between(rng, 0.16, 0.42, n), v / _between(rng, 0.16, 0.42, n))
        present = (rng.random((n, 1, 1)) < 0.5) | (number == 0)
        share = np.maximum(share, present * _between(rng, 0.5, 0.95, n) * soft_edge(blob - 1, 0.25))
    diffuse = rng.random((n, 1, 1)) < 0.35
    share = np.where(diffuse, np.maximum(0.6 * share, _between(rng, 0.35, 0.7, n)), share)
    mottled = 1 + 0.25 * _smooth_field(rng, n, 2.5)
    return air * lungs * np.clip(share * mottled, 0, 1)


def _film(rng: np.random.Generator, density: np.ndarray) -> np.ndarray:
    """Turn what the rays have met into an image: scatter, exposure, grain, then pixels of 8 bits."""
    n = len(density)
    density = density + 0.02 * _smooth_field(rng, n, 5.0)
    density = ndimage.gaussian_filter(density, (0, 0.8, 0.8), truncate=3)
    coarse = density.reshape(n, SIZE, _FINE, SIZE, _FINE).mean(axis=(2, 4))
    coarse = np.clip(coarse, 0, None) ** _between(rng, 0.8, 1.3, n)
    coarse = _between(rng, 0.78, 1.02, n) * coarse + _between(rng, -0.04, 0.06, n)
    coarse += _between(rng, 0.004, 0.012, n) * rng.standard_normal(coarse.shape, dtype=np.float32)
    return (np.rint(np.clip(coarse, 0, 1) * 255) / 255).astype(np.float32)[..., None]
