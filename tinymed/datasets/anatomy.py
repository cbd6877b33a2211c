"""What a chest CT is painted from: lung, vessels, airways, chest wall, nodules, and the scanner's noise.

The phantoms (:mod:`tinymed.datasets.phantoms`, :mod:`tinymed.datasets.lesions`) are made of these. All images are
(N, size, size, slices), all lengths are in pixels (about 0.7 mm) from the middle of the image, all intensities in
Hounsfield units (HU: air -1000, water 0) until :func:`windowed`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

WINDOW = (-1000.0, 400.0)
"""HU shown as 0 and as 1: the usual lung window."""

LUNG, BLOOD, AIR, MUSCLE, FAT, CORTEX, MARROW = -865.0, 40.0, -985.0, 45.0, -95.0, 650.0, 190.0


def windowed(hu: np.ndarray) -> np.ndarray:
    """Map the HU of the window to [0, 1], and what lies outside to its ends."""
    low, high = WINDOW
    return np.clip((hu - low) / (high - low), 0, 1)


# --- tissue ----------------------------------------------------------------------------------------------------


def mix(hu: np.ndarray, share: np.ndarray, tissue: float | np.ndarray) -> np.ndarray:
    """Partial volume: a pixel is the mean of what lies in it, ``share`` of it being ``tissue``."""
    return hu + share * (np.float32(tissue) - hu)


def between(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """Draw one number for each patch, shaped (n, 1, 1, 1) to go with images."""
    return rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32)


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Draw noise of standard deviation 1 that changes over ``sigma`` pixels, independent in each slice."""
    field = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(field, (0, sigma, sigma, 0), mode="wrap", truncate=3)
    return field / field.std()


def parenchyma(rng: np.random.Generator, n: int, size: int, slices: int) -> np.ndarray:
    """Draw lung tissue: mostly air, denser towards the back, finely mottled."""
    ramp = np.linspace(-1, 1, size, dtype=np.float32)[:, None, None]
    mottled = np.repeat(smooth_field(rng, (n, size, size, 1), 5.0), slices, axis=3)
    fine = smooth_field(rng, (n, size, size, slices), 1.4)
    return LUNG + between(rng, -35, 45, n) + between(rng, -10, 35, n) * ramp + 18 * mottled + 14 * fine


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the scanner's noise: correlated between neighbours by the reconstruction, its strength by the dose."""
    white = rng.standard_normal(shape, dtype=np.float32)
    grain = ndimage.gaussian_filter(white, (0, 0.8, 0.8, 0), mode="wrap", truncate=3)
    sharp = between(rng, 0, 0.35, shape[0])
    grain = sharp * white + (1 - sharp) * (grain / grain.std())
    return between(rng, 15, 55, shape[0]) * grain


# --- vessels and airways ---------------------------------------------------------------------------------------


def trees(
    rng: np.random.Generator, n: int, size: int, trees: int = 13, steps: int = 26
) -> tuple[np.ndarray, np.ndarray]:
    """Grow vessels that fork twice, as balls strung along bent lines, and airways that run beside some of them.

    Returns:
        Two arrays (n, balls, 4): x, y, z from the patch's centre, and radius.
    """
    half = size / 2
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


