"""Draw chest X-rays that do not exist: a generator and a discriminator trained against each other (D1 §3.3).

The step in which both learn is in :mod:`tinymed.applications.adversarial`, what tells how good the images are in
:mod:`tinymed.applications.realism`. After each epoch both are measured on the validation images; the generator of the
epoch with the least Fréchet distance is kept, and only it is compared with the test images.

What is used beside the document's two networks: batch normalisation in the generator and a memory of 0.5 instead of 0.9
in Adam (both Radford et al. 2015), and the average of the generator's weights over about the last hundred steps, which
is the generator that is kept.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from tinymed import backend, files, optimizers, plots
from tinymed.applications import realism, run
from tinymed.applications.adversarial import LOSSES, Duel
from tinymed.applications.chest_images import SHAPE, read, read_split, write_png
from tinymed.applications.run import Prediction, Result, Settings
from tinymed.configurable import resolve
from tinymed.datasets import medmnist
from tinymed.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, LeakyReLU, ReLU, Reshape
from tinymed.models import Sequential
from tinymed.progress import Progress

LATENT = 64
"""Numbers of noise that the generator makes an image of."""
SETTINGS = Settings(epochs=30, batch_size=64, learning_rate=0.0005)
DISCRIMINATOR = "discriminator.safetensors"
EXAMPLES = "examples.npz"
KNOWN = ("latent", "output", "loss")
"""What the model file says for prediction."""

_FROM_A_SEED = 16
"""Images that predict draws of a seed."""


def build_generator() -> Sequential:
    """Build G: noise to an image in [-1, 1], twice enlarged by transposed convolutions."""
    model = Sequential()
    model.add(Dense(7 * 7 * 32, use_bias=False, input_shape=(LATENT,)))
    model.add(BatchNormalization())
    model.add(ReLU())
    model.add(Reshape((7, 7, 32)))
    model.add(Conv2DTranspose(16, 4, strides=2, padding="same", use_bias=False))
    model.add(BatchNormalization())
    model.add(ReLU())
    model.add(Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"))
    return model


def build_discriminator() -> Sequential:
    """Build D: an image in [-1, 1] to the probability that it is real."""
    model = Sequential()
    model.add(Conv2D(16, 4, strides=2, padding="same", input_shape=SHAPE))
    model.add(LeakyReLU(0.2))
    model.add(Conv2D(32, 4, strides=2, padding="same"))
    model.add(LeakyReLU(0.2))
    model.add(Flatten())
    model.add(Dense(1, activation="sigmoid"))
    return model


# --- train -----------------------------------------------------------------------------------------------------


def train(
    *,
    loss: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
) -> Result:
    """Train a generator, measure its images after each epoch, keep the best, and report.

    Args:
        loss: The generator's, ``"non-saturating"`` or ``"minimax"``.
        epochs: Passes over the real training images.
        batch_size: Images in one step.
        learning_rate: Of both optimizers.
        seed: Decides weights, noise, order of the images, and phantoms: same seed, same result.
        data: An ``.npz`` file laid out as PneumoniaMNIST's, images of 28 x 28 pixels; phantoms if omitted.
        out: Folder for the results.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.

    Raises:
        ValueError: For options or data that cannot be used, before any training.
    """
    loss = resolve(loss or "non-saturating", LOSSES, "loss")
    settings = SETTINGS.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start("gan", settings, seed=seed, out=out, backend_name=backend_name) as job:
        images = read(data, seed, verbose)
        _check_counts(data, images, settings)
        duel = Duel(
            build_generator(),
            build_discriminator(),
            (_adam(settings), _adam(settings)),
            build_generator(),
            loss,
        )
        about = {"task": "gan", "latent": LATENT, "loss": loss, "output": {"shape": list(SHAPE), "range": [-1, 1]}}
        best = _Best(job / run.MODEL, job / DISCRIMINATOR, about, images.val.images)
        training = time.perf_counter()
        history = _fit(duel, images.train.images, settings, best, verbose)
        training = time.perf_counter() - training
        generator, _ = run.open_model(job / run.MODEL)
        if verbose:
            print("comparing generated with test images", flush=True)
        test, rng = images.test.images, backend.new_generator()
        drawn = draw(generator, noise(rng, len(test)))
        many = min(len(images.train.images), 3000)
        strict = realism.judge((images.train.images[:many], draw(generator, noise(rng, many))), (test, drawn))
        numbers = {
            "loss": loss,
            "samples": len(test),
            **compare(test, drawn),
            "auc_judge_of_training_images": strict,
            "judge_training_images": 2 * many,
            "auc_real": realism.halves(test, images.train.images[: len(test)]),
            "frechet_real": realism.frechet(test, images.train.images[: len(test)]),
            "best_epoch": best.epoch + 1,
            "best_validation_frechet": best.score,
            "data": "phantoms" if data is None else os.path.basename(data),
            "images": {split: len(getattr(images, split)) for split in medmnist.SPLITS},
            "seconds_training": round(training, 2),
        }
        _report(job, history, test, drawn, best.sheets)
        with files.atomic_open(job / EXAMPLES) as file:
            np.savez_compressed(file, codes=noise(rng, _FROM_A_SEED))
        job.finish(numbers, history)
    return job.result(generator)


def _adam(settings: Settings) -> Any:
    return optimizers.Adam(learning_rate=settings.learning_rate, beta_1=0.5, beta_2=0.99)


def _check_counts(data: Any, images: Any, settings: Settings) -> None:
    counts = {split: len(getattr(images, split)) for split in medmnist.SPLITS}
    if counts["train"] < settings.batch_size:
        raise ValueError(
            f"{data or 'phantoms'}: {counts['train']} training images are less than one batch of "
            f"{settings.batch_size}; take a smaller --batch-size"
        )
    for split in ("val", "test"):
        if counts[split] < 8:
            raise ValueError(f"{data}, {split}: {counts[split]} images are too few to compare with; give at least 8")


class _Best:
    """Measures the average generator after each epoch, and saves both networks if it is the best so far."""

    def __init__(self, generator: pathlib.Path, discriminator: pathlib.Path, about: dict, real: np.ndarray) -> None:
        self.paths, self.about, self.real = (generator, discriminator), about, real
        self.score, self.epoch = float("inf"), -1
        self.sheets: dict[int, np.ndarray] = {}
        rng = backend.new_generator()
        self.codes = noise(rng, len(real))  # the same in each epoch, so that the numbers can be compared

    def measure(self, epoch: int, duel: Duel) -> dict[str, float]:
        """Return the numbers of this epoch."""
        drawn = draw(duel.average, self.codes)
        if not np.isfinite(drawn).all():
            raise ValueError(f"training diverged in epoch {epoch + 1}: images are NaN; try a smaller --learning-rate")
        numbers = compare(self.real, drawn)
        self.sheets[epoch + 1] = drawn[:10]
        if numbers["frechet"] < self.score:
            self.score, self.epoch = numbers["frechet"], epoch
            run.save(duel.average, self.paths[0], self.about)
            run.save(duel.discriminator, self.paths[1], {"task": "gan", "part": "discriminator"})
        return numbers


def _fit(duel: Duel, real: np.ndarray, settings: Settings, best: _Best, verbose: Any) -> run.History:
    """Train epoch by epoch; an incomplete last batch is left for the next epoch's order."""
    x, rng = 2 * real - 1, backend.new_generator()
    batch, steps = settings.batch_size, len(real) // settings.batch_size
    progress = Progress(verbose, settings.epochs, steps)
    history: run.History = {}
    try:
        for epoch in range(settings.epochs):
            progress.epoch_begin(epoch)
            order, sums = rng.permutation(len(x)), dict[str, Any]()
            for step in range(steps):
                found = duel.step(backend.asarray(x[order[step * batch : (step + 1) * batch]]))
                sums = {key: value + sums.get(key, 0.0) for key, value in found.items()}
                progress.step(step + 1, partial(_means, sums, step + 1))
            logs = {**_means(sums, steps), **best.measure(epoch, duel)}
            progress.epoch_end(logs)
            for key, value in logs.items():
                history.setdefault(key, []).append(value)
    finally:
        progress.close()
    return history


