"""What the run of every task has in common: settings, folder, best epoch, result, and what the screen shows.

A task is a module with these functions; the command line calls them by these names:

    train(*, data, out, seed, epochs, batch_size, learning_rate, backend_name, verbose, ...) -> Result
    evaluate(model, data, split="test") -> dict of numbers
    predict(model, paths, ...) -> list of Prediction
    rows(numbers) -> list of (what, value), the lines of the table that is printed
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.applications import report
from tinymed.callbacks import Callback
from tinymed.models import load_model

MODEL = "model.safetensors"
History = dict[str, list[float]]
Rows = list[tuple[str, str]]


# --- what goes in ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """The three numbers that every training run has.

    Attributes:
        epochs: Passes over the training samples.
        batch_size: Samples in one step.
        learning_rate: Of the optimizer.

    Raises:
        ValueError: If a number cannot be used.
    """

    epochs: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {value!r}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate!r}")

    def but(self, **changes: Any) -> Settings:
        """Return the settings with those changes that are not None.

        >>> Settings(epochs=8, batch_size=32, learning_rate=0.001).but(epochs=2, batch_size=None)
        Settings(epochs=2, batch_size=32, learning_rate=0.001)
        """
        return dataclasses.replace(self, **{key: value for key, value in changes.items() if value is not None})


OPTIONS = ("data", "out", "seed", "epochs", "batch_size", "learning_rate", "backend_name", "verbose")
"""What ``train`` takes in every task."""


def accepts(function: Callable[..., Any], task: str, **given: Any) -> dict[str, Any]:
    """Return those options that are not None, if the function of a task knows them.

    Raises:
        ValueError: If an option was given that the task does not have.
    """
    given = {key: value for key, value in given.items() if value is not None}
    parameters = inspect.signature(function).parameters
    known = {*parameters}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        known |= set(OPTIONS)  # they are passed on to what trains all tasks of the kind
    for key in given:
        if key not in known:
            raise ValueError(f"the task {task!r} has no option --{key.replace('_', '-')}")
    return given


# --- what comes out --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a training run leaves: the model of the best epoch, its numbers on the test data, and the files."""

    folder: pathlib.Path
    metrics: dict[str, Any]
    history: History
    model: Any
    files: list[pathlib.Path]


@dataclass(frozen=True)
class Prediction:
    """What a model found in one input.

    Attributes:
        name: The input, such as its file.
        cells: What was found, as columns of a line to print.
        values: The same as numbers and arrays, by name.
    """

    name: str
    cells: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)


class Run:
    """A training run under way: where its files go and when it began.

    Attributes:
        work: The workspace.
        seed: The seed that decides everything random.
        settings: The settings.
    """

    def __init__(self, task: str, work: report.Workspace, seed: int, settings: Settings) -> None:
        self.task, self.work, self.seed, self.settings = task, work, seed, settings
        self.metrics: dict[str, Any] = {}
        self.history: History = {}
        self._start = time.perf_counter()

    def __truediv__(self, name: str) -> pathlib.Path:
        """Return the path to write a file of this name to."""
        return self.work / name

    def finish(self, numbers: Mapping[str, Any], history: History) -> None:
        """Write history.csv and metrics.json; the numbers are joined by seed, settings, time and versions."""
        self.history = history
        report.write_history(self / "history.csv", history)
        self.metrics = {
            "task": self.task,
            **numbers,
            "seed": self.seed,
            **dataclasses.asdict(self.settings),
            "seconds": round(time.perf_counter() - self._start, 2),
            "versions": report.versions(),
        }
        report.write_metrics(self / report.LAST, self.metrics)

    def result(self, model: Any) -> Result:
        """Return the result; to be called when the run is over and its files have their final places."""
        return Result(self.work.folder, self.metrics, self.history, model, self.work.files)


@contextlib.contextmanager
def start(
    task: str,
    settings: Settings,
    *,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    backend_name: str | None = None,
) -> Iterator[Run]:
    """Choose the array library and the folder, set the seed, and lend a run.

    Args:
        task: Name of the task.
        settings: Its settings.
        seed: Decides weights, order of the samples, and synthetic data: same seed, same result.
        out: Folder for the results; ``runs/TASK``, or the next free ``runs/TASK-2`` ..., if omitted.
        backend_name: Array library to train on; the current one if omitted.
    """
    library = backend.use_backend(backend_name) if backend_name else contextlib.nullcontext()
    with library, report.workspace(report.choose_folder(out, task)) as work:
        backend.set_seed(seed)
        yield Run(task, work, seed, settings)