def splat(balls: np.ndarray, z: np.ndarray, size: int) -> np.ndarray:
    """Paint soft balls (n, balls, 4) into the slices at heights ``z``; each pixel keeps the largest share.

    Only the few balls that reach a slice are painted, each into a small window: that is what makes it fast.
    """
    slices = z.shape[1]
    painted = np.zeros((len(balls), size, size, slices), dtype=np.float32)
    x, y, height, radius = (balls[:, :, None, i] for i in range(4))  # (n, balls, 1)
    dz = height - z[:, None, :]  # (n, balls, slices)
    inside = (np.abs(x) < size / 2 + 5) & (np.abs(y) < size / 2 + 5) & (np.abs(dz) < radius + 0.5)
    for low, high in ((-1.0, 1.0), (1.0, 2.0), (2.0, 9.0)):  # windows as small as the radius allows
        patch, ball, level = np.nonzero(inside & (radius > low) & (radius <= high))
        reach = np.arange(-int(min(high, 4) + 2), int(min(high, 4) + 3))
        r, dz_here = radius[patch, ball, 0], dz[patch, ball, level]
        column, row = x[patch, ball, 0] + (size - 1) / 2, y[patch, ball, 0] + (size - 1) / 2
        columns = np.rint(column).astype(np.int64)[:, None, None] + reach[None, None, :]
        rows = np.rint(row).astype(np.int64)[:, None, None] + reach[None, :, None]
        distance = np.sqrt(
            (columns - column[:, None, None]) ** 2 + (rows - row[:, None, None]) ** 2 + dz_here[:, None, None] ** 2
        )
        share = np.clip(r[:, None, None] + 0.5 - distance, 0, 1) * np.minimum(r, 1)[:, None, None]
        keep = (share > 0) & (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
        place = ((patch[:, None, None] * size + rows) * size + columns) * slices + level[:, None, None]
        np.maximum.at(painted.reshape(-1), place[keep], share[keep])
    return painted


# --- chest wall ------------------------------------------------------------------------------------------------


def chest_wall(rng: np.random.Generator, z: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Place the chest wall: depth of every pixel behind the pleura (negative inside the lung), and along it."""
    n = len(z)
    angle, bend = between(rng, 0, 2 * np.pi, n), between(rng, -0.002, 0.008, n)
    present = rng.random(n) < 0.35
    inset = np.where(present[:, None, None, None], between(rng, 4, 30, n), np.float32(500))
    tilt = between(rng, -0.6, 0.6, n)
    grid = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y, height = grid[None, None, :, None], grid[None, :, None, None], z[:, None, None, :]
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    depth = across + bend * along**2 + tilt * height - inset
    return {
        "depth": depth,
        "along": along + 0 * height,
        "angle": angle,
        "bend": bend,
        "inset": inset,
        "present": present,
    }


def draw_wall(rng: np.random.Generator, hu: np.ndarray, depth: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Paint muscle behind the pleura, fat behind the muscle, and ribs."""
    n, size = hu.shape[:2]
    hu = mix(hu, np.clip(depth + 0.5, 0, 1), MUSCLE)
    streaks = 2.0 * smooth_field(rng, (n, size, size, 1), 4.0)
    fat = np.clip((depth - between(rng, 6, 16, n) + streaks) / 2, 0, 1)
    hu = mix(hu, fat, FAT)
    for side in (-1, 1):
        middle, level = side * between(rng, 14, 30, n), between(rng, 5.5, 8, n)
        ellipse = np.hypot((along - middle) / between(rng, 8, 12, n), (depth - level) / between(rng, 3.2, 4.8, n))
        bone = np.clip((1 - ellipse) * 4 + 0.5, 0, 1)
        marrow = np.clip((0.68 - ellipse) * 4 + 0.5, 0, 1)
        hu = mix(mix(hu, bone, CORTEX), marrow, MARROW)
    return hu


# --- nodules ---------------------------------------------------------------------------------------------------


Surface = Callable[[np.ndarray], np.ndarray]
"""Distance from a nodule's centre to its surface, (n, 1, 1, 1) or larger, in the directions of the given angles."""


def draw_nodule(
    rng: np.random.Generator, hu: np.ndarray, z: np.ndarray, radius: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, Surface]:
    """Paint one nodule into each image: round, lobed or spiculated; solid, part-solid or hazy.

    Args:
        rng: Draws form and density.
        hu: Images (n, size, size, slices).
        z: Heights of the slices, (n, slices).
        radius: Radii, (n, 1, 1, 1).
        centre: x, y, z of the centres, (n, 3).

    Returns:
        The images, and the nodules' outlines (without the spikes of spiculated ones).
    """
    n, size = hu.shape[:2]
    centre = centre[:, None, None, None, :]
    grid = np.arange(size, dtype=np.float32) - (size - 1) / 2
    dx, dy = grid[None, None, :, None] - centre[..., 0], grid[None, :, None, None] - centre[..., 1]
    dz = (z[:, None, None, :] - centre[..., 2]) * between(rng, 0.85, 1.2, n)
    distance, angle = np.sqrt(dx**2 + dy**2 + dz**2), np.arctan2(dy, dx)
    bumps = [  # an oval, lobes, and smaller bumps
        (k, between(rng, 0, most, n), between(rng, 0, 2 * np.pi, n)) for k, most in ((2, 0.14), (3, 0.10), (5, 0.07))
    ]

    def outline(angle: np.ndarray) -> np.ndarray:
        reach = radius * np.ones_like(angle)
        for k, height, turn in bumps:
            reach += radius * height * np.cos(k * angle + turn)
        return reach

    surface = outline(angle)
    spiculated = (rng.random((n, 1, 1, 1)) < 0.2) & (radius > 3)
    for sharpness in (14, 24):  # two sets of spikes at odds with each other, so that no two look alike
        spikes = np.cos(between(rng, 1.5, 3.4, n).round() * angle / 2 + between(rng, 0, 2 * np.pi, n)) ** (
            2 * sharpness
        )
        surface += spiculated * radius * between(rng, 0.1, 0.6, n) * spikes
    softness = between(rng, 0.8, 1.8, n)
    share = np.clip((surface - distance) / softness + 0.5, 0, 1)
    core = np.clip((between(rng, 0.35, 0.7, n) * surface - distance) / softness + 0.5, 0, 1)
    kind = rng.random((n, 1, 1, 1))
    hazy = (kind > 0.7) & (radius > 2.5)  # small nodules are always solid here: a small hazy one cannot be seen
    solid = between(rng, -40, 70, n)
    painted = mix(hu, share, np.where(hazy, between(rng, -640, -420, n), solid))
    painted = np.where(hazy, np.maximum(painted, hu), painted)  # vessels shine through haze
    return np.where(hazy & (kind < 0.9), mix(painted, core, solid), painted), outline