def _means(sums: dict[str, Any], count: int) -> dict[str, float]:
    return {key: float(value) / count for key, value in sums.items()}


def noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw codes (n, LATENT), standard normal."""
    return rng.standard_normal((n, LATENT), dtype=np.float32)


def draw(generator: Any, codes: np.ndarray) -> np.ndarray:
    """Return the images (N, 28, 28, 1) of codes in [0, 1], in steps of 1/255 as the pixels of files are."""
    parts = [generator(backend.asarray(codes[i : i + 256])) for i in range(0, len(codes), 256)]
    images = np.concatenate([backend.to_host(part) for part in parts])
    return (np.rint((images + 1) * 127.5) / 255).astype(np.float32)


def compare(real: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """Return how well a judge tells the two apart, their Fréchet distance, and the diversity of the second."""
    return {
        "auc": realism.halves(real, drawn),
        "frechet": realism.frechet(real, drawn),
        "diversity": realism.diversity(real, drawn),
    }


# --- report ----------------------------------------------------------------------------------------------------


def _report(job: Any, history: run.History, test: np.ndarray, drawn: np.ndarray, sheets: dict[int, np.ndarray]) -> None:
    plots.samples_beside_real(test[_evenly(len(test), 64)], drawn[:64], job / "samples.png")
    chosen = sorted({sorted(sheets)[i] for i in _evenly(len(sheets), 6)})
    rows = {f"epoch {epoch}": sheets[epoch] for epoch in chosen}
    plots.image_rows(rows, job / "progress.png", "The same noise after more and more epochs")
    panels = {
        "Losses": {"discriminator": history["d_loss"], "generator": history["g_loss"]},
        "Mean answer of the discriminator": {"to real": history["p_real"], "to generated": history["p_fake"]},
        "AUC of a judge": {"judge": history["auc"]},
        "Fréchet distance / variance": {"distance": history["frechet"]},
        "Diversity": {"diversity": history["diversity"]},
    }
    goals = {"Mean answer of the discriminator": 0.5, "AUC of a judge": 0.9, "Diversity": 0.7}
    plots.curve_panels(panels, job / "learning_curves.png", goals, logarithmic=("Fréchet distance / variance",))


def _evenly(n: int, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int))


def rows(numbers: dict[str, Any]) -> run.Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    lines = [
        ("real images, and as many generated", str(numbers["samples"])),
        ("AUC of a judge trained on half of them", f"{numbers['auc']:.4f}"),
    ]
    if "auc_real" in numbers:
        words = f"AUC of a judge trained on {numbers['judge_training_images']} other images"
        lines.append(("the same of real training images for generated", f"{numbers['auc_real']:.4f}"))
        lines.append((words, f"{numbers['auc_judge_of_training_images']:.4f}"))
    lines.append(("Fréchet distance / variance", f"{numbers['frechet']:.4f}"))
    if "frechet_real" in numbers:
        lines.append(("the same of real training images for generated", f"{numbers['frechet_real']:.4f}"))
    lines.append(("diversity (1: as real images)", f"{numbers['diversity']:.4f}"))
    return lines


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Compare as many generated images as there are real ones in a file with these.

    Noise and judge are drawn from the seed 0, so that the numbers are the same each time.

    Args:
        model: Model file, as training writes it.
        data: ``.npz`` file with ``test_images`` and ``test_labels``, laid out as MedMNIST's.
        split: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ValueError: If a file cannot be used, or its images have another size.
    """
    generator, about = _open(model)
    real = read_split(data, split, at_least=8)
    backend.set_seed(0)
    drawn = draw(generator, noise(backend.new_generator(), len(real)))
    return {"task": "gan", "loss": about["loss"], "samples": len(real), **compare(real, drawn)}


