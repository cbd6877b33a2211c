"""How does a disease go on? A recurrent network over the visits of a patient (D2 §5: disease prediction over time).

At every visit the network predicts the score of the next one, from all visits up to now and the time until then. What
it gives is the change against the last score that was measured; to give 0 would be to carry the last value forward,
the simplest prediction and the one to beat.

Values that were not measured are treated in one of four ways, by ``--network``:

    gru            the mean in their place, and beside each value an indicator of whether it is missing
    lstm           the same with an LSTM
    gru-mean       the mean in their place (D4 §6), and nothing that says so
    gru-predicted  predicted from the values that were measured at the same visit (D1 §4.2)
    gru-last       the last measured value carried forward

Means, regressions and scales are learned from the patients to train on.
"""

from __future__ import annotations

import csv
import io
import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinymed import files, metrics, optimizers, plots
from tinymed.applications import run
from tinymed.applications.progression_data import (
    NETWORKS,
    SCORE,
    Preparation,
    last_scores,
    part_of,
    read,
    read_table,
)
from tinymed.applications.run import Prediction, Result, Rows, Settings
from tinymed.configurable import resolve
from tinymed.datasets import visits as tables
from tinymed.datasets.visits import Patient, Visits
from tinymed.layers import GRU, Dense, Masking
from tinymed.models import Sequential
from tinymed.preprocessing.sequence import pad_sequences

EXAMPLES = "examples.csv"
KNOWN = ("network", "columns", "scale", "filling")
SETTINGS = Settings(epochs=30, batch_size=32, learning_rate=0.003)
AHEAD = 6.0
"""Months after the last visit for which ``predict`` predicts, unless a line without measurements gives the time."""

RISE = 5.0
"""A rise by so many points until the next visit is called progression."""


def build(features: int, layer: Any = GRU, units: int = 32) -> Sequential:
    """Build the network: padded visits are left out, every other gets an answer."""
    model = Sequential()
    model.add(Masking(input_shape=(None, features)))
    model.add(layer(units, return_sequences=True))
    model.add(Dense(1))
    return model


