"""Signals: a tone keeps its height or goes, windows lie where they should."""

import numpy as np
import pytest

from tinymed.preprocessing import signal

RATE = 250.0
TIME = np.arange(2500) / RATE


def tone(frequency, rate=RATE, seconds=10):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def height(x):
    """Amplitude of a tone, from its middle part: the ends of a filtered signal are less exact."""
    middle = x[len(x) // 4 : -len(x) // 4]
    return np.sqrt(2) * np.std(middle)


@pytest.mark.parametrize("new", [50.0, 100.0, 360.0, 25.0])
def test_resampling_keeps_what_the_new_rate_can_hold(new):
    y = signal.resample(tone(3), RATE, new)
    assert len(y) == round(10 * new)
    inner = slice(len(y) // 10, -len(y) // 10)
    assert y[inner] == pytest.approx(tone(3, new)[inner], abs=0.02)


def test_resampling_mirrors_nothing():
    """At 50 samples a second a tone of 40 Hz would look like one of 10 Hz; plain thinning shows that."""
    x = tone(40)
    assert height(x[::5]) > 0.9
    assert height(signal.resample(x, RATE, 50)) < 0.01


def test_resampling_holds_a_level_and_the_dtype():
    y = signal.resample(np.full(1000, 5, dtype="float32"), 250, 50)
    assert y.dtype == np.float32 and y == pytest.approx(5, abs=1e-3)
    x = np.arange(10.0)
    same = signal.resample(x, 100, 100)
    assert np.array_equal(same, x) and not np.shares_memory(same, x)


def test_resampling_of_several_leads():
    x = np.stack([tone(3), tone(5)], axis=1)
    y = signal.resample(x, RATE, 100)
    assert y.shape == (1000, 2)
    assert np.allclose(signal.resample(x.T, RATE, 100, axis=1), y.T)


@pytest.mark.parametrize(
    "low, high, stays, goes", [(5, 20, 10, (0.5, 80)), (None, 20, 2, (80,)), (5, None, 50, (0.5,))]
)
def test_band_pass(low, high, stays, goes):
    assert height(signal.band_pass(tone(stays), RATE, low, high)) == pytest.approx(1, abs=0.05)
    for frequency in goes:
        assert height(signal.band_pass(tone(frequency), RATE, low, high)) < 0.03


def test_band_pass_has_no_delay():
    x = np.exp(-0.5 * ((TIME - 5) / 0.01) ** 2)
    assert np.argmax(signal.band_pass(x, RATE, 1, 30)) == np.argmax(x)


def test_the_baseline_goes_and_the_beats_stay():
    beats = np.exp(-0.5 * ((TIME % 0.8 - 0.4) / 0.02) ** 2)
    wandering = beats + 2 * tone(0.08) + 1
    flat = signal.remove_baseline(wandering, RATE)
    assert np.median(flat[500:2000]) == pytest.approx(0, abs=0.1)
    peaks = flat[100::200]  # at 0.4 s and every 0.8 s
    assert np.ptp(peaks[2:-2]) < 0.1 and peaks[5] > 0.8


def test_windows():
    x = np.arange(10)
    assert signal.windows(x, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert signal.windows(x, 4, 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert signal.windows(np.zeros((10, 2)), 5).shape == (2, 5, 2)
    cut = signal.windows(x, 10)
    cut[0, 0] = 7
    assert x[0] == 0


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: signal.resample([], 250, 50), "signal of length 0"),
        (lambda: signal.resample([1.0], 0, 50), "rate must be positive"),
        (lambda: signal.resample([1.0, np.nan], 250, 50), "NaN"),
        (lambda: signal.resample(["a"], 250, 50), "real numbers"),
        (lambda: signal.band_pass(TIME, 250), "low=None, high=None"),
        (lambda: signal.band_pass(TIME, 250, 20, 5), "0 < low < high"),
        (lambda: signal.band_pass(TIME, 250, high=125), "rate / 2 = 125"),
        (lambda: signal.windows(np.arange(3), 4), "4 samples cannot be cut from a signal of 3"),
        (lambda: signal.windows(np.arange(3), 0), "length must be a whole number from 1"),
        (lambda: signal.windows(np.arange(3), 1, 1.5), "step must be"),
    ],
)
def test_what_cannot_be_used_is_said(call, words):
    with pytest.raises(ValueError, match=words):
        call()
