"""Images made by a formula: chest X-rays of four kinds at 224 x 224 pixels, written as a folder of class folders.

The chest is that of :mod:`tinymed.datasets.chests`, drawn larger. A lung is normal, or has a *consolidation* (fluid in
place of air, a cloud without a border), an *effusion* (fluid around the lung, which sinks to the bottom and rises at
the wall), or a *mass* (round, with a border). Each patient has two pictures of one chest, as taken on two days, and
file names that begin with the patient's number: who tests on the second picture of a chest that was trained on, tests
whether the network knows the patient.

>>> x = picture("effusion", patient=3, visit=0, seed=1)
>>> x.shape, x.dtype, bool(0 <= x.min() and x.max() <= 1)
((224, 224), dtype('float32'), True)
"""

from __future__ import annotations

import os
import pathlib

import numpy as np
from scipy import ndimage

from tinymed.datasets import chests
from tinymed.preprocessing.image import save_img

SIZE = 224
CLASSES = ("consolidation", "effusion", "mass", "normal")
VISITS = 2


def write(folder: str | os.PathLike[str], n: int, seed: int = 0) -> pathlib.Path:
    """Draw pictures and write them as ``FOLDER/CLASS/PATIENT_VISIT.png``, equally many of each class.

    Args:
        folder: Where to; made if it does not exist.
        n: How many pictures; a multiple of 8, two of each patient.
        seed: Which patients; different seeds share none.

    Returns:
        The folder.

    Raises:
        ValueError: If ``n`` is not a positive multiple of 8.
    """
    if n < 1 or n % (VISITS * len(CLASSES)):
        raise ValueError(f"n, the number of pictures, must be a multiple of {VISITS * len(CLASSES)}, got {n}")
    for patient in range(n // VISITS):
        kind = CLASSES[patient % len(CLASSES)]
        (pathlib.Path(folder) / kind).mkdir(parents=True, exist_ok=True)
        for visit in range(VISITS):
            pixels = picture(kind, patient, visit, seed)
            name = pathlib.Path(folder) / kind / f"{patient + 1:08d}_{visit:03d}.png"
            save_img(name, 255 * pixels[..., None], scale=False, compress_level=1)
    return pathlib.Path(folder)


def picture(kind: str, patient: int, visit: int, seed: int = 0) -> np.ndarray:
    """Draw one picture.

    Args:
        kind: One of :data:`CLASSES`.
        patient: Whose chest.
        visit: On which day: how the patient stands and how the film comes out differ.
        seed: Which set of patients.

    Returns:
        Pixels (224, 224), float32 in [0, 1].

    Raises:
        ValueError: If there is no such class.
    """
    if kind not in CLASSES:
        raise ValueError(f"unknown class {kind!r}; choose one of {', '.join(CLASSES)}")
    body, day = np.random.default_rng([seed, patient]), np.random.default_rng([seed, patient, visit + 1])
    x, y = _posed_grid(day)
    lungs, domes = chests.draw_lungs(body, x, y)
    heart = chests.draw_heart(body, x, y)
    lungs = lungs * (1 - 0.85 * heart)
    density = chests.draw_soft_tissue(body, x, y)
    density += body.uniform(0.08, 0.22) * domes + body.uniform(0.03, 0.10) * heart
    air = body.uniform(0.26, 0.42) * lungs
    vessels = 0.035 * _smooth_field(body, 3.0) + 0.03 * _smooth_field(body, 1.2)
    density -= air * (1 - vessels * np.exp(-np.abs(x)))
    density += chests.draw_ribs(body, x, y, lungs) + chests.draw_clavicles(body, x, y)
    if kind != "normal":
        side = body.choice([-1, 1])
        filled = {"consolidation": _cloud, "effusion": _fluid, "mass": _ball}[kind](body, side, x, y)
        density += air * np.clip(filled, 0, 1)
    return _film(day, density[0])


def _posed_grid(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y (1, 224, 224) of each pixel as the patient has them, from -1 to 1: moved, turned and scaled."""
    line = (np.arange(SIZE, dtype=np.float32) + 0.5) * (2 / SIZE) - 1
    angle, scale = np.float32(np.radians(rng.normal(0, 2.5))), np.float32(rng.uniform(0.92, 1.12))
    x, y = (
        line[None, None, :] - np.float32(rng.uniform(-0.1, 0.1)),
        line[None, :, None] - np.float32(rng.uniform(-0.1, 0.1)),
    )
    return (x * np.cos(angle) + y * np.sin(angle)) / scale, (y * np.cos(angle) - x * np.sin(angle)) / scale


def _smooth_field(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Draw noise (1, 224, 224) of standard deviation 1 that changes over ``sigma`` pixels."""
    field = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE), dtype=np.float32), sigma, mode="wrap", truncate=3)
    return field[None] / field.std()


# --- diseases: which part of the air is gone ---------------------------------------------------------------------


def _cloud(rng: np.random.Generator, side: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A consolidation: a cloud, or two that touch, mottled by the air that is left in it."""
    filled = np.zeros_like(x)
    middle = rng.uniform(0.35, 0.55), rng.uniform(-0.35, 0.35)
    for _ in range(2):
        u, v = side * x - middle[0] + rng.normal(0, 0.08), y - middle[1] + rng.normal(0, 0.12)
        distance = np.hypot(u / rng.uniform(0.15, 0.3), v / rng.uniform(0.18, 0.34))
        filled = np.maximum(filled, rng.uniform(0.6, 0.95) * chests.soft_edge(distance - 1, 0.28))
    return filled * (1 + 0.22 * _smooth_field(rng, 5.0))


def _fluid(rng: np.random.Generator, side: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """An effusion: everything below a level, which rises towards the wall."""
    level = rng.uniform(0.05, 0.42) - 0.9 * np.clip(side * x - 0.45, 0, None) ** 2
    return rng.uniform(0.8, 1.0) * chests.soft_edge(level - y, 0.035) * (side * x > 0)


def _ball(rng: np.random.Generator, side: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A mass: nearly round, with a border."""
    u, v = side * x - rng.uniform(0.3, 0.58), y - rng.uniform(-0.45, 0.35)
    angle, radius = np.arctan2(v, u), rng.uniform(0.1, 0.2)
    lobes = 1 + 0.08 * np.cos(3 * angle + rng.uniform(0, 6.3)) + 0.05 * np.cos(5 * angle + rng.uniform(0, 6.3))
    return rng.uniform(0.65, 0.95) * chests.soft_edge(np.hypot(u, v) - radius * lobes, 0.012)


def _film(rng: np.random.Generator, density: np.ndarray) -> np.ndarray:
    """Turn what the rays have met into an image: sharpness, scatter, exposure, grain."""
    density = ndimage.gaussian_filter(density, 0.9, truncate=3) + 0.012 * _smooth_field(rng, 12.0)[0]
    image = np.clip(density, 0, None) ** rng.uniform(0.85, 1.25)
    image = rng.uniform(0.82, 1.02) * image + rng.uniform(-0.04, 0.05)
    image += rng.uniform(0.008, 0.02) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image, 0, 1).astype(np.float32)
