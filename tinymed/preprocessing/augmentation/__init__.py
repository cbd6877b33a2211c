"""Augmentation: training images changed at random, anew in each epoch, together with their masks and boxes (floor 3).

A step is one kind of change; :class:`Augmentation` is a chain of steps:

>>> import numpy as np
>>> augment = Augmentation([Flip(), Rotation(10), Zoom(0.9, 1.1), Shift(2), Contrast(0.8, 1.2), Noise(0.02)])
>>> rng = np.random.default_rng(0)
>>> images = rng.random((16, 28, 28, 1), dtype=np.float32)
>>> masks = images[..., 0] > 0.8
>>> new_images, new_masks = augment(images, masks, rng=rng)
>>> new_images.shape, new_images.dtype, new_masks.shape, new_masks.dtype
((16, 28, 28, 1), dtype('float32'), (16, 28, 28), dtype('bool'))

Images are (N, H, W) or (N, H, W, C), on the host or on a GPU, and stay there. Each image draws its own numbers. Masks
hold class numbers: they move with nearest-neighbour sampling, so that no class appears that was not there. Boxes are
(y0, x0, y1, x1), the edges of pixels: the box (0, 0, 1, 1) is the first pixel.
"""

from tinymed.preprocessing.augmentation.base import Augmentation, Step
from tinymed.preprocessing.augmentation.geometry import Elastic, Flip, Rotation, Shift, Zoom
from tinymed.preprocessing.augmentation.intensity import Brightness, Contrast, Gamma, Noise
from tinymed.preprocessing.augmentation.mosaic import Mosaic

__all__ = [
    "Augmentation",
    "Brightness",
    "Contrast",
    "Elastic",
    "Flip",
    "Gamma",
    "Mosaic",
    "Noise",
    "Rotation",
    "Shift",
    "Step",
    "Zoom",
]
