"""The network of the registration task, the losses it can learn by, and what is measured of its fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymed import losses, metrics
from tinymed.configurable import resolve
from tinymed.initializers import RandomNormal
from tinymed.layers import AveragePooling2D, Concatenate, Conv2D, Input, Subtract, UpSampling2D, Warp
from tinymed.models import Model
from tinymed.ops import warp

COARSE = 4
"""How many times smaller the image is in which the network is also compared."""


def build(size: int = 96) -> Model:
    """Build a small U-Net that looks at both images and says where each pixel of the fixed one comes from.

    The field is predicted at a quarter of the resolution and interpolated: it is smooth, and sixteen times fewer
    pixels are that much faster. The outputs are the moving image, deformed; the field; and the deformed image again,
    four times smaller: there a displacement of many pixels is one of few, and edges that miss each other still meet.

    Args:
        size: Height and width of the images, a multiple of 16.
    """
    if size < 32 or size % 16:
        raise ValueError(f"the network halves the image four times: size must be a multiple of 16 from 32, got {size}")
    moving = Input((size, size, 1), name="moving")
    fixed = Input((size, size, 1), name="fixed")
    x = Concatenate()([moving, fixed, Subtract()([fixed, moving])])
    skips = []
    for filters in (16, 32, 48, 64):  # size / 2, / 4, / 8, / 16
        x = Conv2D(filters, 3, strides=2, padding="same", activation="leaky_relu")(x)
        skips.append(x)
    for skip in (skips[2], skips[1]):  # size / 8, / 4
        x = Concatenate()([UpSampling2D()(x), skip])
        x = Conv2D(48, 3, padding="same", activation="leaky_relu")(x)
    x = Conv2D(32, 3, padding="same", activation="leaky_relu")(x)
    x = Conv2D(2, 3, padding="same", kernel_initializer=RandomNormal(stddev=0.01))(x)
    field = UpSampling2D(4, interpolation="bilinear", name="displacement")(x)
    warped = Warp(name="warped")([moving, field])
    coarse = AveragePooling2D(COARSE, name="coarse")(warped)
    return Model([moving, fixed], [warped, field, coarse], name="registration")


# --- what is learned -------------------------------------------------------------------------------------------

LOSSES: dict[str, Any] = {
    "mse": losses.MeanSquaredError,
    "ncc": losses.LocalCorrelation,
    "mutual-information": losses.MutualInformation,
}
"""What makes two images alike: the same grey values; the same structure in each window; grey values that tell."""

SMOOTHNESS = {"mse": 0.01, "ncc": 0.3, "mutual-information": 1.5}
"""Weight of the smoothness of the field beside each of them."""

COARSE_WEIGHTS = {"mse": 4.0, "ncc": 0.5, "mutual-information": 0.5}
"""Weight of the same similarity in the smaller image; squared differences are smaller there."""


def similarity_loss(name: str) -> losses.Loss:
    """Return the loss of that name.

    >>> similarity_loss("nc")
    Traceback (most recent call last):
    ...
    ValueError: unknown loss 'nc'; did you mean 'ncc'?
    """
    return resolve(name, LOSSES, "loss")


# --- what is measured ------------------------------------------------------------------------------------------

SIMILARITIES = {
    "mse": "peak signal to noise ratio, dB",
    "ncc": "local correlation",
    "mutual-information": "mutual information, nats",
}


def similarity(loss: str, fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Return how alike images are, each pair for itself, larger is better: in the terms of the loss (SIMILARITIES)."""
    values = np.asarray(similarity_loss(loss).operation.forward(fixed, moving)[0], dtype=float)
    if loss == "mse":
        return -10 * np.log10(np.maximum(values.reshape(len(values), -1).mean(axis=1), 1e-12))
    return 1 - values if loss == "ncc" else -values


def measure(
    loss: str,
    moving: np.ndarray,
    fixed: np.ndarray,
    field: np.ndarray,
    truth: np.ndarray | None = None,
    inside: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the numbers of a set of registrations: similarity before and after, folding, and the endpoint error.

    Args:
        loss: Name of the loss, in whose terms similarity is told.
        moving: Moving images (N, H, W, 1).
        fixed: Fixed images.
        field: Displacements found (N, H, W, 2).
        truth: Known displacements, if they are.
        inside: Which pixels count for the endpoint error.
    """
    warped = warp(moving, field)[0]
    before, after = similarity(loss, fixed, moving), similarity(loss, fixed, warped)
    folded = metrics.folding(field)
    numbers: dict[str, Any] = {
        "pairs": len(moving),
        "similarity_name": SIMILARITIES[loss],
        "similarity_before": float(before.mean()),
        "similarity_after": float(after.mean()),
        "improved": float(np.mean(after > before)),
        "folding": float(folded.mean()),
        "worst_folding": float(folded.max()),
        "mean_displacement": float(np.linalg.norm(field, axis=-1).mean()),
    }
    if truth is not None:
        numbers["endpoint_error_before"] = float(metrics.endpoint_error(truth, 0 * field, inside).mean())
        errors = metrics.endpoint_error(truth, field, inside)
        numbers["endpoint_error"] = float(errors.mean())
        numbers["worst_endpoint_error"] = float(errors.max())
    return numbers
