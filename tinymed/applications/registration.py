"""Where in the one image is what the other one shows? Registration of two images (D0 §6), learned without answers.

A network looks at a moving and a fixed image and says for each pixel of the fixed one how far away in the moving one
the same tissue lies. Nobody tells it: it learns from how alike the images are once the moving one is deformed, and
from how smooth the deformation is. Two images alone can be registered too, without any training: see
:func:`tinymed.applications.registration_single.register`, which also improves what the network found.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinymed import files, losses, optimizers, plots
from tinymed.applications import registration_pairs as images
from tinymed.applications import run
from tinymed.applications.registration_network import (
    COARSE,
    COARSE_WEIGHTS,
    SMOOTHNESS,
    build,
    measure,
    similarity_loss,
)
from tinymed.applications.registration_pairs import PairData, Pairs
from tinymed.applications.registration_single import register
from tinymed.models import load_model
from tinymed.ops import warp
from tinymed.plots import registration as pictures

__all__ = ["build", "evaluate", "predict", "register", "rows", "train"]

EXAMPLES = "examples.npz"
SETTINGS = run.Settings(epochs=32, batch_size=8, learning_rate=0.002)
REFINING = 120
"""Steps by which the field of the network is improved for each test pair on its own."""

PathLike = str | os.PathLike[str]


# --- train -----------------------------------------------------------------------------------------------------


def train(
    *,
    data: PathLike | None = None,
    out: PathLike | None = None,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
    loss: str | None = None,
) -> run.Result:
    """Train the network, test it, and write model, numbers and pictures.

    Args:
        data: Folder of real images, see :func:`tinymed.applications.registration_pairs.read`; phantom brains with
            known deformations if omitted.
        out: Folder for the results; ``runs/registration`` if omitted.
        seed: Same seed, same result.
        epochs: Passes over the training pairs.
        batch_size: Pairs in one step.
        learning_rate: Of Adam.
        backend_name: Array library to train on.
        verbose: As in ``fit``.
        loss: ``"mse"``, ``"ncc"`` or ``"mutual-information"`` (phantoms: of T1 and T2). If omitted the first for
            phantoms, the last for DICOM series of several modalities, else the second.

    Raises:
        ValueError: For options or data that cannot be used, before any training.
    """
    settings = SETTINGS.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    if loss is not None:
        similarity_loss(loss)
    with run.start("registration", settings, seed=seed, out=out, backend_name=backend_name) as job:
        pairs, loss = _read(data, seed, loss, verbose)
        size = pairs.test.moving.shape[1]
        network = build(size)
        network.compile(
            optimizer=optimizers.Adam(learning_rate=_falling(settings, len(pairs.draw(np.random.default_rng(0))[0]))),
            loss=[similarity_loss(loss), losses.DisplacementSmoothness(), similarity_loss(loss)],
            loss_weights=[1.0, SMOOTHNESS[loss], COARSE_WEIGHTS[loss]],
        )
        validation = _samples(pairs.val.moving, pairs.val.fixed)
        best = run.KeepBest(
            job / run.MODEL,
            lambda model: -float(model.evaluate(*validation, verbose=0, return_dict=True)["loss"]),
            {"task": "registration", "size": size, "loss": loss, "data": pairs.about},
            name="val_score",
        )
        training = time.perf_counter()
        history = run.fit(
            network,
            lambda rng: _samples(*pairs.draw(rng)),
            settings,
            callbacks=[best],
            validation_data=validation,
            verbose=verbose,
        )
        training = time.perf_counter() - training
        network = load_model(job / run.MODEL)
        if verbose:
            print(f"registration: improving the fields of {len(pairs.test)} test pairs, each on its own", flush=True)
        field = _fields(network, pairs.test)
        better = refine(loss, pairs.test, field)
        numbers = {
            **_measured(loss, pairs.test, field),
            "refined": _measured(loss, pairs.test, better),
            "loss": loss,
            "smoothness_weight": SMOOTHNESS[loss],
            "size": size,
            "data": pairs.about if data is None else f"{os.path.basename(os.path.normpath(data))}: {pairs.about}",
            "split": pairs.split,
            "best_epoch": best.epoch + 1,
            "seconds_training": round(training, 2),
        }
        _write_pictures(job, history, pairs.test, better)
        _write_examples(job / EXAMPLES, pairs.test)
        job.finish(numbers, history)
    return job.result(network)


def _read(data: PathLike | None, seed: int, loss: str | None, verbose: Any) -> tuple[PairData, str]:
    if verbose:
        print(f"registration: reading {data}" if data else "registration: drawing pairs of images", flush=True)
    if data is None:
        loss = loss or "mse"
        pairs = images.phantoms(seed, several_modalities=loss == "mutual-information")
    else:
        pairs = images.read(data)
        loss = loss or ("mutual-information" if pairs.test.truth is not None else "ncc")
    if verbose:
        size = pairs.test.moving.shape[1]
        print(f"{pairs.about}, {size} x {size} pixels; {len(pairs.test)} test pairs; loss: {loss}", flush=True)
    return pairs, loss


def _falling(settings: run.Settings, samples: int) -> Any:
    """Return a learning rate that falls to zero: the last epochs polish."""
    steps = settings.epochs * -(-samples // settings.batch_size)
    return optimizers.schedules.CosineDecay(settings.learning_rate, steps)


def _samples(moving: np.ndarray, fixed: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return inputs and targets: the warped image shall be the fixed one, the field as smooth as one of zeros."""
    nothing = np.broadcast_to(np.float32(0), (*moving.shape[:3], 2))
    n, height, width, _ = fixed.shape
    coarse = fixed.reshape(n, height // COARSE, COARSE, width // COARSE, COARSE, 1).mean(axis=(2, 4))
    return [moving, fixed], [fixed, nothing, coarse]


def _fields(network: Any, pairs: Pairs) -> np.ndarray:
    """Return the displacement fields that the network finds, (N, H, W, 2)."""
    return np.asarray(network.predict([pairs.moving, pairs.fixed], batch_size=32, verbose=0)[1])


def refine(loss: str, pairs: Pairs, fields: np.ndarray, steps: int = REFINING) -> np.ndarray:
    """Return better fields: each goes on from the given one by gradient descent on its own pair."""
    return np.stack(
        [
            register(moving[..., 0], fixed[..., 0], loss, steps, start=field).field
            for moving, fixed, field in zip(pairs.moving, pairs.fixed, fields, strict=True)
        ]
    )


def _measured(loss: str, pairs: Pairs, field: np.ndarray) -> dict[str, Any]:
    return measure(loss, pairs.moving, pairs.fixed, field, pairs.truth, pairs.inside)


def _write_pictures(job: run.Run, history: run.History, test: Pairs, field: np.ndarray) -> None:
    shown = slice(0, min(4, len(test)))
    warped = warp(test.moving, field)[0]
    moving, fixed, warped, field = (array[shown] for array in (test.moving, test.fixed, warped, field))
    names = test.names[shown]
    pictures.registration_sheet(moving, fixed, warped, field, names, job / "registration.png")
    pictures.checkerboards(moving, fixed, warped, names, job / "checkerboards.png")
    curves = {name: values for name, values in history.items() if name != "val_score"}
    plots.learning_curves(curves, path=job / "learning_curves.png")


def _write_examples(path: pathlib.Path, test: Pairs, count: int = 8) -> None:
    arrays = {name: getattr(test, name) for name in ("moving", "fixed", "truth", "inside")}
    with files.atomic_open(path) as file:
        np.savez_compressed(file, **{name: array[:count] for name, array in arrays.items() if array is not None})


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(model: PathLike, data: PathLike, split: str = "test") -> dict[str, Any]:
    """Test a trained model.

    Args:
        model: Model file, as training writes it.
        data: ``.npz`` file with ``moving`` and ``fixed`` (and ``truth``, ``inside``, if known), or a folder as for
            training.
        split: ``"test"`` or ``"val"`` of a folder.

    Returns:
        Similarity before and after, folding, and the endpoint error where the truth is known.
    """
    network, about = run.open_model(model, "size", "loss")
    if split not in ("test", "val"):
        raise ValueError(f"split is 'test' or 'val' but got {split!r}; the training pairs are drawn anew in each epoch")
    if pathlib.Path(data).is_dir():
        pairs = getattr(images.read(data, about["size"]), split)
    else:
        pairs = images.load_pairs(data, about["size"])
    return {"task": "registration", **_measured(about["loss"], pairs, _fields(network, pairs))}


def predict(
    model: PathLike, paths: Iterable[PathLike], out: PathLike | None = None, resize: bool = False
) -> list[run.Prediction]:
    """Register one image to another: ``predict MODEL MOVING FIXED``.

    Args:
        model: Model file, as training writes it.
        paths: Two images, the moving and the fixed one, of any size but the same; or an ``.npz`` file with ``moving``
            and ``fixed``.
        out: Folder for the warped image (``.png``), the field (``.npz``: ``field``, in pixels) and a picture of all.
        resize: Images of another size than the network's are always scaled to it, and the field back.

    Returns:
        For each pair the similarity before and after, and which part is folded.

    Raises:
        ValueError: If an image is missing, unreadable, or of another shape than its partner.
    """
    network, about = run.open_model(model, "size", "loss")
    found = []
    for name, moving, fixed in _opened(list(paths), about["size"]):
        small = [images.resample(image, about["size"])[None, ..., None] for image in (moving, fixed)]
        field = images.enlarge(_fields(network, Pairs(small[0], small[1]))[0], (moving.shape[0], moving.shape[1]))
        warped = warp(moving[None, ..., None], field[None])[0][0, ..., 0]
        numbers = measure(about["loss"], moving[None, ..., None], fixed[None, ..., None], field[None])
        if out is not None:
            _write_prediction(pathlib.Path(out), name, moving, fixed, warped, field)
        cells = (
            f"{numbers['similarity_name']}: {numbers['similarity_before']:.4f} before, "
            f"{numbers['similarity_after']:.4f} after",
            f"{numbers['folding']:.2%} folded",
        )
        found.append(run.Prediction(name, cells, {**numbers, "field": field, "warped": warped}))
    return found


def _opened(paths: list[PathLike], size: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return name, moving and fixed image of each pair."""
    if len(paths) == 1 and pathlib.Path(paths[0]).suffix.lower() == ".npz":
        pairs = images.load_pairs(paths[0], None)
        stem = pathlib.Path(paths[0]).stem
        return [
            (f"{stem}-{i}", moving[..., 0], fixed[..., 0])
            for i, (moving, fixed) in enumerate(zip(pairs.moving, pairs.fixed, strict=True))
        ]
    if len(paths) != 2:
        raise ValueError(
            f"registration takes two images, the moving and the fixed one (or one .npz file with both), but got "
            f"{len(paths)}: {', '.join(map(str, paths)) or 'nothing'}"
        )
    moving, fixed = images.load_pair(paths[0], paths[1])
    names = [pathlib.Path(path).name.partition(".")[0] for path in paths]
    return [(f"{names[0]}-to-{names[1]}", moving, fixed)]


def _write_prediction(
    out: pathlib.Path, name: str, moving: np.ndarray, fixed: np.ndarray, warped: np.ndarray, field: np.ndarray
) -> None:
    from PIL import Image

    out.mkdir(parents=True, exist_ok=True)
    with files.atomic(out / f"{name}.png") as beside:
        Image.fromarray(np.rint(warped * 255).astype(np.uint8)).save(beside)
    with files.atomic_open(out / f"{name}.npz") as file:
        np.savez_compressed(file, field=field, warped=warped)
    pictures.registration_sheet(
        moving[None], fixed[None], warped[None], field[None], (name,), out / f"{name}-overview.png"
    )


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    refined = numbers.get("refined")

    def line(key: str, form: str) -> str:
        text = format(numbers[key], form)
        return f"{text}; improved pair by pair: {format(refined[key], form)}" if refined else text

    lines = [("pairs", str(numbers["pairs"]))]
    if "endpoint_error" in numbers:
        lines.append(("mean displacement, pixels", f"{numbers['endpoint_error_before']:.2f}"))
        lines.append(("mean error after, pixels", line("endpoint_error", ".2f")))
    lines.append((f"{numbers['similarity_name']}, before", f"{numbers['similarity_before']:.4f}"))
    lines.append(("after", line("similarity_after", ".4f")))
    lines.append(("folded part of the image", line("folding", ".3%")))
    return lines
