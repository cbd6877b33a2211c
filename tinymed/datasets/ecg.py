"""Electrocardiograms: one lead of a record with its beats, and synthetic records whose beats are known.

A synthetic record is a sum of Gaussians, five for each beat (P, Q, R, S and T), at intervals that vary as a heart's
do, with noise, hum and a wandering baseline on top. Everything is drawn from the seed, without any download.

>>> record = synthetic(1, seconds=10, seed=4)[0]
>>> record.rate, record.signal.shape, record.signal.dtype
(250.0, (2500,), dtype('float32'))
>>> len(record.beats), round(record.heart_rate)
(27, 162)

Real records are read by :mod:`tinymed.datasets.ecg_files`. The Gaussian beat follows McSharry et al., IEEE Trans.
Biomed. Eng. 50, 2003 (10.1109/TBME.2003.808805).
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RATE = 250.0
"""Samples in a second of a synthetic record."""

SLOWEST, FASTEST = 45.0, 170.0
"""Beats in a minute between which synthetic hearts beat."""

_WAVES = np.array([
    # time from R in s at an interval of 1 s, standard deviation in s, amplitude in mV
    (-0.180, 0.024, 0.12),  # P
    (-0.032, 0.009, -0.12),  # Q
    (0.000, 0.011, 1.10),  # R
    (0.034, 0.010, -0.22),  # S
    (0.290, 0.048, 0.28),  # T
])  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One lead of an electrocardiogram.

    Attributes:
        name: The file's name, or a number.
        signal: The voltage in mV, (T,), float32.
        rate: Samples in a second.
        beats: The samples at which the beats' R waves peak, in order, int64; None if nobody has marked them.
        lead: Name of the lead.
    """

    name: str
    signal: np.ndarray
    rate: float
    beats: np.ndarray | None = None
    lead: str = "II"

    @property
    def seconds(self) -> float:
        """How long the record is."""
        return len(self.signal) / self.rate

    @property
    def heart_rate(self) -> float:
        """Beats in a minute: 60 divided by the mean interval between the beats."""
        return heart_rate(self.marked() / self.rate)

    def marked(self) -> np.ndarray:
        """Return the beats.

        Raises:
            ValueError: If they are not known.
        """
        if self.beats is None:
            raise ValueError(
                f"{self.name} has no annotations: nobody has marked its beats, so it can be predicted on but neither "
                f"trained nor tested with; put the annotations {pathlib.Path(self.name).stem}.atr beside it"
            )
        return self.beats

    def cut(self, start: float, end: float) -> Record:
        """Return the part between two times in seconds."""
        first, last = (round(min(max(time, 0.0), self.seconds) * self.rate) for time in (start, end))
        beats = self.beats
        if beats is not None:
            beats = beats[(beats >= first) & (beats < last)] - first
        return Record(self.name, self.signal[first:last], self.rate, beats, self.lead)


def heart_rate(times: Any) -> float:
    """Return the beats in a minute of beats at these times in seconds, NaN if there are fewer than two.

    >>> heart_rate([0.1, 0.9, 1.9])
    66.66666666666667
    """
    times = np.asarray(times, dtype=float)
    return float(60 * (len(times) - 1) / (times[-1] - times[0])) if len(times) > 1 else float("nan")


# --- synthetic records -----------------------------------------------------------------------------------------


def synthetic(n: int, seconds: float = 30.0, rate: float = RATE, seed: int | Sequence[int] = 0) -> list[Record]:
    """Draw records, each of another heart; the mean heart rates are spread evenly over 45 to 170 beats in a minute.

    The first records of a larger draw with the same seed are the same records.

    Args:
        n: How many records.
        seconds: Length of each.
        rate: Samples in a second.
        seed: Which records; different seeds share none.

    Raises:
        ValueError: If there are no records or samples to draw, or too few samples in a second for an R wave.
    """
    if n < 1:
        raise ValueError(f"n, the number of records, must be at least 1, got {n}")
    if not seconds > 0:
        raise ValueError(f"seconds, the length of a record, must be positive, got {seconds}")
    if not rate >= 50:
        raise ValueError(f"rate must be at least 50 samples in a second, or R waves fall between them, got {rate}")
    seeds = [seed] if isinstance(seed, int | np.integer) else list(seed)
    return [_draw(np.random.default_rng([*seeds, i]), f"record {i}", seconds, float(rate)) for i in range(n)]


