r"""A warp: for each pixel of a new image, the place in the old one that it shows.

Places are (y, x) in pixels, counted from the upper left corner of the image: the middle of the first pixel is at
(0.5, 0.5). A warp takes a new place $p$ back to the old place

$$q = A (p + d(p)) + t$$

with a matrix $A$ and a vector $t$ for each image, and a displacement $d$ that is a sum of cubic B-splines on a coarse
grid of control points (Rueckert et al., IEEE Transactions on Medical Imaging 18, 1999), or zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array

Border = str | float
"""What is beyond the border: ``"nearest"``, ``"reflect"``, or a number for pixels that show nothing of the image."""

_PIXELS = 2**18
"""Pixels that are moved at a time, so that the coordinates stay in the processor's cache and memory stays small."""


class Warp:
    """A warp for each image of a batch.

    Arguments:
        matrices: (N, 2, 3): A and t.
        size: Height and width.
        border: See :data:`Border`; masks show class 0 there if it is a number.
        control: Displacements (N, 2, GY, GX) of the control points in pixels, or None.
        spacing: Pixels between control points.
    """

    def __init__(
        self,
        matrices: np.ndarray,
        size: tuple[int, int],
        border: Border = "nearest",
        control: np.ndarray | None = None,
        spacing: float = 1.0,
    ) -> None:
        if isinstance(border, str) and border not in ("nearest", "reflect"):
            raise ValueError(f"border must be 'nearest', 'reflect' or a number, got {border!r}")
        self.matrices, self.size, self.border = matrices, size, border
        self.control, self.spacing = control, spacing

    # --- joining -----------------------------------------------------------------------------------------------

    def can_join(self, after: Warp) -> bool:
        """Tell whether this warp and the one after it can be written as one."""
        return self.control is None and self.border == after.border

    def then(self, after: Warp) -> Warp:
        """Return this warp followed by another: places go back through that one first."""
        a, t = self.matrices[:, :, :2], self.matrices[:, :, 2:]
        matrices = np.concatenate([a @ after.matrices[:, :, :2], a @ after.matrices[:, :, 2:] + t], axis=2)
        return Warp(matrices, self.size, self.border, after.control, after.spacing)

    # --- pixels ------------------------------------------------------------------------------------------------

    def sample(self, images: Array, nearest: bool = False) -> Array:
        """Return the new images, linear between pixels, or with each pixel's nearest neighbour (for masks)."""
        ndimage, xp = _ndimage(images), backend.array_namespace(images)
        out = xp.empty_like(images)
        n, (height, width) = images.shape[0], self.size
        fill: Any = 0 if nearest else self.border
        block = max(1, _PIXELS // (height * width))
        for start in range(0, n, block):
            part = slice(start, min(start + block, n))
            places, outside = self._coordinates(xp, part)
            planes = images[part] if images.ndim == 4 else images[part][..., None]
            for c in range(planes.shape[3]):
                # One tall image of all the images: one call instead of one for each.
                tall = planes[..., c].reshape(-1, width)
                plane = _interpolated(xp, ndimage, tall, places, nearest)
                if outside is not None:
                    plane = xp.where(outside, xp.asarray(fill, dtype=plane.dtype), plane)
                if images.ndim == 4:
                    out[part, ..., c] = plane
                else:
                    out[part] = plane
        return out

    def _coordinates(self, xp: Any, part: slice) -> tuple[Array, Array | None]:
        """Return rows and columns (2, n, H, W) in the tall image, and which of them lie beyond the border."""
        height, width = self.size
        rows, columns = xp.arange(height) + 0.5, xp.arange(width) + 0.5  # float64: exact for any number of images
        y, x = rows[None, :, None], columns[None, None, :]
        if self.control is not None:
            control = xp.asarray(self.control[part])  # (n, 2, GY, GX)
            across = [xp.asarray(self._basis(np.arange(side) + 0.5, axis)) for axis, side in enumerate(self.size)]
            # (H, GY) @ (n, 2, GY, GX) @ (GX, W)
            shift = across[0] @ control @ across[1].T
            y, x = y + shift[:, 0], x + shift[:, 1]
        m = xp.asarray(self.matrices[part])[:, :, :, None, None]
        old_y = m[:, 0, 0] * y + m[:, 0, 1] * x + (m[:, 0, 2] - 0.5)
        old_x = m[:, 1, 0] * y + m[:, 1, 1] * x + (m[:, 1, 2] - 0.5)
        outside = None
        if not isinstance(self.border, str):
            outside = (old_y < -0.5) | (old_y > height - 0.5) | (old_x < -0.5) | (old_x > width - 0.5)
        elif self.border == "reflect":
            old_y, old_x = _reflected(xp, old_y, height), _reflected(xp, old_x, width)
        old_y, old_x = (
            xp.minimum(xp.maximum(places, 0.0), side - 1.0) for places, side in ((old_y, height), (old_x, width))
        )
        first = xp.arange(old_y.shape[0])[:, None, None] * height  # the row where each image begins
        return xp.stack([old_y + first, old_x]), outside

    # --- points ------------------------------------------------------------------------------------------------

    def push(self, points: np.ndarray, images: np.ndarray, rounds: int = 30) -> np.ndarray:
        """Return where points (M, P, 2) of the old images (M,) are in the new ones: the warp backwards.

        With a displacement, p + d(p) = r is solved by p <- r - d(p), which closes in on the solution as
        long as the displacement does not fold the image.
        """
        a, t = self.matrices[images, :, :2], self.matrices[images, :, 2]
        goal = (points - t[:, None]) @ np.swapaxes(np.linalg.inv(a), 1, 2)
        if self.control is None:
            return goal
        control, found = self.control[images], goal
        for _ in range(rounds):
            before, found = found, goal - self._displacement(found, control)
            if np.abs(found - before).max(initial=0) < 1e-4:
                break
        return found

    def _displacement(self, points: np.ndarray, control: np.ndarray) -> np.ndarray:
        """Return d at points (M, P, 2), for control points (M, 2, GY, GX)."""
        down, across = self._basis(points[..., 0], 0), self._basis(points[..., 1], 1)  # (M, P, GY), (M, P, GX)
        rows = down[:, None] @ control  # (M, 1, P, GY) @ (M, 2, GY, GX)
        return np.moveaxis((rows * across[:, None]).sum(axis=-1), 1, -1)

    def _basis(self, places: np.ndarray, axis: int) -> np.ndarray:
        """Return the weight (..., G) of each control point at places along an axis."""
        count = control_points(self.size[axis], self.spacing)
        centres = (np.arange(count) - 1) * self.spacing  # one control point before the border
        return _cubic((places[..., None] - centres) / self.spacing)


def identity(n: int) -> np.ndarray:
    """Return matrices (n, 2, 3) that move nothing."""
    return np.tile(np.eye(2, 3), (n, 1, 1))


def about_the_middle(linear: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return matrices (N, 2, 3) of linear maps (N, 2, 2) that leave the middle of the image where it is."""
    middle = np.array(size) / 2
    return np.concatenate([linear, (middle - linear @ middle)[..., None]], axis=2)


def control_points(side: int, spacing: float) -> int:
    """Return how many control points a side of an image needs: everywhere inside four of them count."""
    return math.ceil(side / spacing) + 3


def _cubic(t: np.ndarray) -> np.ndarray:
    """Return the cubic B-spline, a smooth hill from -2 to 2 whose copies at all whole numbers sum to 1."""
    t = np.abs(t)
    tail = np.maximum(2 - t, 0)
    return np.where(t < 1, 2 / 3 - t * t * (1 - t / 2), tail * tail * tail / 6)


def _reflected(xp: Any, places: Array, side: int) -> Array:
    """Return places inside the image for those outside: the border pixels are repeated, then their neighbours."""
    folded = xp.remainder(places + 0.5, 2 * side)
    return xp.where(folded < side, folded, 2 * side - folded) - 0.5


def _interpolated(xp: Any, ndimage: Any, tall: Array, places: Array, nearest: bool) -> Array:
    """Return the values of a tall image at places, with the dtype that it has."""
    dtype = tall.dtype
    if dtype == xp.bool:
        tall = xp.astype(tall, xp.uint8)
    whole = tall.dtype.kind in "iu"
    if (whole and not nearest) or tall.dtype == xp.float16:
        tall = xp.astype(tall, xp.float32)
    values = ndimage.map_coordinates(tall, places, order=0 if nearest else 1, mode="nearest", prefilter=False)
    if whole and not nearest:
        values = xp.round(values)
    return xp.astype(values, dtype)


def _ndimage(images: Array) -> Any:
    """Return scipy.ndimage, or its twin on the GPU, by the kind of array."""
    if isinstance(images, np.ndarray):
        from scipy import ndimage

        return ndimage
    if type(images).__module__.partition(".")[0] == "cupy":
        from cupyx.scipy import ndimage

        return ndimage
    raise TypeError(
        f"augmentation moves NumPy and CuPy arrays, not {type(images).__module__}.{type(images).__name__}; "
        "augment before moving the batch to that library"
    )
