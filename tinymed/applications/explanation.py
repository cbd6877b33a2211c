"""What did a trained classifier look at? One picture for each image, all methods side by side.

From the command line: ``tinymed explain runs/nodules/model.safetensors runs/nodules/examples.npz --out maps``.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tinymed import interpretability
from tinymed.applications import classification, run
from tinymed.datasets import images as pictures
from tinymed.plots.explanations import explanation

METHODS: dict[str, Callable[..., np.ndarray]] = {
    "Grad-CAM": lambda model, x, target, layer: interpretability.grad_cam(model, x, layer, target),
    "saliency": lambda model, x, target, layer: interpretability.saliency(model, x, target),
    "SmoothGrad": lambda model, x, target, layer: interpretability.smooth_grad(model, x, target),
    "integrated gradients": lambda model, x, target, layer: interpretability.integrated_gradients(model, x, target).sum(
        axis=-1
    ),
    "occlusion": lambda model, x, target, layer: interpretability.occlusion(model, x, target),
}
"""Each returns maps (N, H, W) for a model, images, a class (or None) and a layer (or None)."""


@dataclass(frozen=True)
class Explanation:
    """The maps of one image.

    Attributes:
        name: The image.
        label: The class that is explained.
        probability: The model's probability of that class.
        maps: (H, W) by the name of the method.
        path: The picture, if it was written.
    """

    name: str
    label: str
    probability: float
    maps: dict[str, np.ndarray]
    path: pathlib.Path | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The class, its probability and the picture, as columns to print."""
        return self.label, f"{self.probability:.4f}", str(self.path or "")


def explain(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    target: str | None = None,
    layer: str | None = None,
    resize: bool = False,
) -> list[Explanation]:
    """Explain what a classifier says about images in ``.png``, ``.jpg`` or ``.npz`` files.

    Args:
        model: Model file of a classification task.
        paths: The images.
        out: Folder for the pictures; none are written if omitted.
        target: Name of the class to explain; the predicted one of each image if omitted.
        layer: The layer for Grad-CAM; the last one with places if omitted.
        resize: Whether images of another size are cropped to the middle and resampled.

    Raises:
        ValueError: If a file cannot be used, or there is no such class or layer.
    """
    network, about = run.open_model(model, *classification.KNOWN)
    classes = about["classes"]
    if target is not None and target not in classes:
        raise ValueError(f"{model} knows no class {target!r}; its classes are {', '.join(classes)}")
    loaded = [pictures.load(path, tuple(about["input"]["shape"]), resize) for path in paths]
    if not loaded:
        raise ValueError("explain needs at least one image")
    images = np.concatenate([x for x, _ in loaded])
    names = [name for _, group in loaded for name in group]
    scores = np.asarray(network.predict(images, verbose=0))
    scores = np.concatenate([1 - scores, scores], axis=1) if scores.shape[1] == 1 else scores
    chosen = scores.argmax(axis=1) if target is None else np.full(len(images), classes.index(target))
    maps = {name: method(network, images, chosen, layer) for name, method in METHODS.items()}
    if out is not None:
        pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    found = []
    for i, (name, number) in enumerate(zip(names, chosen.tolist(), strict=True)):
        own = {method: values[i] for method, values in maps.items()}
        label, probability = classes[number], float(scores[i, number])
        path = None
        if out is not None:
            path = pathlib.Path(out) / f"{_file_name(name)}.png"
            explanation(images[i], own, path, f"{pathlib.PurePath(name).name}: why {label}? ({probability:.1%} sure)")
        found.append(Explanation(name, label, probability, own, path))
    return found


def _file_name(name: str) -> str:
    """Return what an image is called, without folders and signs that file names cannot have."""
    return re.sub(r"[^\w.-]+", "-", pathlib.PurePath(name).name).strip("-")
