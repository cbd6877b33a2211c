"""Splits by time and by record, and what the networks see of a record."""

import numpy as np
import pytest

from tinymed.applications import ecg_data
from tinymed.datasets import ecg, ecg_files
from tinymed.preprocessing import signal


@pytest.fixture(scope="module")
def record():
    return ecg.synthetic(1, seconds=120, seed=7)[0]


def test_one_record_is_split_by_time(record, tmp_path):
    ecg_files.save(tmp_path / "a.npz", record)
    parts = ecg_data.read(tmp_path / "a.npz", seed=0)
    (train,), (val,), (test,) = parts.train, parts.val, parts.test
    assert [part.seconds for part in (train, val, test)] == pytest.approx([72, 18, 30])
    assert np.array_equal(np.concatenate([train.signal, val.signal, test.signal]), record.signal)
    assert len(train.beats) + len(val.beats) + len(test.beats) == len(record.beats)
    assert np.array_equal(test.beats + len(train.signal) + len(val.signal), record.beats[-len(test.beats) :])
    assert (parts.split, parts.source) == ("by time", "a.npz")


@pytest.mark.parametrize("count", [3, 4, 6, 9])
def test_several_records_are_split_by_record_and_the_same_way_for_every_seed(tmp_path, count):
    for i, record in enumerate(ecg.synthetic(count, seconds=20, seed=1)):
        ecg_files.save(tmp_path / f"{i}.npz", record)
    parts = ecg_data.read(tmp_path, seed=0)
    names = [[record.name for record in part] for part in (parts.train, parts.val, parts.test)]
    assert sorted(name for part in names for name in part) == [f"{i}.npz" for i in range(count)] and all(names)
    assert parts.split == "by record"
    again = ecg_data.read(tmp_path, seed=5)
    assert [record.name for record in again.test] == names[2]


def test_synthetic_records_to_test_on_do_not_depend_on_the_seed(monkeypatch):
    monkeypatch.setattr(ecg_data, "COUNTS", {"train": 2, "val": 1, "test": 2})
    first, second = ecg_data.read(None, 0), ecg_data.read(None, 1)
    assert np.array_equal(first.test[1].signal, second.test[1].signal)
    assert not np.array_equal(first.train[0].signal, second.train[0].signal)
    assert not np.array_equal(first.train[0].signal, first.val[0].signal)


def test_parts_that_cannot_be(record):
    with pytest.raises(ValueError, match="unknown split 'tests'; choose train, val or test, or all"):
        ecg_data.part_of([record], "tests", "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz: the part of record 0 for val has 4 s.*16 s at least"):
        ecg_data.part_of([record.cut(0, 30)], "val", "a.npz")
    assert ecg_data.part_of([record], "all", "a.npz") == [record]


@pytest.mark.parametrize("rate", [25.0, 50.0])
def test_the_envelope_peaks_at_the_beats_whatever_the_lead(record, rate):
    x = ecg_data.envelope(record, rate)
    assert len(x) == 120 * rate and x.std() == pytest.approx(1, abs=0.01) and x.dtype == np.float32
    steps = np.rint(record.beats / record.rate * rate).astype(int)[2:-2]
    near = x[steps[:, None] + np.arange(-1, 2)].max(axis=1)
    assert near.mean() > 2 and np.median(x) < 0.6
    turned = ecg.Record("b", 0.3 * (-record.signal) + 2, record.rate, record.beats)
    assert ecg_data.envelope(turned, rate)[50:-50] == pytest.approx(x[50:-50], abs=0.02)


def test_the_envelope_is_the_same_at_another_rate(record):
    fast = ecg.Record("b", signal.resample(record.signal, 250, 360), 360.0, record.beats * 360 // 250)
    assert np.corrcoef(ecg_data.envelope(fast, 25), ecg_data.envelope(record, 25))[0, 1] > 0.99


def test_a_silent_record_gives_zeros():
    flat = ecg.Record("flat", np.zeros(2500, "float32"), 250.0, np.array([1, 2]))
    assert not ecg_data.envelope(flat, 25).any()


def test_windows_and_their_heart_rates(record):
    (prepared,) = ecg_data.prepare([record], 25.0)
    x = ecg_data.window(prepared, 4.0)
    assert np.array_equal(x, prepared.values[100:300])
    fast = ecg_data.window(prepared, 4.0, speed=1.25)
    assert fast.shape == (200,) and fast[::4] == pytest.approx(prepared.values[100:350:5][:50], rel=5e-3, abs=5e-3)
    inside = record.beats[(record.beats >= 1000) & (record.beats < 3000)] / 250
    assert ecg_data.rate_of(prepared, 4.0) == pytest.approx(60 / np.diff(inside).mean())
    assert ecg_data.starts(prepared).tolist() == (8.0 * np.arange(15)).tolist()


def test_windows_without_beats_are_left_out():
    quiet = ecg_data.Prepared(np.zeros(600, "float32"), 25.0, np.array([1.0, 2.0, 9.0]))
    assert ecg_data.starts(quiet).tolist() == [0.0]


def test_raw_samples_are_brought_to_250_in_a_second(record):
    (prepared,) = ecg_data.prepare([record.cut(0, 10)], ecg_data.RAW)
    assert np.array_equal(prepared.values, record.signal[:2500])


def test_playing_slower_draws_no_lines_between_steps(record):
    """Values between two steps are those of the signal, not of the line between its neighbours, half a unit away."""
    (prepared,) = ecg_data.prepare([record], 25.0)
    slow = ecg_data.window(prepared, 8.0, speed=0.5)
    exact = signal.resample(prepared.values, 25.0, 50.0)[400:600]
    assert slow == pytest.approx(exact, abs=5e-3)