def predict(
    model: str | os.PathLike[str], paths: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> list[Prediction]:
    """Draw images.

    Args:
        model: Model file, as training writes it.
        paths: What to draw: files with codes, ``.npy`` or ``.npz`` with an array (N, 64) (called ``codes``, if there
            are several); or a whole number, the seed of 16 codes.
        out: Folder for the images, ``NAME_0.png``, ``NAME_1.png`` ...; none are written if omitted.

    Raises:
        ValueError: If a file cannot be used.
    """
    generator, _ = _open(model)
    given = [(pathlib.Path(path), read_codes(path)) for path in paths]
    if not given:
        raise ValueError("predict needs a file of codes, or a seed")
    found = []
    for path, codes in given:
        for number, image in enumerate(draw(generator, codes)):
            cells: tuple[str, ...] = (f"mean {image.mean():.3f}", f"contrast {image.std():.3f}")
            if out is not None:
                target = pathlib.Path(out) / f"{path.stem}_{number}.png"
                write_png(target, image)
                cells += (str(target),)
            found.append(Prediction(f"{path}[{number}]", cells, {"code": codes[number], "image": image}))
    return found


def _open(model: str | os.PathLike[str]) -> tuple[Any, dict[str, Any]]:
    if pathlib.Path(model).name == DISCRIMINATOR:
        raise ValueError(f"{model} is the discriminator, which draws nothing; name {run.MODEL} beside it")
    return run.open_model(model, *KNOWN)


def read_codes(path: str | os.PathLike[str]) -> np.ndarray:
    """Read codes (N, LATENT) from a file, or draw them from a seed.

    >>> read_codes("7").shape
    (16, 64)

    Raises:
        ValueError: If the file cannot be used.
    """
    path = pathlib.Path(path)
    if str(path).isdecimal() and not path.exists():
        return noise(np.random.default_rng(int(str(path))), _FROM_A_SEED)
    if path.suffix.lower() == ".npy":
        medmnist.can_be_read(path)
        try:
            codes = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path} is no .npy file, or it is damaged ({error}); write it with numpy.save") from error
    elif path.suffix.lower() == ".npz":
        arrays = medmnist.read_npz(path)
        if "codes" not in arrays and len(arrays) > 1:
            raise ValueError(f"{path} has no array 'codes'; it has {', '.join(sorted(arrays))}")
        codes = arrays.get("codes", next(iter(arrays.values())))
    else:
        raise ValueError(f"{path}: codes come from an .npy or .npz file, or from a seed such as 7")
    codes = codes[np.newaxis] if codes.ndim == 1 else codes
    if codes.ndim != 2 or codes.shape[1] != LATENT or not len(codes):
        raise ValueError(f"{path}: expected codes (N, {LATENT}) but found an array {codes.shape}")
    if codes.dtype.kind not in "fiu" or not np.isfinite(codes).all():
        raise ValueError(f"{path}: codes must be finite numbers, about normally distributed")
    return codes.astype(np.float32)
