"""Signals prepared for a network: resampled, filtered, cut into windows (floor 3).

The first axis is time unless ``axis`` says otherwise; rates are samples in a second, frequencies are in Hz.
Filters and windows look at one record alone. What is learned from many records, such as the mean and the spread of
:class:`tinymed.preprocessing.scaling.Standardize`, is learned by ``fit`` from the training records only: learned from
all records, as D4 §4.2.1 normalises its heart rates, it would tell the network something of the test records.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np


def resample(x: Any, rate: float, new_rate: float, axis: int = 0) -> np.ndarray:
    """Return a signal with another number of samples in a second.

    What the new rate cannot hold (frequencies above half of it) is filtered out first, so that nothing is mirrored
    into what stays.

    >>> resample(np.ones(1000, dtype="float32"), 250, 50).shape
    (200,)

    Args:
        x: The signal, time along ``axis``.
        rate: Its rate.
        new_rate: The rate wanted.
        axis: The axis of time.

    Returns:
        The signal, float32 or float64 as before, of ``ceil(T * new_rate / rate)`` samples.

    Raises:
        ValueError: If a rate is not positive or the signal has no samples.
    """
    from scipy import signal

    x = _checked(x, "resample", axis)
    for name, value in (("rate", rate), ("new_rate", new_rate)):
        if not 0 < value < float("inf"):
            raise ValueError(f"resample: {name} must be positive samples in a second, got {value!r}")
    ratio = Fraction(new_rate / rate).limit_denominator(10_000)
    if ratio == 1:
        return x.copy()
    # The ends are held, not taken for zeros: a baseline of 1 mV would otherwise ring there.
    y = signal.resample_poly(x, ratio.numerator, ratio.denominator, axis=axis, padtype="line")
    return np.asarray(y, dtype=x.dtype)


def band_pass(
    x: Any, rate: float, low: float | None = None, high: float | None = None, order: int = 2, axis: int = 0
) -> np.ndarray:
    """Return a signal without frequencies below ``low`` and above ``high`` (Butterworth, run both ways: no delay).

    Args:
        x: The signal, time along ``axis``.
        rate: Its rate.
        low: Lowest frequency kept; None keeps them down to 0.
        high: Highest frequency kept; None keeps all above ``low``.
        order: Of the filter; the larger, the sharper its edge.
        axis: The axis of time.

    Raises:
        ValueError: If no frequency is kept, ``high`` is not below half the rate, or the signal is too short.
    """
    from scipy import signal

    x = _checked(x, "band_pass", axis)
    edges = [frequency for frequency in (low, high) if frequency is not None]
    if not edges or not all(0 < frequency < rate / 2 for frequency in edges) or edges != sorted(set(edges)):
        raise ValueError(
            f"band_pass keeps low to high with 0 < low < high < rate / 2 = {rate / 2:g} Hz, got low={low}, high={high}"
        )
    kind = "bandpass" if len(edges) == 2 else "lowpass" if low is None else "highpass"
    sections = signal.butter(order, edges if len(edges) == 2 else edges[0], kind, fs=rate, output="sos")
    pad = min(3 * (2 * len(sections) + 1) + round(rate / edges[0]), x.shape[axis] - 1)
    return np.asarray(signal.sosfiltfilt(sections, x, axis=axis, padlen=pad), dtype=x.dtype)


def remove_baseline(x: Any, rate: float, cutoff: float = 0.5, axis: int = 0) -> np.ndarray:
    """Return a signal without what changes more slowly than ``cutoff`` Hz, as a baseline wanders with the breath.

    Args:
        x: The signal, time along ``axis``.
        rate: Its rate.
        cutoff: Frequencies below it are taken for the baseline; a heart beats at 0.75 Hz and more.
        axis: The axis of time.
    """
    return band_pass(x, rate, low=cutoff, axis=axis)


def windows(x: Any, length: int, step: int | None = None) -> np.ndarray:
    """Cut a signal into windows of equal length; a rest that fills no window is left out.

    >>> windows(np.arange(7), 3, 2).tolist()
    [[0, 1, 2], [2, 3, 4], [4, 5, 6]]

    Args:
        x: The signal, (T,) or (T, D).
        length: Samples in a window.
        step: Samples between the starts of two windows; ``length`` if omitted, so that they lie end to end.

    Returns:
        The windows (N, length) or (N, length, D), a copy.

    Raises:
        ValueError: If the signal is shorter than one window.
    """
    x = _checked(x, "windows", 0, floating=False)
    step = length if step is None else step
    for name, value in (("length", length), ("step", step)):
        if int(value) != value or value < 1:
            raise ValueError(f"windows: {name} must be a whole number from 1, got {value!r}")
    if len(x) < length:
        raise ValueError(f"windows of {length} samples cannot be cut from a signal of {len(x)}; take shorter windows")
    starts = np.arange(0, len(x) - length + 1, step)
    return x[starts[:, None] + np.arange(length)]


def _checked(x: Any, who: str, axis: int, floating: bool = True) -> np.ndarray:
    """Return the signal as an array of floating numbers with at least one sample."""
    x = np.asarray(x)
    if x.ndim == 0 or x.shape[axis] == 0:
        raise ValueError(f"{who} got a signal of length 0; it needs at least one sample")
    if not floating:
        return x
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{who} takes real numbers, got {x.dtype}")
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{who}: the signal has values that are NaN or infinite; fill the gaps first")
    return x
