"""Synthetic records: their beats are where the signal peaks, their rates spread over the whole range."""

import numpy as np
import pytest

from tinymed.datasets import ecg
from tinymed.preprocessing import signal


def test_beats_are_where_the_r_waves_peak():
    for record in ecg.synthetic(12, seconds=10, seed=1):
        sharp = signal.band_pass(record.signal, record.rate, 8, 40)
        inner = record.beats[(record.beats > 50) & (record.beats < 2450)]
        around = np.abs(sharp)[inner[:, None] + np.arange(-20, 21)].argmax(axis=1) - 20
        assert np.abs(np.median(around)) <= 2  # 8 ms
        elsewhere = np.ones(2500, dtype=bool)
        elsewhere[(record.beats[:, None] + np.arange(-30, 31)).clip(0, 2499)] = False
        assert np.abs(sharp[inner]).mean() > 3 * np.abs(sharp[elsewhere]).mean()


def test_heart_rates_spread_and_vary():
    records = ecg.synthetic(80, seconds=30, seed=2)
    rates = np.array([record.heart_rate for record in records])
    assert rates.min() < 55 and rates.max() > 155 and rates.min() > 44 and rates.max() < 172
    assert np.histogram(rates, bins=5, range=(45, 170))[0].min() >= 8
    variation = [np.std(np.diff(record.beats)) / np.mean(np.diff(record.beats)) for record in records]
    assert 0.005 < np.median(variation) < 0.15


def test_the_same_seed_gives_the_same_records():
    few, many, other = ecg.synthetic(2, 5, seed=3), ecg.synthetic(4, 5, seed=3), ecg.synthetic(2, 5, seed=4)
    assert np.array_equal(few[1].signal, many[1].signal) and np.array_equal(few[1].beats, many[1].beats)
    assert not np.array_equal(few[0].signal, other[0].signal)
    assert not np.array_equal(many[0].signal, many[1].signal)
    assert np.array_equal(ecg.synthetic(1, 5, seed=[3])[0].signal, few[0].signal)
    assert not np.array_equal(ecg.synthetic(1, 5, seed=[3, 1])[0].signal, few[0].signal)


def test_another_rate():
    record = ecg.synthetic(1, seconds=4, rate=100, seed=1)[0]
    assert record.signal.shape == (400,) and record.rate == 100 and record.seconds == 4


def test_heart_rate():
    assert ecg.heart_rate([1.0, 2.0, 3.0]) == 60
    assert np.isnan(ecg.heart_rate([1.0])) and np.isnan(ecg.heart_rate([]))
    assert ecg.Record("a", np.zeros(300, "float32"), 100.0, np.array([50, 100, 150])).heart_rate == 120


def test_cutting():
    record = ecg.Record("a", np.arange(1000, dtype="float32"), 100.0, np.array([50, 200, 399, 400]), "II")
    part = record.cut(2, 4)
    assert part.signal[0] == 200 and len(part.signal) == 200 and part.beats.tolist() == [0, 199]
    assert (part.rate, part.lead, part.name) == (100.0, "II", "a")
    assert len(record.cut(9, 99).signal) == 100 and len(record.cut(-1, 1).signal) == 100
    assert ecg.Record("b", np.zeros(10, "float32"), 10.0).cut(0, 1).beats is None


def test_what_cannot_be_drawn_or_used_is_said():
    for arguments, words in (
        ((0,), "n, the number of records"),
        ((1, 0), "must be positive"),
        ((1, 5, 20), "at least 50"),
    ):
        with pytest.raises(ValueError, match=words):
            ecg.synthetic(*arguments)
    with pytest.raises(ValueError, match=r"208 has no annotations.*208\.atr"):
        ecg.Record("208", np.zeros(10, "float32"), 360.0).marked()
