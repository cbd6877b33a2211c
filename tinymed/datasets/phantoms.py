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

SIZE, SLICES = 64, 3
WINDOW = (-1000.0, 400.0)
"""HU shown as 0 and as 1: the usual lung window."""

_BLOCK = 64
"""Patches are drawn in blocks, each from a generator of its own, so that memory stays small."""

_LUNG, _BLOOD, _AIR, _MUSCLE, _FAT, _CORTEX, _MARROW = -865.0, 40.0, -985.0, 45.0, -95.0, 650.0, 190.0


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
    z = _between(rng, 1.5, 3.5, n)[:, 0, 0] * np.arange(
        -1, SLICES - 1, dtype=np.float32
    )  # (n, 3): heights of the slices
    hu = _parenchyma(rng, n)
    wall = _chest_wall(rng, z)
    vessels, airways = _trees(rng, n)
    hu = _mix(hu, _splat(vessels, z), _BLOOD)
    hu = _mix(hu, _splat(airways + np.array([0, 0, 0, 0.9], dtype=np.float32), z), -150.0)
    hu = _mix(hu, _splat(airways, z), _AIR)
    ill, walled = labels == 1, wall["present"]
    hu[ill] = _draw_nodules(rng, hu[ill], z[ill], vessels[ill], {key: value[ill] for key, value in wall.items()})
    hu[walled] = _draw_wall(rng, hu[walled], wall["depth"][walled], wall["along"][walled])
    hu = ndimage.gaussian_filter(hu, (0, 0.65, 0.65, 0), truncate=3)  # the scanner's sharpness
    hu += _noise(rng, hu.shape)
    low, high = WINDOW
    return np.clip((hu - low) / (high - low), 0, 1), labels


# --- tissue ----------------------------------------------------------------------------------------------------


def _mix(hu: np.ndarray, share: np.ndarray, tissue: float | np.ndarray) -> np.ndarray:
    """Partial volume: a pixel is the mean of what lies in it, ``share`` of it being ``tissue``."""
    return hu + share * (np.float32(tissue) - hu)


def _between(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """Draw one number for each patch, shaped (n, 1, 1, 1) to go with images."""
    return rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32)


