"""What the networks for electrocardiograms are given: records in three parts, and the signal in a form that they learn.

The form is that of the classical beat detectors (Pan & Tompkins, IEEE Trans. Biomed. Eng. 32, 1985): the frequencies of
the QRS complex, 5 to 25 Hz, without their sign. It is nearly the same for every lead and polarity, free of baseline and
hum, and so slow that few samples a second hold it.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymed.datasets import ecg, ecg_files
from tinymed.datasets.ecg import Record
from tinymed.preprocessing import signal

SECONDS = 8.0
"""Length of a window: 2000 samples, as D4 §4.2.1 cuts them, at 250 in a second."""

RAW = 250.0
"""Samples in a second of raw signal, to which all records are brought first."""

BAND = (5.0, 25.0)
"""Frequencies of the QRS complex, in Hz."""

COUNTS = {"train": 400, "val": 60, "test": 100}
"""Synthetic records of 30 seconds."""

PARTS = {"train": (0.0, 0.6), "val": (0.6, 0.75), "test": (0.75, 1.0)}
"""Which part of the time, or of the records, is for what."""

_FINE = 4

_HELD_OUT = 2_000_000
"""Seed of the synthetic records to test on: the same ones whatever the seed of the run."""


@dataclass(frozen=True)
class Records:
    """Records, or parts of one, to train on, to choose the best epoch, and to test.

    Attributes:
        train, val, test: The records.
        source: Where they come from.
        split: How they were split, in words.
    """

    train: list[Record]
    val: list[Record]
    test: list[Record]
    source: str
    split: str


def read(data: str | os.PathLike[str] | None, seed: int) -> Records:
    """Draw synthetic records, or read real ones and split them.

    Args:
        data: A record, which is split by time (the first 60 % to train, the last 25 % to test); or a folder with three
            or more annotated records, which are split by record. Synthetic if None.
        seed: Of the synthetic records to train on and to choose with; no split depends on it.

    Raises:
        ValueError: If the records cannot be used.
    """
    if data is None:
        seeds: dict[str, Any] = {"train": [seed, 0], "val": [seed, 1], "test": [_HELD_OUT, 2]}
        drawn = [ecg.synthetic(n, seed=seeds[part]) for part, n in COUNTS.items()]
        return Records(drawn[0], drawn[1], drawn[2], "synthetic", "by record")
    records = ecg_files.read_all(data)
    parts = [part_of(records, part, data) for part in PARTS]
    return Records(parts[0], parts[1], parts[2], os.path.basename(data), "by time" if len(records) < 3 else "by record")


def part_of(records: Sequence[Record], part: str, data: Any) -> list[Record]:
    """Return the records, or the part of each, that are for training, validation or test; ``"all"`` for all of them.

    Raises:
        ValueError: If there is no such part, or too little for it.
    """
    if part == "all":
        return list(records)
    if part not in PARTS:
        raise ValueError(f"unknown split {part!r}; choose train, val or test, or all for records never trained on")
    low, high = PARTS[part]
    if (count := len(records)) >= 3:
        order = np.random.default_rng(0).permutation(count)  # one order for all seeds
        val = min(max(round(PARTS["val"][0] * count), 1), count - 2)  # each part gets one record at least
        test = min(max(round(PARTS["test"][0] * count), val + 1), count - 1)
        first, last = {"train": (0, val), "val": (val, test), "test": (test, count)}[part]
        chosen = [records[i] for i in sorted(order[first:last])]
    else:
        chosen = [record.cut(low * record.seconds, high * record.seconds) for record in records]
    for record in chosen:
        if record.seconds < 2 * SECONDS or len(record.marked()) < 4:
            raise ValueError(
                f"{data}: the part of {record.name} for {part} has {record.seconds:.0f} s and {len(record.marked())} "
                f"beats; it needs {2 * SECONDS:g} s at least, so give records of two minutes or more, or several"
            )
    return chosen


# --- what the networks see -------------------------------------------------------------------------------------


def raw(record: Record) -> np.ndarray:
    """Return the signal as it is, in mV, at 250 samples in a second, (T,), float32."""
    return signal.resample(record.signal, record.rate, RAW)


def envelope(record: Record, rate: float) -> np.ndarray:
    """Return the strength of the QRS frequencies, at ``rate`` samples in a second, of spread 1, (T,), float32."""
    x = record.signal if record.rate == RAW else raw(record)
    x = signal.resample(np.abs(signal.band_pass(x, RAW, *BAND)), RAW, rate)
    return x / max(float(x.std()), 1e-6)  # of one record, so nothing is learned from others


@dataclass(frozen=True)
class Prepared:
    """One record as a network sees it: values at ``rate`` steps in a second, and the times of its beats in seconds."""

    values: np.ndarray
    rate: float
    beats: np.ndarray

    @functools.cached_property
    def fine(self) -> np.ndarray:
        """The same values at four times as many steps, so that lines drawn between them cut off no peaks."""
        return signal.resample(self.values, self.rate, _FINE * self.rate)


def prepare(records: Sequence[Record], rate: float) -> list[Prepared]:
    """Return the records as networks see them: raw at 250 steps in a second, the envelope at any other number."""
    return [
        Prepared(raw(record) if rate == RAW else envelope(record, rate), rate, record.marked() / record.rate)
        for record in records
    ]


def window(record: Prepared, start: float, seconds: float = SECONDS, speed: float = 1.0) -> np.ndarray:
    """Return the values from ``start`` on, (T,); with another speed, as if the heart beat that much faster."""
    length = round(seconds * record.rate)
    if speed == 1:
        first = round(start * record.rate)
        return record.values[first : first + length]
    places = _FINE * (start * record.rate + speed * np.arange(length))
    return np.interp(places, np.arange(len(record.fine)), record.fine).astype(np.float32)


def starts(record: Prepared, seconds: float = SECONDS) -> np.ndarray:
    """Return where windows that lie end to end begin, in seconds; those with fewer than two beats are left out."""
    count = int(len(record.values) / record.rate / seconds + 1e-6)
    return np.array([start for start in seconds * np.arange(count) if not np.isnan(rate_of(record, start, seconds))])


def rate_of(record: Prepared, start: float, seconds: float = SECONDS) -> float:
    """Return the heart rate in a window, NaN with fewer than two beats."""
    inside = record.beats[(record.beats >= start) & (record.beats < start + seconds)]
    return ecg.heart_rate(inside)


def example(path: pathlib.Path, record: Record) -> None:
    """Write a record to try the model on; at most one minute of it."""
    ecg_files.save(path, record.cut(0, 60))