# --- training --------------------------------------------------------------------------------------------------


class KeepBest(Callback):
    """Scores the model after each epoch, and saves it if the score exceeds all before it.

    Args:
        path: Where to save.
        score: The score of a model on validation data, larger is better.
        about: Strings to keep in the model file, see :func:`open_model`.
        name: Name of the score in the history.

    Attributes:
        score, epoch: The best score so far, and its epoch from 0.
    """

    def __init__(
        self, path: pathlib.Path, score: Callable[[Any], float], about: Mapping[str, Any], name: str = "val_score"
    ) -> None:
        self.path, self._score, self.about, self.name = path, score, dict(about), name
        self.score, self.epoch = float("-inf"), -1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Score the model, and save it if it is the best so far."""
        score = float(self._score(self.model))
        if not np.isfinite(score):
            raise ValueError(f"training diverged in epoch {epoch + 1}: outputs are NaN; try a smaller --learning-rate")
        if logs is not None:
            logs[self.name] = score
        if score > self.score:
            self.score, self.epoch = score, epoch
            save(self.model, self.path, self.about)


def fit(
    model: Any,
    samples: Callable[[np.random.Generator], tuple[Any, ...]],
    settings: Settings,
    *,
    callbacks: Sequence[Callback] = (),
    verbose: Any = "auto",
    **options: Any,
) -> History:
    """Train epoch by epoch, each on training samples drawn anew, as augmentation makes them.

    Args:
        model: A compiled model.
        samples: Called once in each epoch with a random generator; returns x and y, and
            weights of the samples if there are any.
        settings: Epochs and batch size.
        callbacks: As in ``model.fit``.
        verbose: As in ``model.fit``.
        options: Further arguments of ``model.fit``, such as ``validation_data``.

    Returns:
        Losses and metrics by epoch, as ``model.fit(...).history`` has them.
    """
    rng = backend.new_generator()
    history: History = {}
    for epoch in range(settings.epochs):
        x, y, *weights = samples(rng)
        seen = model.fit(
            x,
            y,
            sample_weight=weights[0] if weights else None,
            initial_epoch=epoch,
            epochs=settings.epochs,  # so that the bar shows it; `_OneEpoch` ends each fit after one
            batch_size=settings.batch_size,
            callbacks=[*callbacks, _OneEpoch()],
            verbose=verbose,
            **options,
        )
        for key, values in seen.history.items():
            history.setdefault(key, []).extend(values)
    return history


class _OneEpoch(Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = True


# --- the model file --------------------------------------------------------------------------------------------


def save(model: Any, path: str | os.PathLike[str], about: Mapping[str, Any]) -> None:
    """Save a model with what its task must know to use it again: ``task``, and anything that JSON can hold.

    The optimizer's state, which only further training would need, is left out: it is twice as large as the weights.
    """
    metadata = {key: value if key == "task" else json.dumps(value) for key, value in about.items()}
    model.save(path, metadata=metadata, include_optimizer=False)


def open_model(path: str | os.PathLike[str], *keys: str) -> tuple[Any, dict[str, Any]]:
    """Load a model file that :func:`save` wrote, and what it says of itself.

    Args:
        path: The file.
        keys: What the task must know, besides ``task``.

    Raises:
        ValueError: If the file does not say it.
    """
    model = load_model(path)
    kept = model.metadata
    missing = [key for key in ("task", *keys) if key not in kept]
    if missing and "task" in kept:
        raise ValueError(
            f"{path} was written by the task {kept['task']!r}, so it does not say {missing[0]!r}, which is needed "
            "here; give a model of another task"
        )
    if missing:
        raise ValueError(
            f"{path} does not say 'task', so it was not written by `tinymed train`; "
            "load it with tinymed.load_model and call its own predict"
        )
    return model, {"task": kept["task"], **{key: json.loads(kept[key]) for key in keys}}
