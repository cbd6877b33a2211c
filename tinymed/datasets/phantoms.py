"""Images made by a formula: chest CT patches with and without a lung nodule, without any download.

Each patch shows three neighbouring slices as channels, as the documents' nodule network takes them. All
lengths are in pixels (about 0.7 mm), all intensities in Hounsfield units (HU: air -1000, water 0) until the
last step, the window. What makes the task real: vessels are as bright as nodules. A vessel that runs through
the slices is a bright disk in *all* of them; a nodule ends.

>>> x, y = nodules(8, seed=1)
>>> x.shape, x.dtype, y.tolist()
((8, 64, 64, 3), dtype('float32'), [1, 0, 1, 1, 0, 0, 1, 1])
>>> bool(0 <= x.min() and x.max() <= 1)
True
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from tinymed.datasets import anatomy

SIZE, SLICES = 64, 3
WINDOW = anatomy.WINDOW

_BLOCK = 64
"""Patches are drawn in blocks, each from a generator of its own, so that memory stays small."""


def nodules(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw CT patches, half of them with one nodule of 3 to 15 pixels across.

    The first patches of a larger draw with the same seed are the same patches.

    Args:
        n: How many patches.
        seed: Which patches; different seeds share none.

    Returns:
        Images (n, 64, 64, 3), float32 in [0, 1], and labels (n,), int64: 1 with a nodule, 0 without.

    Raises:
        ValueError: If ``n`` is not positive.
    """
    if n < 1:
        raise ValueError(f"n, the number of patches, must be at least 1, got {n}")
    x = np.empty((n, SIZE, SIZE, SLICES), dtype=np.float32)
    y = np.empty(n, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        part = slice(start, min(start + _BLOCK, n))
        images, labels = _block(np.random.default_rng([seed, start]))
        x[part], y[part] = images[: part.stop - start], labels[: part.stop - start]
    return x, y


def _block(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one block of patches: anatomy from back to front, then the scanner, then the window."""
    n = _BLOCK
    labels = rng.permutation(np.arange(n) % 2)
    z = anatomy.between(rng, 1.5, 3.5, n)[:, 0, 0] * np.arange(
        -1, SLICES - 1, dtype=np.float32
    )  # (n, 3): heights of the slices
    hu = anatomy.parenchyma(rng, n, SIZE, SLICES)
    wall = anatomy.chest_wall(rng, z, SIZE)
    vessels, airways = anatomy.trees(rng, n, SIZE)
    hu = anatomy.mix(hu, anatomy.splat(vessels, z, SIZE), anatomy.BLOOD)
    hu = anatomy.mix(hu, anatomy.splat(airways + np.array([0, 0, 0, 0.9], dtype=np.float32), z, SIZE), -150.0)
    hu = anatomy.mix(hu, anatomy.splat(airways, z, SIZE), anatomy.AIR)
    ill, walled = labels == 1, wall["present"]
    hu[ill] = _draw_nodules(rng, hu[ill], z[ill], vessels[ill], {key: value[ill] for key, value in wall.items()})
    hu[walled] = anatomy.draw_wall(rng, hu[walled], wall["depth"][walled], wall["along"][walled])
    hu = ndimage.gaussian_filter(hu, (0, 0.65, 0.65, 0), truncate=3)  # the scanner's sharpness
    hu += anatomy.noise(rng, hu.shape)
    return anatomy.windowed(hu), labels


def _draw_nodules(
    rng: np.random.Generator, hu: np.ndarray, z: np.ndarray, vessels: np.ndarray, wall: dict[str, np.ndarray]
) -> np.ndarray:
    """Paint one nodule into each patch."""
    radius = 1.5 + 6 * np.sqrt(anatomy.between(rng, 0, 1, len(hu)))  # 3 to 15 pixels across, more large ones than small
    centre = _places(rng, radius[:, 0, 0, 0], vessels, wall)
    return anatomy.draw_nodule(rng, hu, z, radius, centre)[0]


def _places(
    rng: np.random.Generator, radius: np.ndarray, vessels: np.ndarray, wall: dict[str, np.ndarray]
) -> np.ndarray:
    """Choose where the nodules are: free in the lung, on a vessel, or against the pleura."""
    n = len(radius)
    rows = np.arange(n)
    centre = rng.uniform(-1, 1, (n, 3)) * (12, 12, 1.2)
    near = (np.abs(vessels[..., :2]) < 12).all(axis=-1) & (np.abs(vessels[..., 2]) < 1.2)
    chosen = np.argmax(near * rng.random(near.shape), axis=1)
    on_vessel = near.any(axis=1) & (rng.random(n) < 0.35)
    centre = np.where(on_vessel[:, None], vessels[rows, chosen, :3], centre)
    # Behind the pleura nothing would be seen: such a nodule is moved to touch it, and some others are too.
    angle, inset = wall["angle"][:, 0, 0, 0], wall["inset"][:, 0, 0, 0]
    across = centre[:, 0] * np.cos(angle) + centre[:, 1] * np.sin(angle)
    touching = inset - radius * rng.uniform(0.3, 0.9, n)
    moves = (across > touching) | (wall["present"] & (inset < 20) & (rng.random(n) < 0.4))
    shift = np.where(moves, touching - across, 0)
    centre = centre + np.stack([shift * np.cos(angle), shift * np.sin(angle), 0 * shift], axis=-1)
    return centre.astype(np.float32)
