"""Electrocardiograms (D4 §3.2 and §4.2): the heart rate of a window, or every single beat.

Three networks, by ``--network``: ``p4b`` is the article's program for the heart rate as it is written, which diverges,
and ``lstm`` is the same with what makes it learn (:mod:`tinymed.applications.ecg_rates` says what and why); ``beats``
finds the beats (:mod:`tinymed.applications.ecg_beats`). Without ``--data`` they learn from synthetic records;
with it from a real one with its annotations, such as MIT-BIH record 100, split by time, or from a folder of them.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

from tinymed import plots
from tinymed.applications import ecg_beats, ecg_data, ecg_rates, run
from tinymed.applications.run import Prediction, Result, Rows
from tinymed.configurable import resolve
from tinymed.datasets import ecg_files

EXAMPLES = "examples.npz"
KNOWN = ("network", "input", "answer")
"""What the model file says for prediction."""

NETWORKS: dict[str, Any] = {
    "lstm": ecg_rates.LSTM_NETWORK,
    "p4b": ecg_rates.P4B,
    "beats": ecg_beats.Beats(),
}


def train(
    *,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    backend_name: str | None = None,
    verbose: Any = "auto",
    network: str = "lstm",
) -> Result:
    """Train a network on electrocardiograms, keep its best epoch, test it, and write model, numbers and pictures.

    Args:
        data: An annotated record, or a folder of them; synthetic records if omitted.
        out: Folder for the results; ``runs/ecg``, or the next free ``runs/ecg-2`` ..., if omitted.
        seed: Decides weights, windows and synthetic records: same seed, same result.
        epochs: Passes over the training windows; the network's own number if omitted.
        batch_size: Windows in one step, likewise.
        learning_rate: Step size of Adam, likewise.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.
        network: ``"lstm"``, ``"p4b"`` or ``"beats"``.

    Raises:
        ValueError: For options or records that cannot be used, before any training; or if training diverges, as
            ``p4b`` does.
    """
    kind = resolve(network, NETWORKS, "network of the task ecg")
    settings = kind.settings.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start("ecg", settings, seed=seed, out=out, backend_name=backend_name) as job:
        if verbose:
            print(f"ecg: reading {data}" if data else "ecg: drawing synthetic records", flush=True)
        records = ecg_data.read(data, seed)
        counts = {part: len(getattr(records, part)) for part in ecg_data.PARTS}
        if verbose:
            print(_counted(records), flush=True)
        samples, validation, about = kind.training(records, seed)
        about = {"task": "ecg", "network": kind.name, **about}
        model = kind.compiled(settings)
        best = run.KeepBest(job / run.MODEL, lambda model: kind.score(model, validation, about), about)
        begin = time.perf_counter()
        try:
            history = run.fit(
                model, samples, settings, callbacks=[best], verbose=verbose, validation_data=validation
            )  # fmt: skip
        except ValueError as error:
            if kind is ecg_rates.P4B and "diverged" in str(error):
                raise ValueError(f"{error}; this is the article's network as written, --network lstm learns") from error
            raise
        training = time.perf_counter() - begin
        scores = history.pop("val_score")
        if kind.name != "beats":
            history["val_mae"] = [-score for score in scores]  # in beats/min; that of `beats` is the loss
        model, about = run.open_model(job / run.MODEL, *KNOWN)
        seen = kind.measure(model, records.test, about)
        plots.learning_curves(history, path=job / "learning_curves.png")
        kind.pictures(job, model, records.test, about, seen)
        ecg_data.example(job / EXAMPLES, records.test[0])
        numbers = {
            "network": kind.name,
            **_shown(seen),
            "best_epoch": best.epoch + 1,
            "data": records.source,
            "split": records.split,
            "records": counts,
            "seconds_training": round(training, 2),
        }
        if kind.name == "lstm":
            numbers["changed_from_p4b"] = (
                "tanh for relu; 25 steps a second of QRS strength for 250 raw samples; the mean of all states for the "
                "last one; clipnorm"
            )
        job.finish(numbers, history)
    return job.result(model)


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained model on records with annotations.

    Args:
        model: Model file, as training writes it.
        data: An annotated record, or a folder of them.
        split: ``"train"``, ``"val"`` or ``"test"``, as :func:`ecg_data.part_of` cuts them; or ``"all"``, for records
            that the model has never seen.

    Raises:
        ValueError: If a file cannot be used.
    """
    network, about = run.open_model(model, *KNOWN)
    kind = resolve(about["network"], NETWORKS, "network of the task ecg")
    records = ecg_data.part_of(ecg_files.read_all(data), split, data)
    return {"task": "ecg", "network": kind.name, **_shown(kind.measure(network, records, about))}


def predict(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
) -> list[Prediction]:
    """Tell the heart rate, or the number of beats, of records.

    Args:
        model: Model file, as training writes it.
        paths: Records, with annotations or without.
        out: Folder to write ``NAME_heart_rate.csv`` or ``NAME_beats.csv`` to.

    Raises:
        ValueError: If a record cannot be used.
    """
    network, about = run.open_model(model, *KNOWN)
    kind = resolve(about["network"], NETWORKS, "network of the task ecg")
    records = [ecg_files.read(path) for path in paths]
    folder = None if out is None else pathlib.Path(out)
    return [kind.predict(network, record, about, folder) for record in records]


def rows(numbers: dict[str, Any]) -> Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    kind = resolve(numbers["network"], NETWORKS, "network of the task ecg")
    return [("network", kind.name), *kind.rows(numbers)]


def _shown(seen: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers without the lists that are only for pictures."""
    return {key: value for key, value in seen.items() if not key.startswith("_")}


def _counted(records: ecg_data.Records) -> str:
    minutes = {part: sum(record.seconds for record in getattr(records, part)) / 60 for part in ecg_data.PARTS}
    return (
        f"{records.source}, split {records.split}: {minutes['train']:.0f} min to train on, {minutes['val']:.0f} to "
        f"choose the best epoch, {minutes['test']:.0f} to test"
    )
