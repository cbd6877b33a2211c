"""Whether the maps point at the nodule, and depend on what the network has learnt.

    python -m benchmarks.interpretability            # writes benchmarks/results/interpretability.md and .png
    python -m benchmarks.interpretability --quick    # a taste

A residual network learns from labels alone (a nodule somewhere, or none) on drawn CT slices whose nodules' boxes are
known. On test images with one nodule that it finds, each method's highest point is looked up: is it in the box? Then
the layers are replaced by random ones, from the output on, and the maps compared with those of the trained network.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tinymed import backend, files, interpretability, metrics, optimizers
from tinymed.applications import resnet
from tinymed.applications.transfer import mirror
from tinymed.datasets import lesions
from tinymed.plots.explanations import explanation

SIZE = 48
parts = functools.partial(interpretability.integrated_gradients, target=1, steps=25)
METHODS: dict[str, Callable] = {
    "Grad-CAM, last layer (12 x 12)": functools.partial(interpretability.grad_cam, target=1),
    "Grad-CAM, second stage (24 x 24)": functools.partial(
        interpretability.grad_cam, layer="stage2_block1_relu", target=1
    ),
    "saliency": functools.partial(interpretability.saliency, target=1),
    "SmoothGrad": functools.partial(interpretability.smooth_grad, target=1, samples=15),
    "integrated gradients": lambda model, x: interpretability.integrated_gradients(model, x, target=1, steps=25).sum(
        -1
    ),
    "occlusion": functools.partial(interpretability.occlusion, target=1, size=8, stride=4),
}


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return slices with one nodule or none, whether there is one, and where: images, labels, masks."""
    slices = lesions.draw(2 * n, seed=seed, size=SIZE)
    chosen = [i for i, boxes in enumerate(slices.boxes) if len(boxes) < 2][:n]
    masks = np.zeros((len(chosen), SIZE, SIZE), dtype=bool)
    for mask, i in zip(masks, chosen, strict=True):
        for y0, x0, y1, x1 in slices.boxes[i]:
            mask[int(np.floor(y0)) : int(np.ceil(y1)), int(np.floor(x0)) : int(np.ceil(x1))] = True
    return slices.images[chosen], masks.any(axis=(1, 2)).astype(np.int64), masks


def train(seed: int, n: int, epochs: int):
    """Train the network on labels only."""
    backend.set_seed(seed)
    x, y, _ = draw(n, 10 * seed)
    model = resnet.build((SIZE, SIZE, 1), widths=(8, 16, 32))
    model.compile(optimizers.Adam(0.002), "binary_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        logs = model.fit(mirror(x, rng), y, batch_size=32, verbose=0).history
        print(f"seed {seed}, epoch {epoch + 1} of {epochs}: loss {logs['loss'][0]:.3f}", flush=True)
    return model


def measure(seed: int, n: int, epochs: int, tests: int, cascade: int, picture: Path | None) -> dict:
    """Return the area under the ROC curve, the hits of each method with those of chance, and the cascades."""
    model = train(seed, n, epochs)
    x, y, masks = draw(tests, 10 * seed + 1)
    scores = model.predict(x, verbose=0)[:, 0]
    found = np.flatnonzero((y == 1) & (scores > 0.5))
    result = {"auc": metrics.roc_auc(y, scores), "images": len(found), "hits": {}, "cascade": {}}
    for name, method in METHODS.items():
        maps = method(model, x[found])
        result["hits"][name], result["chance"] = interpretability.pointing_game(maps, masks[found])
        changed = interpretability.cascading_randomisation(model, method, x[found[:cascade]])
        result["cascade"][name] = [likeness for _, likeness in changed]
        print(f"seed {seed}: {name}: {result['hits'][name]:.3f}, {result['cascade'][name][-1]:.2f}", flush=True)
    if picture is not None:
        sizes = masks[found].sum(axis=(1, 2))
        one = found[np.argsort(sizes)[len(sizes) // 2]]
        maps = {name.replace(", ", "\n", 1): method(model, x[one : one + 1])[0] for name, method in METHODS.items()}
        title = f"why a nodule? ({scores[one]:.0%}); the outline is the truth, which the network was never told"
        explanation(x[one], maps, picture, title, masks[one])
    return result


def page(results: list[dict]) -> str:
    """Return the results as a page."""
    lines = [
        "# Where the maps point, and what they depend on",
        "",
        "```sh",
        "python -m benchmarks.interpretability",
        "```",
        "",
        __doc__.split("\n\n")[2].replace("\n", " "),
        "",
        "![maps of one image](interpretability.png)",
        "",
        "## The highest point lies in the nodule's box",
        "",
        "| method | " + " | ".join(f"seed {i}" for i in range(len(results))) + " | mean |",
        "|---|" + "---|" * (len(results) + 1),
    ]
    for name in METHODS:
        values = [r["hits"][name] for r in results]
        lines.append(f"| {name} | " + " | ".join(f"{v:.3f}" for v in values) + f" | **{np.mean(values):.3f}** |")
    for words, key, form in (("a random point", "chance", ".3f"), ("images", "images", "d"), ("AUC", "auc", ".3f")):
        values = [r[key] for r in results]
        lines.append(f"| {words} | " + " | ".join(f"{v:{form}}" for v in values) + " | |")
    lines += [
        "",
        "## Random weights, layer after layer from the output (seed 0)",
        "",
        "Rank correlation of the map with that of the trained network; 1: the map does not depend on the weights.",
        "",
        "| method | head | one third | two thirds | all layers |",
        "|---|---|---|---|---|",
    ]
    for name in METHODS:
        values = results[0]["cascade"][name]
        places = [0, len(values) // 3, 2 * len(values) // 3, len(values) - 1]
        lines.append(f"| {name} | " + " | ".join(f"{values[i]:.2f}" for i in places) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few images and one epoch")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args(arguments)
    sizes = (64, 1, 40, 2) if options.quick else (1500, 8, 300, 12)
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(options.seeds):
        results.append(measure(seed, *sizes, options.out / "interpretability.png" if seed == 0 else None))
        files.write_text(options.out / "interpretability.md", page(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
