r"""Images made by a formula: CT slices with any number of lung nodules and their boxes, without any download.

A slice is about 2 mm thick: the mean of three levels, so that small nodules fade as they do in a scan. It shows lung
with vessels, some of them cutting through the plane and then as round as a nodule, airways, in every third image the
chest wall, and the scanner's noise. Nodules have 3 to 15 pixels across (2 to 10 mm; a lobe may reach a little
farther), every size equally often; they are round, lobed or spiculated, free, on a vessel or against the pleura;
three in ten of those above 5 pixels are hazy, most of them with a solid core.

Boxes everywhere in tinymed are (y0, x0, y1, x1) in pixels: y down, x to the right, measured at the edges of the
pixels, so that pixel (i, j) is the box (i, j, i + 1, j + 1) and a box has the area (y1 - y0)(x1 - x0). The boxes
here enclose the visible part of a nodule's outline, without spikes, to a fraction of a pixel.

>>> slices = draw(4, seed=1)
>>> slices.images.shape, [len(boxes) for boxes in slices.boxes]
((4, 64, 64, 1), [0, 1, 1, 0])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tinymed.datasets import anatomy

SIZE = 64
SPACING = 0.7
"""Width of a pixel in millimetres."""

MOST = 4
"""No image has more nodules than this."""

_SHARES = (0.25, 0.35, 0.25, 0.10, 0.05)
"""How many of the images have 0, 1, 2 ... nodules (a few less where there is no room)."""

_BLOCK = 64


@dataclass(frozen=True)
class Lesions:
    """Images with boxes.

    Attributes:
        images: (N, H, W, 1), float32 in [0, 1].
        boxes: For each image its boxes (M, 4), float32, (y0, x0, y1, x1).
        patients: For each image whose it is; each image a patient of its own if empty.
    """

    images: np.ndarray
    boxes: Sequence[np.ndarray]
    patients: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: np.ndarray) -> Lesions:
        """Return some of the images, by their numbers."""
        patients = [self.patients[i] for i in which] if len(self.patients) else ()
        return Lesions(self.images[which], [self.boxes[i] for i in which], patients)


def draw(n: int, seed: int = 0, size: int = SIZE) -> Lesions:
    """Draw CT slices with nodules and their boxes.

    The first images of a larger draw with the same seed and size are the same images.

    Args:
        n: How many images.
        seed: Which images; different seeds share none.
        size: Height and width.

    Raises:
        ValueError: If ``n`` is not positive, or the size below 32.
    """
    if n < 1:
        raise ValueError(f"n, the number of images, must be at least 1, got {n}")
    if size < 32:
        raise ValueError(f"size must be at least 32 pixels, got {size}: a nodule needs room")
    images = np.empty((n, size, size, 1), dtype=np.float32)
    boxes: list[np.ndarray] = []
    for start in range(0, n, _BLOCK):
        hu, found = _block(np.random.default_rng([seed, start, size, 1]), size)
        images[start : start + _BLOCK] = anatomy.windowed(hu)[: n - start]
        boxes += found[: n - start]
    return Lesions(images, boxes)


def _block(rng: np.random.Generator, size: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draw one block in HU: anatomy from back to front at three levels, their mean, then the scanner."""
    n = _BLOCK
    z = anatomy.between(rng, 0.6, 1.2, n)[:, 0, 0] * np.arange(-1, 2, dtype=np.float32)  # (n, 3): heights
    hu = anatomy.parenchyma(rng, n, size, 3)
    wall = anatomy.chest_wall(rng, z, size)
    vessels, airways = anatomy.trees(rng, n, size, trees=round(13 * (size / 64) ** 2))
    hu = anatomy.mix(hu, anatomy.splat(vessels, z, size), anatomy.BLOOD)
    hu = anatomy.mix(hu, anatomy.splat(airways + np.array([0, 0, 0, 0.9], dtype=np.float32), z, size), -150.0)
    hu = anatomy.mix(hu, anatomy.splat(airways, z, size), anatomy.AIR)
    hu, boxes = _add_nodules(rng, hu, z, vessels, wall)
    walled = wall["present"]
    hu[walled] = anatomy.draw_wall(rng, hu[walled], wall["depth"][walled], wall["along"][walled])
    hu = hu.mean(axis=3, keepdims=True)
    hu = ndimage.gaussian_filter(hu, (0, 0.65, 0.65, 0), truncate=3)  # the scanner's sharpness
    return hu + anatomy.noise(rng, hu.shape), boxes


# --- nodules ---------------------------------------------------------------------------------------------------