def _smooth_field(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Draw noise of standard deviation 1 that changes over ``sigma`` pixels, independent in each slice."""
    field = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(field, (0, sigma, sigma, 0), mode="wrap", truncate=3)
    return field / field.std()


def _parenchyma(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw lung tissue: mostly air, denser towards the back, finely mottled."""
    ramp = np.linspace(-1, 1, SIZE, dtype=np.float32)[:, None, None]
    mottled = np.repeat(_smooth_field(rng, (n, SIZE, SIZE, 1), 5.0), SLICES, axis=3)
    fine = _smooth_field(rng, (n, SIZE, SIZE, SLICES), 1.4)
    return _LUNG + _between(rng, -35, 45, n) + _between(rng, -10, 35, n) * ramp + 18 * mottled + 14 * fine


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the scanner's noise: correlated between neighbours by the reconstruction, its strength by the dose."""
    white = rng.standard_normal(shape, dtype=np.float32)
    grain = ndimage.gaussian_filter(white, (0, 0.8, 0.8, 0), mode="wrap", truncate=3)
    sharp = _between(rng, 0, 0.35, shape[0])
    grain = sharp * white + (1 - sharp) * (grain / grain.std())
    return _between(rng, 15, 55, shape[0]) * grain


# --- vessels and airways ---------------------------------------------------------------------------------------


def _trees(rng: np.random.Generator, n: int, trees: int = 13, steps: int = 26) -> tuple[np.ndarray, np.ndarray]:
    """Grow vessels that fork twice, as balls strung along bent lines, and airways that run beside some of them.

    Returns:
        Two arrays (n, balls, 4): x, y, z from the patch's centre, and radius.
    """
    half = SIZE / 2
    start = rng.uniform(-1, 1, (n, trees, 1, 3)) * (half + 4, half + 4, 12)
    towards = rng.standard_normal((n, 1, 1, 3)) * (1, 1, 0.5)  # away from the hilum, roughly the same for all
    heading = _unit(towards + 0.9 * rng.standard_normal((n, trees, 1, 3)) * (1, 1, 0.7))
    radius = rng.uniform(0.7, 1.0, (n, trees, 1)) * rng.choice(
        [1.0, 1.4, 2.2, 3.2], (n, trees, 1), p=[0.54, 0.29, 0.13, 0.04]
    )
    branches = []
    for level in range(3):
        bends = np.cumsum(0.09 * rng.standard_normal((*heading.shape[:3], steps, 3)), axis=3)
        line = start[..., None, :] + np.cumsum(_unit(heading[..., None, :] + bends), axis=3)
        taper = radius[..., None] * np.linspace(1, 0.85, steps)
        branches.append(np.concatenate([line, taper[..., None]], axis=-1).reshape(n, trees, -1, 4))
        if level < 2:  # fork: the two daughters together carry the mother's blood (radii cubed, Murray's law)
            ends, last = line[..., -1, :], _unit(line[..., -1, :] - line[..., -3, :])
            aside = 0.6 * rng.standard_normal(last.shape)
            share = rng.uniform(0.25, 0.75, radius.shape)
            start = np.concatenate([ends, ends], axis=2)
            heading = np.concatenate([_unit(last + aside), _unit(last - aside)], axis=2)
            radius = 0.85 * np.concatenate([radius * share ** (1 / 3), radius * (1 - share) ** (1 / 3)], axis=2)
    vessels = np.concatenate(branches, axis=2)
    thick = branches[0][:, :2]  # (n, 2, steps, 4): two stems in each patch may have an airway beside them
    beside = _unit(rng.standard_normal((n, 2, 1, 3)) * (1, 1, 0.2)) * (2 * thick[:, :, :1, 3:] + 1.2)
    airways = np.concatenate([thick[..., :3] + beside, 0.9 * thick[..., 3:]], axis=-1)
    airways[..., 3] = np.where(thick[:, :, :1, 3] > 1.2, airways[..., 3], -9.0)  # thin ones: no ball at all
    return vessels.reshape(n, -1, 4).astype(np.float32), airways.reshape(n, -1, 4).astype(np.float32)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def _splat(balls: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Paint soft balls (n, balls, 4) into the slices at heights ``z``; each pixel keeps the largest share.

    Only the few balls that reach a slice are painted, each into a small window: that is what makes it fast.
    """
    n = len(balls)
    painted = np.zeros((n, SIZE, SIZE, SLICES), dtype=np.float32)
    x, y, height, radius = (balls[:, :, None, i] for i in range(4))  # (n, balls, 1)
    dz = height - z[:, None, :]  # (n, balls, slices)
    inside = (np.abs(x) < SIZE / 2 + 5) & (np.abs(y) < SIZE / 2 + 5) & (np.abs(dz) < radius + 0.5)
    for low, high in ((-1.0, 1.0), (1.0, 2.0), (2.0, 9.0)):  # windows as small as the radius allows
        patch, ball, level = np.nonzero(inside & (radius > low) & (radius <= high))
        reach = np.arange(-int(min(high, 4) + 2), int(min(high, 4) + 3))
        r, dz_here = radius[patch, ball, 0], dz[patch, ball, level]
        column, row = x[patch, ball, 0] + (SIZE - 1) / 2, y[patch, ball, 0] + (SIZE - 1) / 2
        columns = np.rint(column).astype(np.int64)[:, None, None] + reach[None, None, :]
        rows = np.rint(row).astype(np.int64)[:, None, None] + reach[None, :, None]
        distance = np.sqrt(
            (columns - column[:, None, None]) ** 2 + (rows - row[:, None, None]) ** 2 + dz_here[:, None, None] ** 2
        )
        share = np.clip(r[:, None, None] + 0.5 - distance, 0, 1) * np.minimum(r, 1)[:, None, None]
        keep = (share > 0) & (columns >= 0) & (columns < SIZE) & (rows >= 0) & (rows < SIZE)
        place = ((patch[:, None, None] * SIZE + rows) * SIZE + columns) * SLICES + level[:, None, None]
        np.maximum.at(painted.reshape(-1), place[keep], share[keep])
    return painted


# --- chest wall ------------------------------------------------------------------------------------------------


def _chest_wall(rng: np.random.Generator, z: np.ndarray) -> dict[str, np.ndarray]:
    """Place the chest wall: depth of every pixel behind the pleura (negative inside the lung), and along it."""
    n = len(z)
    angle, bend = _between(rng, 0, 2 * np.pi, n), _between(rng, -0.002, 0.008, n)
    present = rng.random(n) < 0.35
    inset = np.where(present[:, None, None, None], _between(rng, 4, 30, n), np.float32(500))
    tilt = _between(rng, -0.6, 0.6, n)
    grid = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    x, y, height = grid[None, None, :, None], grid[None, :, None, None], z[:, None, None, :]
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    depth = across + bend * along**2 + tilt * height - inset
    return {"depth": depth, "along": along + 0 * height, "angle": angle, "inset": inset, "present": present}


def _draw_wall(rng: np.random.Generator, hu: np.ndarray, depth: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Paint muscle behind the pleura, fat behind the muscle, and ribs."""
    n = len(hu)
    hu = _mix(hu, np.clip(depth + 0.5, 0, 1), _MUSCLE)
    streaks = 2.0 * _smooth_field(rng, (n, SIZE, SIZE, 1), 4.0)
    fat = np.clip((depth - _between(rng, 6, 16, n) + streaks) / 2, 0, 1)
    hu = _mix(hu, fat, _FAT)
    for side in (-1, 1):
        middle, level = side * _between(rng, 14, 30, n), _between(rng, 5.5, 8, n)
        ellipse = np.hypot((along - middle) / _between(rng, 8, 12, n), (depth - level) / _between(rng, 3.2, 4.8, n))
        bone = np.clip((1 - ellipse) * 4 + 0.5, 0, 1)
        marrow = np.clip((0.68 - ellipse) * 4 + 0.5, 0, 1)
        hu = _mix(_mix(hu, bone, _CORTEX), marrow, _MARROW)
    return hu


# --- nodules ---------------------------------------------------------------------------------------------------


def _draw_nodules(
    rng: np.random.Generator, hu: np.ndarray, z: np.ndarray, vessels: np.ndarray, wall: dict[str, np.ndarray]
) -> np.ndarray:
    """Paint one nodule into each patch: round, lobed or spiculated; solid, part-solid or hazy."""
    n = len(hu)
    radius = 1.5 + 6 * np.sqrt(_between(rng, 0, 1, n))  # 3 to 15 pixels across, more large ones than small
    centre = _places(rng, radius[:, 0, 0, 0], vessels, wall)[:, None, None, None, :]
    grid = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    dx, dy = grid[None, None, :, None] - centre[..., 0], grid[None, :, None, None] - centre[..., 1]
    dz = (z[:, None, None, :] - centre[..., 2]) * _between(rng, 0.85, 1.2, n)
    distance, angle = np.sqrt(dx**2 + dy**2 + dz**2), np.arctan2(dy, dx)
    surface = radius * np.ones_like(angle)
    for k, most in ((2, 0.14), (3, 0.10), (5, 0.07)):  # an oval, lobes, and smaller bumps
        surface += radius * _between(rng, 0, most, n) * np.cos(k * angle + _between(rng, 0, 2 * np.pi, n))
    spiculated = (rng.random((n, 1, 1, 1)) < 0.2) & (radius > 3)
    for sharpness in (14, 24):  # two sets of spikes at odds with each other, so that no two look alike
        spikes = np.cos(_between(rng, 1.5, 3.4, n).round() * angle / 2 + _between(rng, 0, 2 * np.pi, n)) ** (
            2 * sharpness
        )
        surface += spiculated * radius * _between(rng, 0.1, 0.6, n) * spikes
    softness = _between(rng, 0.8, 1.8, n)
    share = np.clip((surface - distance) / softness + 0.5, 0, 1)
    core = np.clip((_between(rng, 0.35, 0.7, n) * surface - distance) / softness + 0.5, 0, 1)
    kind = rng.random((n, 1, 1, 1))
    hazy = (kind > 0.7) & (radius > 2.5)  # small nodules are always solid here: a small hazy one cannot be seen
    solid = _between(rng, -40, 70, n)
    painted = _mix(hu, share, np.where(hazy, _between(rng, -640, -420, n), solid))
    painted = np.where(hazy, np.maximum(painted, hu), painted)  # vessels shine through haze
    return np.where(hazy & (kind < 0.9), _mix(painted, core, solid), painted)


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