# --- train -----------------------------------------------------------------------------------------------------


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
    network: str = "gru",
) -> Result:
    """Train a network on visits, keep its best epoch, test it on other patients, and write model, numbers and pictures.

    Args:
        data: A table of visits (CSV), see :mod:`tinymed.datasets.visits`; synthetic patients if omitted.
        out: Folder for the results; ``runs/progression``, or the next free one, if omitted.
        seed: Decides weights, order and synthetic patients: same seed, same result.
        epochs: Passes over the patients to train on; the task's own number if omitted.
        batch_size: Patients in one step, likewise.
        learning_rate: Step size of Adam, likewise.
        backend_name: Array library to train on; the current one if omitted.
        verbose: As in ``fit``.
        network: A name of :data:`NETWORKS`.

    Raises:
        ValueError: For options or tables that cannot be used, before any training.
    """
    kind = resolve(network, NETWORKS, "network of the task progression")
    settings = SETTINGS.but(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    with run.start("progression", settings, seed=seed, out=out, backend_name=backend_name) as job:
        if verbose:
            print(f"progression: reading {data}" if data else "progression: drawing synthetic patients", flush=True)
        parts = read(data, seed)
        counts = {part: len(patients) for part, patients in parts.items()}
        if verbose:
            print(
                "patients: {train} to train on, {val} to choose the best epoch, {test} to test".format(**counts),
                flush=True,
            )
        preparation = Preparation(kind, parts["train"].columns).fit(parts["train"])
        x, y, weight = preparation.arrays(parts["train"])
        model = build(x.shape[2], kind.layer)
        model.compile(
            optimizer=optimizers.Adam(learning_rate=settings.learning_rate, clipnorm=1.0), loss="mean_squared_error"
        )
        validation = preparation.arrays(parts["val"])
        about = {"task": "progression", "network": kind.name, **preparation.state()}
        best = run.KeepBest(job / run.MODEL, lambda model: -_mae(model, validation, preparation), about)
        begin = time.perf_counter()
        history = run.fit(
            model,
            lambda rng: (x, y, weight.astype(np.float32)),
            settings,
            callbacks=[best],
            verbose=verbose,
            validation_data=(validation[0], validation[1], validation[2].astype(np.float32)),
        )
        training = time.perf_counter() - begin
        history["val_mae"] = [-score for score in history.pop("val_score")]
        model, _ = run.open_model(job / run.MODEL, *KNOWN)
        seen = _measure(model, preparation, parts["test"], parts["train"])
        _pictures(job, model, preparation, parts["test"], seen, history)
        tables.write_csv(job / EXAMPLES, parts["test"].chosen(range(min(20, len(parts["test"])))))
        numbers = {
            "network": kind.name,
            **_shown(seen),
            "columns": list(preparation.columns),
            "best_epoch": best.epoch + 1,
            "data": "synthetic" if data is None else os.path.basename(data),
            "patients": counts,
            "seconds_training": round(training, 2),
        }
        job.finish(numbers, history)
    return job.result(model)


def _changes(model: Any, x: np.ndarray, preparation: Preparation) -> np.ndarray:
    """Return the predicted changes of the score in points, (N, T)."""
    found = np.asarray(model.predict(x, batch_size=256, verbose=0))[..., 0].astype(float)
    return found * preparation.scale.spread[0]


def _mae(model: Any, arrays: tuple[np.ndarray, np.ndarray, np.ndarray], preparation: Preparation) -> float:
    x, y, counts = arrays
    true = y[..., 0] * preparation.scale.spread[0]
    return float(np.abs(_changes(model, x, preparation) - true)[counts].mean())


def _measure(model: Any, preparation: Preparation, patients: Visits, train: Visits | None = None) -> dict[str, Any]:
    """Return the errors in points, beside those of simpler predictions."""
    x, y, counts = preparation.arrays(patients)
    change, found = y[counts, 0] * preparation.scale.spread[0], _changes(model, x, preparation)[counts]
    last = pad_sequences(
        [last_scores(patient)[:-1] for patient in patients.patients], dtype="float64", padding="post"
    )[counts]  # fmt: skip
    rise = change >= RISE
    numbers: dict[str, Any] = {
        "mae": float(np.abs(found - change).mean()),
        "rmse": float(np.sqrt(((found - change) ** 2).mean())),
        "mae_last_value": float(np.abs(change).mean()),
        "rmse_last_value": float(np.sqrt((change**2).mean())),
        "predictions": int(counts.sum()),
        "progression_auc": metrics.roc_auc(rise, found) if 0 < rise.sum() < len(rise) else None,
        "_true": last + change,
        "_found": last + found,
        "_change": change,
        "_visits": np.broadcast_to(np.arange(1, counts.shape[1] + 1), counts.shape)[counts],
    }
    if train is not None:
        fx, fy, fcounts = preparation.arrays(train)
        numbers["mae_linear"] = float(
            np.abs(_linear(fx[fcounts], fy[fcounts], x[counts])[:, 0] * preparation.scale.spread[0] - change).mean()
        )
    return numbers


def _linear(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return what a linear regression on the visit alone, without those before it, predicts."""
    x, new = (np.column_stack([part, np.ones(len(part))]).astype(float) for part in (x, new))
    return new @ np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ y)


def _pictures(
    work: Any, model: Any, preparation: Preparation, patients: Visits, seen: dict[str, Any], history: run.History
) -> None:
    plots.learning_curves(history, path=work / "learning_curves.png")
    plots.agreement(seen["_true"], seen["_found"], path=work / "agreement.png", what="score", unit="points")
    error = {"network": np.abs(seen["_found"] - seen["_true"]), "last value": np.abs(seen["_change"])}
    plots.errors_by(error, seen["_visits"], path=work / "by_visits.png", by="visits seen so far", unit="points")
    long = sorted(patients.patients, key=lambda patient: -len(patient.times))[:6]
    drawn = []
    for patient in long:
        change = _changes(model, preparation.inputs(patient)[None], preparation)[0]
        drawn.append((patient.name, patient.times, patient.values[:, 0], last_scores(patient)[:-1] + change))
    plots.trajectories(drawn, path=work / "trajectories.png", what="score")


# --- use -------------------------------------------------------------------------------------------------------


def evaluate(model: str | os.PathLike[str], data: str | os.PathLike[str], split: str = "test") -> dict[str, Any]:
    """Test a trained model on a table of visits.

    Args:
        model: Model file, as training writes it.
        data: The table (CSV).
        split: ``"train"``, ``"val"`` or ``"test"`` of the table; ``"all"`` if the model has seen none of its patients.

    Raises:
        ValueError: If a file cannot be used.
    """
    network, about = run.open_model(model, *KNOWN)
    preparation = Preparation.of(about)
    patients = part_of(read_table(data, preparation.columns), split, data)
    numbers = _shown(_measure(network, preparation, patients))
    return {"task": "progression", "network": about["network"], **numbers}


def predict(
    model: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
) -> list[Prediction]:
    """Tell the next score of every patient of a table, six months after the last visit.

    Where the last line of a patient has a time and no measurement, that time is the one that is asked for.

    Args:
        model: Model file, as training writes it.
        paths: Tables (CSV), as for training.
        out: Folder to write ``NAME_predicted.csv`` to.

    Raises:
        ValueError: If a table cannot be used.
    """
    network, about = run.open_model(model, *KNOWN)
    preparation = Preparation.of(about)
    found = []
    for path in paths:
        lines = []
        for patient in read_table(path, preparation.columns).patients:
            patient, ahead = _question(patient)
            last = last_scores(patient)[-1] if len(patient.times) else np.nan
            if np.isnan(last):
                raise ValueError(f"{path}: patient {patient.name} has no measured {SCORE}; leave the patient out")
            change = _changes(network, preparation.inputs(patient, ahead)[None], preparation)[0, -1]
            score = float(last + change)
            cells = (f"last {last:.1f}", f"in {ahead:g} months {score:.1f}")
            found.append(Prediction(patient.name, cells, {"score": score, "last": float(last), "ahead": ahead}))
            lines.append((patient.name, f"{patient.times[-1] + ahead:g}", f"{last:g}", f"{score:.2f}"))
        if out is not None:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerows([("patient", "time", "last_score", "predicted_score"), *lines])
            files.write_text(pathlib.Path(out) / f"{pathlib.Path(path).stem}_predicted.csv", text.getvalue())
    return found


def _question(patient: Patient) -> tuple[Patient, float]:
    """Return the visits with measurements, and the months from the last to the time that is asked for."""
    if len(patient.times) > 1 and np.isnan(patient.values[-1]).all():
        rest = Patient(patient.name, patient.times[:-1], patient.values[:-1])
        return rest, float(patient.times[-1] - patient.times[-2])
    return patient, AHEAD


def rows(numbers: dict[str, Any]) -> Rows:
    """Return the lines of the table that shows the numbers of an evaluation."""
    less = 1 - numbers["mae"] / numbers["mae_last_value"]
    lines = [
        ("network", numbers["network"]),
        ("predictions", str(numbers["predictions"])),
        ("mean absolute error", f"{numbers['mae']:.2f} points"),
        ("last value carried forward", f"{numbers['mae_last_value']:.2f} points"),
        ("less by", f"{less:.1%}"),
    ]
    if "mae_linear" in numbers:
        lines.append(("linear, this visit only", f"{numbers['mae_linear']:.2f} points"))
    auc = numbers["progression_auc"]
    lines.append((f"AUC for a rise by {RISE:g} points", "-" if auc is None else f"{auc:.3f}"))
    return lines


def _shown(seen: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers without the lists that are only for pictures."""
    return {key: value for key, value in seen.items() if not key.startswith("_")}