def _add_nodules(
    rng: np.random.Generator, hu: np.ndarray, z: np.ndarray, vessels: np.ndarray, wall: dict[str, np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Paint each image's nodules one after the other, where they have room."""
    n, size = len(hu), hu.shape[1]
    wanted = rng.choice(len(_SHARES), size=n, p=_SHARES)
    placed = np.full((n, MOST, 3), np.nan)  # x, y, radius
    boxes: list[list[np.ndarray]] = [[] for _ in range(n)]
    for turn in range(MOST):
        radius = rng.uniform(1.5, 7.5, n).astype(np.float32)
        centre, room = _places(rng, radius, size, vessels, wall, placed)
        which = np.flatnonzero((wanted > turn) & room)
        if not len(which):
            continue
        placed[which, turn] = np.column_stack([centre[which, :2], radius[which]])
        hu[which], outline = anatomy.draw_nodule(
            rng, hu[which], z[which], radius[which, None, None, None], centre[which]
        )
        for image, box in zip(which, _visible_boxes(outline, centre[which], size, wall, which), strict=True):
            boxes[image].append(box)
    return hu, [np.array(found, dtype=np.float32).reshape(-1, 4) for found in boxes]


def _places(
    rng: np.random.Generator,
    radius: np.ndarray,
    size: int,
    vessels: np.ndarray,
    wall: dict[str, np.ndarray],
    placed: np.ndarray,
    tries: int = 12,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose a place for one nodule in each image: free, on a vessel, or against the pleura.

    Returns:
        Centres (n, 3), and whether there is room: inside the image, in front of the pleura, away from the others.
    """
    n = len(radius)
    reach = (size / 2 - 1.3 * radius - 1)[:, None]
    centre = rng.uniform(-1, 1, (n, tries, 3)) * np.stack([reach, reach, np.broadcast_to(0.5, reach.shape)], axis=-1)
    near = (np.abs(vessels[..., :2]) < reach[..., None]).all(axis=-1) & (np.abs(vessels[..., 2]) < 0.6)
    chosen = np.argsort(-(near * rng.random(near.shape)), axis=1)[:, :tries]
    on_vessel = np.take_along_axis(near, chosen, axis=1) & (rng.random((n, 1)) < 0.35)
    centre = np.where(on_vessel[..., None], np.take_along_axis(vessels[..., :3], chosen[..., None], axis=1), centre)
    direction = np.stack([np.cos(wall["angle"]), np.sin(wall["angle"])], axis=-1)[:, 0, 0, 0]  # (n, 2): into the wall
    touching = wall["present"][:, None] & (rng.random((n, 1)) < 0.3)
    shift = -radius[:, None] * rng.uniform(0.6, 1.0, (n, tries)) - _depth(centre[..., 0], centre[..., 1], wall)
    centre[..., :2] += np.where(touching, shift, 0)[..., None] * direction[:, None]
    room = (np.abs(centre[..., :2]) < reach[..., None]).all(axis=-1)
    room &= _depth(centre[..., 0], centre[..., 1], wall) < -0.55 * radius[:, None]
    gap = np.linalg.norm(centre[:, :, None, :2] - placed[:, None, :, :2], axis=-1) - placed[:, None, :, 2]
    room &= ~(gap < 1.3 * radius[:, None, None] + 3).any(axis=2)  # NaN, no other nodule, is no obstacle
    first = np.argmax(room, axis=1)
    rows = np.arange(n)
    return centre[rows, first].astype(np.float32), room[rows, first]


def _depth(x: np.ndarray, y: np.ndarray, wall: dict[str, np.ndarray]) -> np.ndarray:
    """Return how far behind the pleura points (n, k) lie, in the middle of the slice."""
    angle, bend, inset = (wall[name][:, 0, 0] for name in ("angle", "bend", "inset"))  # (n, 1)
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return across + bend * along**2 - inset


def _visible_boxes(
    outline: anatomy.Surface, centre: np.ndarray, size: int, wall: dict[str, np.ndarray], which: np.ndarray
) -> np.ndarray:
    """Return the boxes (n, 4) around the parts of the outlines that lie in front of the pleura."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)[None, None, None]
    reach = outline(angles)[:, 0, 0]  # (n, 96), of the ball; the slice cuts it a little off its middle
    reach = np.sqrt(np.maximum(reach**2 - centre[:, 2:] ** 2, 0.25))
    rings = reach[:, :, None] * np.linspace(0, 1, 25)  # points from the centre outwards
    x = (centre[:, :1, None] + rings * np.cos(angles[0, 0, 0])[:, None]).reshape(len(centre), -1)
    y = (centre[:, 1:2, None] + rings * np.sin(angles[0, 0, 0])[:, None]).reshape(len(centre), -1)
    hidden = _depth(x, y, {name: wall[name][which] for name in ("angle", "bend", "inset")}) > 0
    x, y = (np.where(hidden, np.nan, v) + size / 2 for v in (x, y))
    ends = (np.nanmin(y, axis=1), np.nanmin(x, axis=1), np.nanmax(y, axis=1), np.nanmax(x, axis=1))
    return np.clip(np.stack(ends, axis=1), 0, size)
