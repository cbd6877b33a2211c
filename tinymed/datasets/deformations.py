"""Smooth random deformations, and brains made by a formula: pairs of images whose displacement is known.

A displacement field ``u`` has the shape (..., H, W, 2): for each pixel how far away, in pixels along the rows and
along the columns, the deformed image looks (as :func:`tinymed.ops.warp` takes it). The map is ``p -> p + u(p)``.

>>> moving, fixed, truth, inside = pairs(4, size=64, seed=1)
>>> moving.shape, truth.shape, inside.dtype
((4, 64, 64, 1), (4, 64, 64, 2), dtype('bool'))
"""

from __future__ import annotations

import numpy as np

from tinymed.ops import warp

BLOCK = 16
"""Images are drawn in blocks, each from a generator of its own: the first ones of a larger draw are the same."""


# --- fields ----------------------------------------------------------------------------------------------------


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], count: int = 1, mean: float = 3.0, sigma: float = 10.0
) -> np.ndarray:
    """Draw random displacement fields: white noise, blurred, and scaled to a mean length.

    Args:
        rng: Where the noise comes from.
        shape: Height and width.
        count: How many fields.
        mean: Mean length of a displacement, in pixels.
        sigma: Standard deviation of the blur, in pixels: over such distances neighbours move together. With
            ``mean`` below about half of it the deformations do not fold.

    Returns:
        Fields (count, H, W, 2), float32.
    """
    from scipy import ndimage

    if mean < 0 or not sigma > 0:
        raise ValueError(f"a field needs mean >= 0 and sigma > 0, got {mean} and {sigma}")
    margin = int(np.ceil(3 * sigma))  # so that the border moves as the middle does
    noise = rng.standard_normal((count, shape[0] + 2 * margin, shape[1] + 2 * margin, 2), dtype=np.float32)
    field = ndimage.gaussian_filter(noise, (0, sigma, sigma, 0), truncate=3)
    field = field[:, margin : margin + shape[0], margin : margin + shape[1]]
    length = np.sqrt((field**2).sum(-1)).mean(axis=(1, 2))
    return field * (mean / np.maximum(length, 1e-12)).astype(np.float32)[:, None, None, None]


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the field of two deformations of an image, one after the other: ``first``, then ``second``.

    ``warp(warp(x, first), second)`` is ``warp(x, compose(first, second))`` but for the second interpolation.
    """
    first, second = (np.asarray(field) for field in (first, second))
    return second + warp(first, second)[0]


def invert(field: np.ndarray, steps: int = 30) -> np.ndarray:
    """Return the field that undoes another: the fixed point of ``v(p) = -u(p + v(p))``.

    It exists, but at the border, where the deformation does not fold. The steps approach it the faster the smoother
    the field is.

    Args:
        field: Fields (N, H, W, 2).
        steps: How many steps to take.
    """
    field = np.asarray(field)
    inverse = -field
    for _ in range(steps):
        inverse = 0.5 * (inverse - warp(field, inverse)[0])  # half a step, so that it does not swing
    return inverse


# --- phantom brains --------------------------------------------------------------------------------------------


def brains(
    rng: np.random.Generator, size: int, count: int, tissues: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw axial slices of brains: skull, folded cortex, white matter, ventricles, deep grey matter, and texture.

    Args:
        rng: Decides sizes, positions, folds and texture.
        size: Height and width.
        count: How many.
        tissues: Grey values of scalp, skull, fluid, grey matter, white matter, for images of one modality;
            those of a T1-weighted image if omitted.

    Returns:
        Images (count, H, W, 1), float32 in [0, 1], and where the head is, boolean (count, H, W).
    """
    from scipy import ndimage

    scalp, skull, fluid, grey, white = T1 if tissues is None else tissues
    across = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = across[:, None], across[None, :]

    def some(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)

    def texture(sigma: float) -> np.ndarray:
        noise = rng.standard_normal((count, size, size), dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap", truncate=3)
        return noise / noise.std(axis=(1, 2), keepdims=True)

    def mix(image: np.ndarray, share: np.ndarray, value: float) -> np.ndarray:
        return image + np.clip(share, 0, 1) * (np.float32(value) - image)

    sharp = np.float32(size / 3.0)  # how fast a share falls at an edge: partial volume
    y0, x0 = some(-0.06, 0.06), some(-0.06, 0.06)
    tall, wide = some(0.78, 0.86), some(0.64, 0.72)
    distance = np.hypot((y - y0) / tall, (x - x0) / wide)  # 1 at the skin
    folds = 0.030 * texture(size / 45) + 0.02 * np.cos(np.arctan2(y - y0, x - x0) * 11 + some(0, 6))
    image = np.zeros((count, size, size), np.float32)
    image = mix(image, (1.0 - distance) * sharp, scalp)
    image = mix(image, (0.95 - distance) * sharp, skull)
    image = mix(image, (0.90 - distance) * sharp, fluid)
    brain = 0.86 + folds - distance
    image = mix(image, brain * sharp, grey)
    image = mix(image, (brain - 0.13 - 0.02 * texture(size / 30)) * sharp, white)
    image = mix(image, (0.012 - np.abs(x - x0)) * sharp * (distance < 0.84) * (y - y0 < -0.25), fluid)  # the cleft
    for side in (-1, 1):
        deep = np.hypot((y - y0 - some(0.02, 0.12)) / some(0.13, 0.18), (x - x0 - side * some(0.20, 0.26)) / 0.10)
        image = mix(image, (1 - deep) * sharp * 0.1, grey)
        bow = x - x0 - side * (some(0.07, 0.10) + some(0.1, 0.3) * (y - y0) ** 2)
        horn = np.hypot((y - y0 + some(-0.03, 0.06)) / some(0.26, 0.36), bow / some(0.045, 0.085))
        image = mix(image, (1 - horn) * sharp * 0.06, fluid)
    image *= 1 + 0.05 * texture(size / 40) + 0.12 * (some(-1, 1) * y + some(-1, 1) * x)  # texture; the coil's shading
    return np.clip(image, 0, 1)[..., None], distance < 1.0


T1 = np.array([0.75, 0.08, 0.15, 0.50, 0.80], np.float32)
"""Grey values of scalp, skull, fluid, grey and white matter with T1 weighting."""

T2 = np.array([0.55, 0.06, 0.95, 0.60, 0.40], np.float32)
"""The same with T2 weighting: fluid is bright, white matter darker than grey."""


def pairs(
    count: int,
    size: int = 64,
    seed: int = 0,
    mean: float = 3.0,
    sigma: float = 9.0,
    modalities: tuple[np.ndarray, np.ndarray] = (T1, T1),
    noise: float = 0.015,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw pairs of images, one of which is the other one deformed.

    Args:
        count: How many pairs; the first of a larger draw with the same seed are the same.
        size: Height and width.
        seed: Which pairs; different seeds share none.
        mean: Mean length of the displacements, in pixels.
        sigma: How smooth they are, see :func:`smooth_field`.
        modalities: Grey values of the tissues in the moving and in the fixed image.
        noise: Standard deviation of the noise, which differs between the two images.

    Returns:
        Moving images (count, size, size, 1) and fixed ones, float32 in [0, 1]; the displacements (count, size, size, 2)
        that turn the moving image into the fixed one; and where in the fixed image the head is.
    """
    if count < 1 or size < 16:
        raise ValueError(f"pairs needs count >= 1 and size >= 16, got {count} and {size}")
    parts = []
    for start in range(0, count, BLOCK):
        rng = np.random.default_rng([seed, start])
        state = rng.bit_generator.state
        moving, head = brains(rng, size, BLOCK, modalities[0])
        other = moving
        if modalities[1] is not modalities[0]:  # the same brains, seen otherwise
            rng.bit_generator.state = state
            other, _ = brains(rng, size, BLOCK, modalities[1])
        truth = smooth_field(rng, (size, size), BLOCK, mean, sigma)
        fixed, _ = warp(other, truth)
        inside = warp(head[..., None].astype(np.float32), truth)[0][..., 0] > 0.5
        moving, fixed = (
            np.clip(image + noise * rng.standard_normal(image.shape, dtype=np.float32), 0, 1)
            for image in (moving, fixed)
        )
        parts.append([moving, fixed, truth, inside])
    moving, fixed, truth, inside = (np.concatenate(arrays)[:count] for arrays in zip(*parts, strict=True))
    return moving, fixed, truth, inside
