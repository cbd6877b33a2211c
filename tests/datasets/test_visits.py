"""Synthetic patients, and tables of visits with everything that can be wrong in one."""

import numpy as np
import pytest

from tinymed.datasets import visits


def test_synthetic_patients():
    drawn = visits.synthetic(200, seed=1)
    assert drawn.columns == visits.COLUMNS and len(drawn) == 200
    values = np.concatenate([patient.values for patient in drawn.patients])
    assert np.isnan(values).mean(axis=0) == pytest.approx(visits.MISSING, abs=0.03)
    score = values[:, 0]
    assert np.nanmin(score) >= 0 and np.nanmax(score) <= 100
    assert set(np.unique(values[:, 4])) == {0.0, 1.0}
    for patient in drawn.patients:
        assert 4 <= len(patient.times) <= 12 and patient.times[0] == 0
        assert (np.diff(patient.times) > 0.89).all() and len(patient.values) == len(patient.times)


def test_the_score_rises_and_the_other_measurements_tell_how_fast():
    rises, proteins = [], []
    for patient in visits.synthetic(300, seed=2).patients:
        known = np.isfinite(patient.values[:, 0])
        if known.sum() > 2 and np.isfinite(patient.values[:, 2]).any():
            span = np.polyfit(patient.times[known], patient.values[known, 0], 1)
            rises.append(span[0])
            proteins.append(np.nanmean(np.log(patient.values[:, 2])))
    assert np.mean(rises) > 0.2
    assert np.corrcoef(rises, proteins)[0, 1] > 0.4


def test_the_same_seed_gives_the_same_patients():
    few, many = visits.synthetic(2, seed=3), visits.synthetic(4, seed=3)
    assert np.array_equal(few.patients[1].values, many.patients[1].values, equal_nan=True)
    assert not np.array_equal(few.patients[0].times, visits.synthetic(1, seed=4).patients[0].times)
    assert [patient.name for patient in many.chosen([2, 0]).patients] == ["p3", "p1"]
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        visits.synthetic(0)


def test_tables_come_back(tmp_path):
    drawn = visits.synthetic(5, seed=1)
    visits.write_csv(tmp_path / "a.csv", drawn)
    back = visits.read_csv(tmp_path / "a.csv")
    assert back.columns == drawn.columns
    for a, b in zip(drawn.patients, back.patients, strict=True):
        assert a.name == b.name and np.allclose(a.times, b.times)
        assert np.allclose(a.values, b.values, equal_nan=True)


def test_lines_in_any_order_and_columns_by_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time, score ,patient,x\n3,30,b,1\n2,,a,2\n\n1,10,a,\n", encoding="utf-8-sig")
    found = visits.read_csv(path, ["x", "score"])
    assert found.columns == ("x", "score")
    assert [patient.name for patient in found.patients] == ["b", "a"]
    assert found.patients[1].times.tolist() == [1, 2]
    assert np.array_equal(found.patients[1].values, [[np.nan, 10], [2, np.nan]], equal_nan=True)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "line 1 must name the columns"),
        ("patient,score\na,1\n", "patient and time among them"),
        ("patient,time\na,1\n", "no measurements"),
        ("patient,time,score\n", "no visits"),
        ("patient,time,score,score\na,1,1,1\n", "same name"),
        ("patient,time,score\na,1\n", "line 2: 2 cells but 3 columns"),
        ("patient,time,score\na,1,high\n", "line 2, score: 'high' is no number; leave the cell empty"),
        ("patient,time,score\na,1,inf\n", "'inf' is no number"),
        ("patient,time,score\na,,1\n", "line 2: patient and time must not be empty"),
        ("patient,time,score\n,1,1\n", "line 2: patient and time must not be empty"),
        ("patient,time,score\na,1,1\na,1,2\n", "patient a has two visits at the same time"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.csv.*{words}"):
        visits.read_csv(tmp_path / "a.csv")


def test_other_files(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        visits.read_csv(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00patient")
    with pytest.raises(ValueError, match=r"a\.csv is no table in text form"):
        visits.read_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("patient,time,score\na,1,2\n")
    with pytest.raises(ValueError, match=r"b\.csv has no column 'volume'; add it"):
        visits.read_csv(tmp_path / "b.csv", ["score", "volume"])
