r"""Volumes made by a formula: small abdominal CT scans with organs, lesions and their masks, without any download.

A scan has 24 slices of 64 x 48 voxels, 5.5 x 5.5 x 6 mm each, in Hounsfield units. In the body lie the liver (label 1,
two ellipsoids grown into one), in it one to three darker lesions (label 2), and the kidneys (label 3); besides spleen,
stomach, bowel, aorta, spine and ribs, which look much the same but have no label. Contrasts are those of a scan in the
portal venous phase: lesions are 25 to 60 HU darker than the liver, the noise has a standard deviation of 12 to 25 HU.

>>> volume, truth = draw(np.random.default_rng(0))
>>> volume.array.shape, volume.array.dtype, [round(size, 1) for size in volume.spacing]
((64, 48, 24), dtype('int16'), [5.5, 5.5, 6.0])
>>> np.unique(truth).tolist()
[0, 1, 2, 3]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from tinymed.datasets.volumes import Volume

LABELS = {1: "liver", 2: "lesion", 3: "kidney"}
SHAPE, SPACING = (64, 48, 24), (5.5, 5.5, 6.0)

_AIR, _FAT, _MUSCLE, _SPLEEN, _BOWEL, _AORTA, _MARROW, _CORTEX = -1000, -95, 58, 118, 35, 150, 180, 520

Triple = Sequence[float]


def draw(rng: np.random.Generator) -> tuple[Volume, np.ndarray]:
    """Return a scan and the label of each of its voxels."""
    canvas = _Canvas(rng)
    body = canvas.ellipsoid((0, 0, 0), (158, 112, 900), bumps=0.02)
    inside = canvas.ellipsoid((0, 4, 0), (142, 94, 900), bumps=0.03)
    canvas.paint(body, _FAT)
    wall = np.clip(canvas.ellipsoid((0, 4, 0), (149, 101, 900), bumps=0.03) - inside, 0, 1)
    canvas.paint(wall, _MUSCLE)
    for side in (-1, 1):  # ribs, cut obliquely
        for turn in rng.uniform(-0.9, 0.9, 3):
            place = (side * 144 * np.cos(turn), 100 * np.sin(turn), rng.uniform(-60, 60))
            canvas.paint(canvas.ellipsoid(place, (6, 9, 14)) * body, _CORTEX * rng.uniform(0.6, 1))
    _spine(canvas, rng)
    canvas.paint(canvas.ellipsoid((rng.normal(8, 3), -38, 0), (10, 10, 900)), _AORTA + rng.normal(0, 15))
    for _ in range(9):  # bowel, some of it with gas
        place = (rng.uniform(-80, 90), rng.uniform(0, 60), rng.uniform(-75, 5))
        loop = canvas.ellipsoid(place, rng.uniform(10, 24, 3), bumps=0.15)
        canvas.paint(loop, _BOWEL + rng.normal(0, 15))
        if rng.random() < 0.3:
            canvas.paint(canvas.ellipsoid((place[0], place[1] + 6, place[2]), rng.uniform(4, 9, 3)), -800)
    canvas.paint(canvas.ellipsoid((rng.normal(55, 8), 45, rng.normal(35, 8)), (38, 26, 28), bumps=0.1), _BOWEL)
    canvas.paint(
        canvas.ellipsoid((rng.normal(100, 5), rng.normal(-25, 6), rng.normal(32, 8)), (24, 34, 32), 0.08),
        _SPLEEN + rng.normal(0, 8),
    )
    kidneys = _kidneys(canvas, rng)
    liver = _liver(canvas, rng)
    lesions = _lesions(canvas, rng, liver)
    truth = np.zeros(SHAPE, np.uint8)
    truth[kidneys > 0.5], truth[liver > 0.5], truth[lesions > 0.5] = 3, 1, 2
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -np.array(SPACING) * (np.array(SHAPE) - 1) / 2
    return Volume(canvas.scan(), affine, "phantom"), truth


def _spine(canvas: _Canvas, rng: np.random.Generator) -> None:
    middle = (rng.normal(0, 2), -66)
    for level in np.arange(-108, 109, 36) + rng.uniform(-18, 18):  # vertebrae with discs between them
        canvas.paint(canvas.ellipsoid((*middle, level), (23, 18, 15), power=4), _CORTEX * 0.7)
        canvas.paint(canvas.ellipsoid((*middle, level), (18, 13, 12), power=4), _MARROW + rng.normal(0, 20))
    canvas.paint(canvas.ellipsoid((middle[0], -90, 0), (9, 8, 900)), 30)
    for side in (-1, 1):
        canvas.paint(canvas.ellipsoid((side * 38, -84, 0), (24, 16, 900), bumps=0.05), _MUSCLE)


def _kidneys(canvas: _Canvas, rng: np.random.Generator) -> np.ndarray:
    enhancement, both = rng.normal(165, 15), np.zeros(SHAPE, np.float32)
    for side in (-1, 1):
        place = np.array([side * rng.normal(68, 5), rng.normal(-48, 5), rng.normal(-22, 10)])
        size = np.array([20, 24, 40]) * rng.uniform(0.85, 1.15)
        kidney = canvas.ellipsoid(place, size, bumps=0.06)
        pelvis = canvas.ellipsoid(place - (side * 12, 0, 0), (9, 7, 14))
        kidney = kidney * (1 - pelvis)
        canvas.paint(kidney, enhancement)
        both = np.maximum(both, kidney)
    return both


def _liver(canvas: _Canvas, rng: np.random.Generator) -> np.ndarray:
    size, place = rng.uniform(0.88, 1.12), np.array([rng.normal(-72, 5), rng.normal(8, 4), rng.normal(22, 7)])
    right = canvas.ellipsoid(place, np.array([62, 70, 62]) * size, bumps=0.08)
    left = canvas.ellipsoid(
        place + np.array([62, 28, 14]), np.array([56, 32, 30]) * size * rng.uniform(0.85, 1.1), bumps=0.08
    )
    liver = np.maximum(right, left) * canvas.ellipsoid((0, 4, 0), (138, 90, 900))
    canvas.paint(liver, rng.normal(108, 9))
    for _ in range(7):  # veins, brighter than the tissue
        start = place + rng.uniform(-30, 30, 3)
        vein = canvas.ellipsoid(
            start, (rng.uniform(14, 34), rng.uniform(3, 5), rng.uniform(3, 5)), turn=rng.uniform(0, 3.1)
        )
        canvas.paint(vein * liver, rng.normal(150, 8))
    return liver


def _lesions(canvas: _Canvas, rng: np.random.Generator, liver: np.ndarray) -> np.ndarray:
    """Paint one to three lesions whose middle lies well inside the liver."""
    deep = np.argwhere(ndimage.binary_erosion(liver > 0.5, iterations=2))
    level, lesions = float(rng.normal(108, 4) - rng.uniform(25, 60)), np.zeros(SHAPE, np.float32)
    for radius in rng.uniform(11, 28, rng.integers(1, 4)):
        place = canvas.millimetres(deep[rng.integers(len(deep))])
        lesion = canvas.ellipsoid(place, radius * rng.uniform(0.85, 1.15, 3), bumps=0.1) * liver
        canvas.paint(lesion, level)
        lesions = np.maximum(lesions, lesion)
    return lesions


class _Canvas:
    """A volume in HU that organs are painted into; lengths in mm from its middle, x right, y front, z head."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.hu = np.full(SHAPE, _AIR, np.float32)
        axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)]
        self.grid = np.meshgrid(*axes, indexing="ij", sparse=True)

    def millimetres(self, voxel: np.ndarray) -> np.ndarray:
        """Return the place of a voxel."""
        return (voxel - (np.array(SHAPE) - 1) / 2) * SPACING

    def ellipsoid(
        self,
        place: Triple | np.ndarray,
        size: Triple | np.ndarray,
        bumps: float = 0.0,
        turn: float = 0.0,
        power: int = 2,
    ) -> np.ndarray:
        """Return how much of each voxel lies in an ellipsoid: its half axes vary by ``bumps``, it is turned about z."""
        x, y, z = (axis - float(middle) for axis, middle in zip(self.grid, place, strict=True))
        x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        radius = sum(np.abs(d / float(half)) ** power for d, half in zip((x, y, z), size, strict=True)) ** (1 / power)
        if bumps:
            angle, height = np.arctan2(y, x), z / float(size[2])
            bumps = bumps * np.clip(1 - height**2, 0, 1)  # none at the poles, where all angles meet
            for k in (2, 3, 5):
                strength, start = self.rng.standard_normal(), self.rng.uniform(0, 2 * np.pi)
                radius = radius * (1 + strength / np.sqrt(k) * bumps * np.cos(k * angle + 2 * height + start))
        edge = SPACING[0] / float(min(size[0], size[1]))  # one voxel wide: partial volume
        return np.clip((1 - radius) / edge + 0.5, 0, 1).astype(np.float32)

    def paint(self, share: np.ndarray, hu: float) -> None:
        """Fill the share of each voxel with tissue."""
        self.hu += share * (np.float32(hu) - self.hu)

    def scan(self) -> np.ndarray:
        """Return the volume as a scanner sees it: blurred a little, tissue mottled, with correlated noise."""
        rng = self.rng
        mottled = ndimage.gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), 1.5)
        hu = ndimage.gaussian_filter(self.hu, (0.35, 0.35, 0.5)) + 5 * mottled / mottled.std()
        white = rng.standard_normal(SHAPE, dtype=np.float32)
        grain = ndimage.gaussian_filter(white, (0.6, 0.6, 0))
        hu += rng.uniform(12, 25) * grain / grain.std()
        return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
