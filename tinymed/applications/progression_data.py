"""What the network for visits is given: patients in three parts, and their visits as arrays.

Everything that is learned on the way (scales, means, regressions) is learned from the patients to train on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed.configurable import resolve
from tinymed.datasets import visits as tables
from tinymed.datasets.visits import Patient, Visits
from tinymed.layers import GRU, LSTM
from tinymed.preprocessing import missing
from tinymed.preprocessing.scaling import Standardize
from tinymed.preprocessing.sequence import pad_sequences

COUNTS = {"train": 800, "val": 200, "test": 400}
"""Synthetic patients."""

SCORE = "score"
"""The column that is predicted."""

PARTS = {"train": (0.0, 0.6), "val": (0.6, 0.75), "test": (0.75, 1.0)}
"""Which part of the patients of a table is for what."""

_HELD_OUT = 2_000_000
"""Seed of the synthetic patients to test on: the same ones whatever the seed of the run."""

_MONTHS = 6.0
"""Months that the network sees as 1."""


@dataclass(frozen=True)
class Network:
    """A layer over time, and the way in which missing values are treated."""

    name: str
    layer: Any
    way: str
    indicators: bool


NETWORKS = {
    network.name: network
    for network in (
        Network("gru", GRU, "mean", True),
        Network("lstm", LSTM, "mean", True),
        Network("gru-mean", GRU, "mean", False),
        Network("gru-predicted", GRU, "predicted", False),
        Network("gru-last", GRU, "last", False),
    )
}


class Preparation:
    """Turns patients into arrays; everything that it learns, it learns from the patients it is fitted to.

    Args:
        network: Says how missing values are treated.
        columns: The measurements, the score first.
    """

    def __init__(self, network: Network, columns: tuple[str, ...]) -> None:
        self.network, self.columns = network, columns
        self.scale, self.filling = Standardize(), missing.get(network.way)

    def fit(self, patients: Visits) -> Preparation:
        """Learn scales, and what the filling needs."""
        values = np.concatenate([patient.values for patient in patients.patients])
        self.filling.fit(self.scale.fit_transform(values))
        return self

    def state(self) -> dict[str, Any]:
        """Return what was learned, as the model file keeps it."""
        kept = {key: value.tolist() for key, value in vars(self.filling).items() if isinstance(value, np.ndarray)}
        scale = {"mean": self.scale.mean.tolist(), "spread": self.scale.spread.tolist()}
        return {"columns": list(self.columns), "scale": scale, "filling": kept}

    @classmethod
    def of(cls, about: dict[str, Any]) -> Preparation:
        """Return the preparation that a model file tells of."""
        made = cls(resolve(about["network"], NETWORKS, "network of the task progression"), tuple(about["columns"]))
        made.scale = Standardize(**about["scale"])
        for key, value in about["filling"].items():
            setattr(made.filling, key, np.asarray(value))
        made.filling.columns = len(made.columns)
        return made

    def inputs(self, patient: Patient, ahead: float | None = None) -> np.ndarray:
        """Return what is known at each visit, (T, features), with the time until the next in the last column.

        Args:
            patient: The patient.
            ahead: Months from the last visit to the time that is asked for; without, the last visit is left out.
        """
        z = self.scale.transform(patient.values)
        filled = self.filling.transform(z)
        gaps = np.diff(patient.times, prepend=patient.times[0])
        until = np.append(gaps[1:], 0 if ahead is None else ahead)
        last = (last_scores(patient) - self.scale.mean[0]) / self.scale.spread[0]
        parts = [filled, missing.indicators(patient.values)] if self.network.indicators else [filled]
        x = np.column_stack([*parts, np.nan_to_num(last), gaps / _MONTHS, until / _MONTHS])
        return x.astype(np.float32) if ahead is not None else x[:-1].astype(np.float32)

    def arrays(self, patients: Visits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs (N, T, features), changes of the score until the next visit (N, T, 1), and which count (N, T).

        Those count whose next score was measured, and that come after a first measured score.
        """
        x = [self.inputs(patient) for patient in patients.patients]
        last = [last_scores(patient)[:-1] for patient in patients.patients]
        following = [patient.values[1:, 0] for patient in patients.patients]
        change = [(b - a) / self.scale.spread[0] for a, b in zip(last, following, strict=True)]
        y = pad_sequences(change, dtype="float32", padding="post", value=np.nan)
        counts = np.isfinite(y)
        return pad_sequences(x, dtype="float32", padding="post"), np.nan_to_num(y)[..., None], counts


def last_scores(patient: Patient) -> np.ndarray:
    """Return at each visit the last score measured up to then, NaN before the first."""
    score = patient.values[:, 0]
    places = np.maximum.accumulate(np.where(np.isnan(score), -1, np.arange(len(score))))
    return np.where(places < 0, np.nan, score[np.maximum(places, 0)])


def read(data: str | os.PathLike[str] | None, seed: int) -> dict[str, Visits]:
    """Draw synthetic patients, or read a table and split it by patient; no split depends on the seed.

    Raises:
        ValueError: If the table cannot be used.
    """
    if data is None:
        seeds: dict[str, Any] = {"train": [seed, 0], "val": [seed, 1], "test": [_HELD_OUT, 2]}
        return {part: tables.synthetic(n, seeds[part]) for part, n in COUNTS.items()}
    patients = read_table(data)
    parts = {part: part_of(patients, part, data) for part in PARTS}
    values = np.concatenate([patient.values for patient in parts["train"].patients])
    for name, missing_only in zip(patients.columns, np.isnan(values).all(axis=0).tolist(), strict=True):
        if missing_only:
            raise ValueError(
                f"{data}: no patient to train on has a value in the column {name!r}; take the column out of the table"
            )
    return parts


def read_table(path: str | os.PathLike[str], columns: Iterable[str] | None = None) -> Visits:
    """Read a table, the score in front of the other measurements."""
    if columns is None:
        named = tables.read_csv(path).columns
        if SCORE not in named:
            raise ValueError(
                f"{path} has no column {SCORE!r}, which is what the task predicts; it has {', '.join(named)}"
            )
        columns = [SCORE, *(name for name in named if name != SCORE)]
    return tables.read_csv(path, list(columns))


def part_of(patients: Visits, part: str, data: Any) -> Visits:
    """Return the patients that are for training, validation or test, or all.

    Raises:
        ValueError: If there is no such part, or no patient in it with two scores.
    """
    if part != "all" and part not in PARTS:
        raise ValueError(f"unknown split {part!r}; choose train, val or test, or all for patients never trained on")
    low, high = PARTS.get(part, (0.0, 1.0))
    names = sorted(range(len(patients)), key=lambda i: patients.patients[i].name)  # however the lines are sorted
    order = np.random.default_rng(0).permutation(names)
    chosen = patients.chosen(order[round(low * len(order)) : round(high * len(order))])
    usable = [patient for patient in chosen.patients if np.isfinite(patient.values[:, 0]).sum() >= 2]
    if not usable:
        raise ValueError(
            f"{data}: none of the {len(chosen)} patients for {part} has two visits with a {SCORE}; "
            "give more patients (20 or more), or more of their scores"
        )
    return Visits(patients.columns, usable)
