"""Patients seen again and again: synthetic visits, and a reader of tables (CSV).

A table has one line for each visit, in any order: ``patient`` (any name), ``time`` (in months, from any day on) and
one column for each measurement; an empty cell is a value that was not measured.

    patient,time,score,volume,protein,pressure,treated
    p1,0,21.5,88.1,,131,0
    p1,4.2,,86.9,1.7,,0

Synthetic patients have a hidden severity that rises, faster with much protein and high pressure, more slowly under
treatment. The score measures it with an error, and the volume shows half a year earlier where it goes. Visits are
irregular, and every third value or so is missing.

>>> patients = synthetic(2, seed=1)
>>> patients.columns
('score', 'volume', 'protein', 'pressure', 'treated')
>>> patients.patients[0].values.shape[1]
5
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed import files
from tinymed.datasets import medmnist

COLUMNS = ("score", "volume", "protein", "pressure", "treated")

MISSING = (0.10, 0.45, 0.35, 0.15, 0.0)
"""The part of each column that was not measured."""

_EARLY = 6.0
"""Months by which the volume is ahead of the score."""


@dataclass(frozen=True)
class Patient:
    """One patient's visits.

    Attributes:
        name: Any name.
        times: When the visits were, in months, rising, (T,).
        values: What was measured, NaN where it was not, (T, D).
    """

    name: str
    times: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Visits:
    """Patients, and what their measurements are called."""

    columns: tuple[str, ...]
    patients: list[Patient]

    def __len__(self) -> int:
        return len(self.patients)

    def chosen(self, places: Any) -> Visits:
        """Return the patients at these places."""
        return Visits(self.columns, [self.patients[i] for i in places])


# --- synthetic -------------------------------------------------------------------------------------------------


def synthetic(n: int, seed: int | Sequence[int] = 0) -> Visits:
    """Draw patients of 4 to 12 visits; the first patients of a larger draw with the same seed are the same ones.

    Args:
        n: How many patients.
        seed: Which patients; different seeds share none.

    Raises:
        ValueError: If ``n`` is not positive.
    """
    if n < 1:
        raise ValueError(f"n, the number of patients, must be at least 1, got {n}")
    seeds = [seed] if isinstance(seed, int | np.integer) else list(seed)
    return Visits(COLUMNS, [_draw(np.random.default_rng([*seeds, i]), f"p{i + 1}") for i in range(n)])


def _draw(rng: np.random.Generator, name: str) -> Patient:
    """Draw one patient: when the visits are, how the disease goes, and what is measured of it."""
    count = int(rng.integers(4, 13))
    gaps = np.clip(rng.gamma(2.5, 2.0, count), 1.0, 18.0)
    gaps[0] = 0
    times = np.round(np.cumsum(gaps), 1)
    protein, pressure = rng.standard_normal(2)
    starts = rng.uniform(0, times[-1]) if rng.random() < 0.5 else math.inf  # treatment, for half of them
    start, own = rng.uniform(5, 50), rng.normal(0, 0.3)
    months = np.arange(0, times[-1] + _EARLY + 1, 0.25)
    speed = 0.45 * np.exp(0.7 * protein + 0.35 * pressure + own - 1.0 * (months >= starts))  # points a month
    severity = 100 - (100 - start) * np.exp(-np.cumsum(speed) * 0.25 / 70)  # ever more slowly towards 100
    now, later = (np.interp(times + ahead, months, severity) for ahead in (0.0, _EARLY))
    values = np.column_stack([
        np.clip(now + rng.normal(0, 2.5, count), 0, 100),
        100 - 0.6 * later + rng.normal(0, 1.2, count),
        np.exp(0.5 + 0.6 * protein + rng.normal(0, 0.15, count)),
        135 + 14 * pressure + rng.normal(0, 6, count),
        times >= starts,
    ])  # fmt: skip
    values = np.round(values, 2)
    values[rng.random(values.shape) < MISSING] = np.nan
    return Patient(name, times, values)


# --- tables ----------------------------------------------------------------------------------------------------


def read_csv(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Visits:
    """Read a table of visits.

    Args:
        path: The file.
        columns: Measurements that it must have, in this order; all that it has if omitted.

    Returns:
        The patients, in the order of their first lines, each with the visits in the order of time.

    Raises:
        ValueError: If the file is missing, or a column or a value cannot be used; the message names the line.
    """
    medmnist.can_be_read(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table in text form ({error}); save it as CSV in UTF-8") from error
    head = [cell.strip() for cell in lines[0]] if lines else []
    for name in ("patient", "time"):
        if name not in head:
            raise ValueError(f"{path}: line 1 must name the columns, patient and time among them; found {head}")
    if len(set(head)) < len(head):
        raise ValueError(f"{path}: two columns have the same name in line 1: {head}")
    taken = tuple(name for name in head if name not in ("patient", "time")) if columns is None else tuple(columns)
    for name in taken:
        if name not in head:
            raise ValueError(f"{path} has no column {name!r}; add it, with empty cells where it was not measured")
    if not taken or len(lines) < 2:
        raise ValueError(f"{path} has no {'visits' if taken else 'measurements'}: give a line for each visit")
    rows: dict[str, list[list[float]]] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(head):
            raise ValueError(f"{path}, line {number}: {len(line)} cells but {len(head)} columns")
        cells = dict(zip(head, line, strict=True))
        time = _number(cells["time"], f"{path}, line {number}, time")
        if not cells["patient"].strip() or math.isnan(time):
            raise ValueError(f"{path}, line {number}: patient and time must not be empty")
        values = [_number(cells[name], f"{path}, line {number}, {name}") for name in taken]
        rows.setdefault(cells["patient"].strip(), []).append([time, *values])
    return Visits(taken, [_patient(path, name, np.array(visits)) for name, visits in rows.items()])


def _patient(path: Any, name: str, visits: np.ndarray) -> Patient:
    visits = visits[np.argsort(visits[:, 0], kind="stable")]
    if (np.diff(visits[:, 0]) <= 0).any():
        raise ValueError(f"{path}: patient {name} has two visits at the same time; join their lines")
    return Patient(name, visits[:, 0], visits[:, 1:])


def _number(cell: str, where: str) -> float:
    """Return the number in a cell, NaN if it is empty."""
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise ValueError(f"{where}: {cell!r} is no number; leave the cell empty if it was not measured")
    return value


def write_csv(path: files.PathLike, visits: Visits) -> None:
    """Write a table that :func:`read_csv` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", "time", *visits.columns])
    for patient in visits.patients:
        for time, values in zip(patient.times, patient.values, strict=True):
            cells = ["" if np.isnan(value) else f"{value:g}" for value in values]
            writer.writerow([patient.name, f"{time:g}", *cells])
    files.write_text(path, text.getvalue())
