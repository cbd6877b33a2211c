r"""What can be kept of a chest X-ray in eight numbers? Autoencoders (D1 §3.2): linear, deep, convolutional.

An encoder makes a short code of an image, a decoder an image of the code. The document's are linear:

    $z = W x + b$ (D1-4),    $x' = W' z + b'$ (D1-5).

Trained with squared error they find what an SVD finds too: $W'$ spans the space of the principal components of the
training images (Baldi and Hornik 1989), which is measured here after each epoch. What training does *not* find is the
components themselves: with any invertible $A$, $A W$ and $W' A^{-1}$ reconstruct as well. No linear code of that size
is better on the training images, so that a network has to bend to beat it.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinymed import backend, plots
from tinymed.applications import principal, run
from tinymed.applications.autoencoder_networks import NETWORKS, SETTINGS, optimizer
from tinymed.applications.chest_images import PIXELS, SHAPE, read, read_split, write_examples, write_png
from tinymed.applications.run import Prediction, Result, Settings
from tinymed.callbacks import Callback
from tinymed.configurable import resolve
from tinymed.datasets import images as pictures
from tinymed.datasets import medmnist
from tinymed.datasets.medmnist import ImageData

CODE = 8
"""Numbers in the code."""
OTHER_CODES = (2, 32)
"""Further code sizes, trained to be compared with it."""
EXAMPLES = "examples.npz"
KNOWN = ("input", "code", "network")
"""What the model file says for prediction."""


# --- train -----------------------------------------------------------------------------------------------------


def train(
    *,
    network: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
) -> Result:
    """Train an autoencoder at three code sizes, compare it with principal components, and report.

    Args:
        network: ``"linear"`` (the document's), ``"deep"`` or ``"convolutional"``; the two are also compared with a
            linear one that is trained beside them.
        epochs: Passes over the training images; the network's own number if omitted.
        batch_size: Images in one step; the network's own if omitted.
        learning_rate: Of the first step; the network's own if omitted.
        seed: Decides weights, order of the images, and phantoms: same seed, same result.
        data: An ``.npz`` file laid out as PneumoniaMNIST's, images of 28 x 28 pixels; phantoms if omitted.
        out: Folder for the results.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.

    Raises:
        ValueError: For options or data that cannot be used, before any training.
    """
    network = network or "linear"
    resolve(network, NETWORKS, "network")
    settings = SETTINGS[network].but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start("autoencoder", settings, seed=seed, out=out, backend_name=backend_name) as job:
        images = read(data, seed, verbose)
        scale = _Scale.of(images.train.images)
        splits = {name: scale.apply(getattr(images, name).images) for name in medmnist.SPLITS}
        _check_count(data, splits["train"])
        components, spectrum = principal.components(splits["train"].reshape(-1, PIXELS))
        training = time.perf_counter()
        models, histories = {}, {}
        for code in (CODE, *OTHER_CODES):
            about = {"task": "autoencoder", "network": network, "code": code, "input": scale.about()}
            path = job / (run.MODEL if code == CODE else f"model_{code}.safetensors")
            models[code], histories[code] = _fit(network, code, settings, splits, components, path, about, verbose)
        linear = None
        if network != "linear":
            usual = SETTINGS["linear"].but(epochs=None if epochs is None else epochs)
            about = {"task": "autoencoder", "network": "linear", "code": CODE, "input": scale.about()}
            path = job / "linear.safetensors"
            linear, _ = _fit("linear", CODE, usual, splits, components, path, about, verbose)
        training = time.perf_counter() - training

        test = splits["test"]
        factor = scale.scale**2  # from standardised values to pixels in [0, 1]
        errors = {code: factor * _error(model, test) for code, model in models.items()}
        by_size = principal.errors(components, test.reshape(-1, PIXELS))
        numbers: dict[str, Any] = {
            "network": network,
            "code": CODE,
            "samples": len(test),
            "mse": errors[CODE],
            "mse_pca": factor * by_size[CODE],
            "mse_mean_image": factor * by_size[0],
            "explained": 1 - errors[CODE] / (factor * by_size[0]),
            "mse_by_code": {str(code): value for code, value in sorted(errors.items())},
            "mse_pca_by_code": {str(code): factor * by_size[code] for code in sorted(errors)},
            "eigenvalue_ratio": float(spectrum[CODE] / spectrum[CODE - 1]),
            "data": "phantoms" if data is None else os.path.basename(data),
            "images": {split: len(values) for split, values in splits.items()},
            "seconds_training": round(training, 2),
        }
        if linear is not None:
            numbers["mse_linear"] = factor * _error(linear, test)
        else:
            numbers["angle_degrees"] = principal.angle(models[CODE], components)
        _draw(job, images, scale, models, components, by_size, numbers, histories[CODE])
        write_examples(job / EXAMPLES, images)
        job.finish(numbers, histories[CODE])
    return job.result(models[CODE])


def _check_count(data: Any, train: np.ndarray) -> None:
    most = max((CODE, *OTHER_CODES))
    if len(train) <= most:
        raise ValueError(
            f"{data}: {len(train)} training images do not determine {most} components; more than {most} are needed"
        )


class _Scale:
    """The mean image and one number for the spread: with one scale for all pixels the components stay what they are."""

    def __init__(self, mean: np.ndarray, scale: float) -> None:
        self.mean, self.scale = mean, scale

    @classmethod
    def of(cls, images: np.ndarray) -> _Scale:
        mean = np.round(images.mean(axis=0, dtype=np.float64), 5).astype(np.float32)
        return cls(mean, max(float(np.round(np.std(images - mean, dtype=np.float64), 6)), 1e-6))

    @classmethod
    def said(cls, about: dict[str, Any]) -> _Scale:
        mean = np.asarray(about["input"]["mean"], dtype=np.float32).reshape(SHAPE)
        return cls(mean, about["input"]["scale"])

    def about(self) -> dict[str, Any]:
        mean = [float(f"{value:.5f}") for value in self.mean.ravel().tolist()]
        return {"shape": list(SHAPE), "range": [0, 1], "channels": "grey", "mean": mean, "scale": self.scale}

    def apply(self, images: np.ndarray) -> np.ndarray:
        return (images - self.mean) / np.float32(self.scale)

    def undo(self, values: np.ndarray) -> np.ndarray:
        return np.clip(values * np.float32(self.scale) + self.mean, 0, 1)


class _Angle(Callback):
    """Measures, after each epoch, how far the linear network's space is from the principal one."""

    def __init__(self, components: np.ndarray) -> None:
        self.components = components

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["angle_degrees"] = principal.angle(self.model, self.components)


def _fit(
    network: str,
    code: int,
    settings: Settings,
    splits: dict[str, np.ndarray],
    components: np.ndarray,
    path: pathlib.Path,
    about: dict[str, Any],
    verbose: Any,
) -> tuple[Any, run.History]:
    """Train one network and return it as it was after its best epoch.

    The best epoch has the least error on the validation images; for the linear network on the training images
    themselves, since it is those whose principal subspace has the least error.
    """
    if verbose:
        print(f"{network} autoencoder, {code} numbers in the code", flush=True)
    model = NETWORKS[network](code)
    model.compile(optimizer=optimizer(network, settings, len(splits["train"])), loss="mean_squared_error")
    judged = splits["train" if network == "linear" else "val"]
    best = run.KeepBest(path, lambda model: -_error(model, judged), about, name="score")
    history = run.fit(
        model,
        lambda rng: (splits["train"], splits["train"]),
        settings,
        validation_data=(splits["val"], splits["val"]),
        callbacks=[best, *([_Angle(components)] if network == "linear" else [])],
        verbose=verbose,
    )
    return run.open_model(path)[0], history


def _error(model: Any, images: np.ndarray) -> float:
    """Return the mean squared error of the reconstructions, in the units of ``images``."""
    difference = reconstruct(model, images) - images
    return float(np.mean(np.square(difference, dtype=np.float64)))


def reconstruct(model: Any, images: np.ndarray) -> np.ndarray:
    """Return what the decoder makes of the codes of standardised images, on the host."""
    return np.asarray(model.predict(images, batch_size=256, verbose=0))


def encode(model: Any, images: np.ndarray) -> np.ndarray:
    """Return the codes (N, code) of standardised images, on the host."""
    x = backend.asarray(images)
    for layer in model.layers:
        x = layer(x)
        if layer.name == "code":
            break
    return backend.to_host(x)


# --- report ----------------------------------------------------------------------------------------------------


def _draw(
    job: Any,
    images: ImageData,
    scale: _Scale,
    models: dict[int, Any],
    components: np.ndarray,
    by_size: np.ndarray,
    numbers: dict[str, Any],
    history: run.History,
) -> None:
    network, factor = numbers["network"], scale.scale**2
    test = scale.apply(images.test.images)
    shown = np.concatenate([np.flatnonzero(images.test.labels == k)[:5] for k in np.unique(images.test.labels)[:2]])
    rows = {"original": images.test.images[shown]}
    for code, model in sorted(models.items()):
        rows[f"{code} numbers"] = scale.undo(reconstruct(model, test[shown]))
    plots.image_rows(rows, job / "reconstructions.png", f"Reconstructions by the {network} autoencoder")
    smallest = min(models)
    plots.code_scatter(
        encode(models[smallest], test), images.test.labels, images.classes, job / "codes.png",
        f"Test images as {smallest} numbers ({network})",
    )  # fmt: skip
    pca = {size: factor * float(by_size[size]) for size in range(1, min(64, len(by_size) - 1) + 1)}
    ours = {f"{network} autoencoder": {code: numbers["mse_by_code"][str(code)] for code in sorted(models)}}
    plots.error_by_code_size(pca, ours, job / "errors.png")
    curves = {name: values for name, values in history.items() if name in ("loss", "val_loss")}
    plots.learning_curves(curves, job / "learning_curves.png")
    if network == "linear":
        plots.angle_curve(history["angle_degrees"], job / "angle.png")
        decoder = principal.decoder_rows(models[CODE])
        learned = {
            "principal\ncomponents": components[:CODE].reshape(-1, 28, 28),
            "the same, as far as\nthe decoder makes them": principal.shadows(decoder, components).reshape(-1, 28, 28),
            "what the decoder adds\nfor each number": decoder.reshape(-1, 28, 28),
        }
        plots.image_rows(learned, job / "components.png", "Principal components and the decoder's", signed=True)


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    lines = [
        ("images", str(numbers["samples"])),
        (f"mean squared error, {numbers['network']}, code of {numbers['code']}", f"{numbers['mse']:.6f}"),
    ]
    for key, words in (
        ("mse_linear", "the same of the linear autoencoder"),
        ("mse_pca", "the same of the principal components"),
        ("mse_mean_image", "the same of the mean image"),
    ):
        if key in numbers:
            lines.append((words, f"{numbers[key]:.6f}"))
    lines.append(("part of the variance explained", f"{numbers['explained']:.4f}"))
    if "angle_degrees" in numbers:
        lines.append(("largest angle to the principal subspace", f"{numbers['angle_degrees']:.3f} degrees"))
    return lines


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Measure the reconstruction error on the images of a file.

    Args:
        model: Model file, as training writes it.
        data: ``.npz`` file with ``test_images`` and ``test_labels``, laid out as MedMNIST's.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ValueError: If a file cannot be used, or the images do not fit the model.
    """
    network, about = run.open_model(model, *KNOWN)
    images = read_split(data, split)
    scale = _Scale.said(about)
    values, factor = scale.apply(images), scale.scale**2
    mse, mean = factor * _error(network, values), factor * float(np.mean(np.square(values, dtype=np.float64)))
    return {
        "task": "autoencoder",
        "network": about["network"],
        "code": about["code"],
        "samples": len(images),
        "mse": mse,
        "mse_mean_image": mean,
        "explained": 1 - mse / mean if mean else float("nan"),
    }


def predict(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    resize: bool = False,
    out: str | os.PathLike[str] | None = None,
) -> list[Prediction]:
    """Reconstruct images in ``.png``, ``.jpg`` or ``.npz`` files, and tell how far the reconstructions are off.

    Args:
        model: Model file, as training writes it.
        paths: The files; an ``.npz`` file may hold many images.
        resize: Whether images of another size are cropped to the middle and resampled.
        out: Folder for the reconstructions, ``NAME.png`` or ``NAME_0.png``, ``NAME_1.png`` ...; none if omitted.

    Raises:
        ValueError: If a file cannot be used, or an image does not fit the model.
    """
    network, about = run.open_model(model, *KNOWN)
    scale = _Scale.said(about)
    loaded = [(pathlib.Path(path), *pictures.load(path, SHAPE, resize)) for path in paths]
    if not loaded:
        raise ValueError("predict needs at least one image")
    found = []
    for path, images, names in loaded:
        values = scale.apply(images)
        codes, redone = encode(network, values), scale.undo(reconstruct(network, values))
        for number, (name, image, code, new) in enumerate(zip(names, images, codes, redone, strict=True)):
            rmse = float(np.sqrt(np.mean((new - image) ** 2)))
            cells: tuple[str, ...] = (f"off by {rmse:.4f} (root mean square)",)
            if out is not None:
                target = pathlib.Path(out) / f"{path.stem}{f'_{number}' if len(images) > 1 else ''}.png"
                write_png(target, new)
                cells += (str(target),)
            found.append(Prediction(name, cells, {"rmse": rmse, "code": code, "reconstruction": new}))
    return found