def _draw(rng: np.random.Generator, name: str, seconds: float, rate: float) -> Record:
    """Draw one record: when the heart beats, what a beat looks like, and what the recorder adds."""
    length = round(seconds * rate)
    times, intervals = _beat_times(rng, seconds)
    signal = _beats(rng, times, intervals, length, rate) * rng.uniform(0.5, 1.6)  # where the electrodes lie
    signal += _disturbance(rng, length, rate)
    beats = np.rint(times * rate).astype(np.int64)
    inside = (beats >= 0) & (beats < length)
    return Record(name, signal.astype(np.float32), rate, beats[inside], "synthetic")


def _beat_times(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return when the beats are, from before the record to after it, and the interval before each."""
    mean = rng.uniform(SLOWEST, FASTEST)
    breath, breathing = rng.uniform(0.0, 0.05), rng.uniform(0.15, 0.35)
    drift, drifting = rng.uniform(0.0, 0.08), rng.uniform(0.01, 0.05)
    phases = rng.uniform(0, 2 * np.pi, 2)
    premature = rng.choice([0.0, 0.0, 0.06])  # a third of the hearts have beats that come too early
    times, intervals = [-2.0 + rng.uniform(0, 1)], [60 / mean]
    early = False
    while times[-1] < seconds + 2:
        swing = breath * np.sin(2 * np.pi * breathing * times[-1] + phases[0])
        swing += drift * np.sin(2 * np.pi * drifting * times[-1] + phases[1])
        interval = 60 / np.clip(mean * (1 + swing + 0.01 * rng.standard_normal()), SLOWEST, FASTEST)
        if early:  # after a beat that came too early the heart pauses
            interval, early = 1.3 * interval, False
        elif rng.random() < premature:
            interval, early = 0.7 * interval, True
        times.append(times[-1] + interval)
        intervals.append(interval)
    return np.asarray(times), np.asarray(intervals)


def _beats(rng: np.random.Generator, times: np.ndarray, intervals: np.ndarray, length: int, rate: float) -> np.ndarray:
    """Return the sum of the waves of all beats, each (length,)."""
    place, width, height = (_WAVES * rng.uniform(0.8, 1.25, _WAVES.shape)).T
    height = height * np.array([rng.uniform(0, 1.3), rng.uniform(0, 2), 1, rng.uniform(0, 2.5), rng.uniform(-0.4, 1.5)])
    pace = np.sqrt(np.clip(intervals, 0.3, 1.4))[:, None]  # Bazett: P and T move with the root of the interval
    stretch = np.where(np.arange(5) % 4 == 0, pace, 1.0)
    centre = times[:, None] + place * stretch  # (beats, 5), s
    size = height * (1 + 0.05 * rng.standard_normal(centre.shape))
    signal = np.zeros(length)
    reach = np.arange(-round(0.3 * rate), round(0.3 * rate) + 1)
    near = np.rint(centre * rate).astype(int)[:, :, None] + reach  # (beats, 5, samples)
    waves = size[..., None] * np.exp(-0.5 * ((near / rate - centre[..., None]) / (width * stretch)[..., None]) ** 2)
    inside = (near >= 0) & (near < length)
    np.add.at(signal, near[inside], waves[inside])
    return signal


def _disturbance(rng: np.random.Generator, length: int, rate: float) -> np.ndarray:
    """Return what the recorder adds: noise, hum of the mains, and a baseline that wanders with the breath."""
    time = np.arange(length) / rate
    noise = rng.uniform(0.005, 0.06) * rng.standard_normal(length)
    hum = rng.uniform(0, 0.03) * np.sin(2 * np.pi * 50 * time + rng.uniform(0, 6))
    baseline = sum(
        rng.uniform(0, 0.2) * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6))
        for frequency in rng.uniform(0.03, 0.45, 4)
    )
    return noise + hum + baseline + rng.uniform(-0.3, 0.3)
