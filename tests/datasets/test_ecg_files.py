"""Readers of records: real ones of PhysioNet, written ones, and everything that can be wrong with them."""

import importlib.util
import sys

import numpy as np
import pytest

from tinymed.datasets import ecg, ecg_files


@pytest.fixture
def samples(data_folder):
    if importlib.util.find_spec("wfdb") is None:
        pytest.skip("wfdb is not installed")
    return data_folder / "ecg_wfdb_samples"


def write(folder, name, first, data=b"\0\0" * 100, lead="II"):
    """Write a WFDB record of one lead, 16-bit samples at 200 to the mV."""
    (folder / f"{name}.hea").write_text(f"{first}\n{name}.dat 16 200 16 0 0 0 0 {lead}\n")
    (folder / f"{name}.dat").write_bytes(data)
    return folder / name


def test_mit_bih_record_100(samples):
    """First samples as its header says (995 and 1011 at 200 to the mV), and one mark is no beat."""
    record = ecg_files.read(samples / "100")
    assert (record.name, record.lead, record.rate) == ("100", "MLII", 360.0)
    assert record.signal.shape == (650_000,) and record.signal.dtype == np.float32
    assert record.signal[0] == pytest.approx((995 - 1024) / 200)
    assert len(record.beats) == 2273
    assert record.heart_rate == pytest.approx(75.5, abs=0.1)
    other = ecg_files.read(samples / "100.atr", lead="V5")
    assert other.lead == "V5" and other.signal[0] == pytest.approx((1011 - 1024) / 200)
    assert [found.name for found in ecg_files.read_all(samples)] == ["100"]


def test_the_beats_lie_on_the_signal(samples):
    record = ecg_files.read(samples / "100.dat")
    around = record.signal[record.beats[5:-5, None] + np.arange(-40, 41)].argmax(axis=1) - 40
    assert np.abs(np.median(around)) <= 2


def test_scipy_record_208(data_folder):
    record = ecg_files.read(data_folder / "ecg_mitbih208_scipy" / "ecg.dat")
    assert (len(record.signal), record.rate, record.beats) == (108_000, 360.0, None)
    assert np.abs(np.median(record.signal)) < 0.5
    with pytest.raises(ValueError, match=r"ecg\.dat has no annotations"):
        ecg_files.read_all(data_folder / "ecg_mitbih208_scipy" / "ecg.dat")


def test_a_record_without_annotations(samples):
    assert ecg_files.read(samples / "a103l.mat").beats is None
    with pytest.raises(ValueError, match=r"a103l has no annotations.*a103l\.atr beside it"):
        ecg_files.read_all(samples / "a103l")


def test_a_few_missing_samples_are_filled(samples):
    assert np.isfinite(ecg_files.read(samples / "v102s", lead="RESP").signal).all()


def test_npz_files_come_back(tmp_path):
    record = ecg.synthetic(1, seconds=3, seed=0)[0]
    ecg_files.save(tmp_path / "a.npz", record)
    back = ecg_files.read(tmp_path / "a.npz")
    assert np.array_equal(back.signal, record.signal) and np.array_equal(back.beats, record.beats)
    assert (back.name, back.rate, back.lead) == ("a.npz", 250.0, "synthetic")
    ecg_files.save(tmp_path / "b.npz", ecg.Record("b", record.signal, 250.0))
    assert ecg_files.read(tmp_path / "b.npz").beats is None
    assert [found.name for found in ecg_files.read_all(tmp_path)] == ["a.npz"]


def test_gaps_are_bridged_by_a_line(tmp_path):
    x = np.arange(500.0)
    x[[100, 101]] = np.nan
    np.savez(tmp_path / "a.npz", signal=x, rate=100)
    assert ecg_files.read(tmp_path / "a.npz").signal.tolist() == np.arange(500.0).tolist()


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"rate": 250}, "does not say the voltage in mV: add signal="),
        ({"signal": np.zeros(5)}, "does not say how many samples a second has: add rate="),
        ({"signal": np.zeros(0), "rate": 250}, r"the record is empty \(0 samples\)"),
        ({"signal": np.zeros(5), "rate": 0}, "rate must be positive"),
        ({"signal": np.zeros(5), "rate": [1, 2]}, "rate must be one number"),
        ({"signal": np.zeros((5, 2)), "rate": 250}, "numbers of one lead"),
        ({"signal": np.full(5, np.nan), "rate": 250}, "100% of the samples are missing"),
        ({"signal": np.zeros(5), "rate": 250, "beats": [7]}, "a beat is marked outside the record of 5 samples"),
        ({"signal": np.zeros(5), "rate": 250, "beats": np.zeros(0, int)}, "no beat is marked"),
    ],
)
def test_npz_files_that_cannot_be_used(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=rf"a\.npz.*{words}"):
        ecg_files.read(tmp_path / "a.npz")


def test_no_such_record(tmp_path):
    with pytest.raises(ValueError, match=r"100: no such record.*header 100\.hea"):
        ecg_files.read(tmp_path / "100")
    with pytest.raises(ValueError, match="no such file"):
        ecg_files.read(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"a\.npz is no \.npz file"):
        ecg_files.read(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="holds no record with annotations"):
        (tmp_path / "a.npz").unlink()
        ecg_files.read_all(tmp_path)


def test_wfdb_records_that_cannot_be_used(tmp_path, samples):
    assert len(ecg_files.read(write(tmp_path, "good", "good 1 360 100")).signal) == 100
    for name, first, data, words in (
        ("norate", "norate 1", b"\0\0" * 100, "norate.hea does not say how many samples a second has"),
        ("empty", "empty 1 360 0", b"", r"empty.hea: the record is empty \(0 samples\)"),
        ("short", "short 1 360 1000", b"\0\0" * 100, "samples that .*short.hea names are damaged"),
        ("odd", "odd one two three", b"\0\0", "odd.hea is damaged"),
    ):
        with pytest.raises(ValueError, match=words):
            ecg_files.read(write(tmp_path, name, first, data))
    (tmp_path / "blank.hea").write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"blank\.hea is empty"):
        ecg_files.read(tmp_path / "blank")
    write(tmp_path, "lost", "lost 1 360 100")
    (tmp_path / "lost.dat").unlink()
    with pytest.raises(ValueError, match=r"lost\.hea names a file that is not beside it.*lost\.dat"):
        ecg_files.read(tmp_path / "lost")
    with pytest.raises(ValueError, match="no lead 'V9'; its leads are II"):
        ecg_files.read(tmp_path / "good", lead="V9")
    (tmp_path / "good.atr").write_bytes(b"\1")
    with pytest.raises(ValueError, match=r"good\.atr is damaged"):
        ecg_files.read(tmp_path / "good")


def test_without_wfdb_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(ImportError, match=r'pip install "tinymed\[medical\]"'):
        ecg_files.read(write(tmp_path, "a", "a 1 360 100"))
