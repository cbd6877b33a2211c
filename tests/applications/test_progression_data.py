"""What the network sees of a visit: nothing of later ones, nothing learned from patients that are not for training."""

import json

import numpy as np
import pytest

from tinymed.applications import progression_data as data
from tinymed.datasets import visits
from tinymed.datasets.visits import Patient, Visits

N = np.nan
PATIENT = Patient("a", np.array([0.0, 3.0, 9.0, 12.0]), np.array([[N, 1.0], [10.0, N], [N, 3.0], [16.0, 4.0]]))
ONE = Visits(("score", "x"), [PATIENT])


def preparation(name="gru", fitted=ONE):
    return data.Preparation(data.NETWORKS[name], fitted.columns).fit(fitted)


def test_the_last_score_is_carried_forward():
    assert np.array_equal(data.last_scores(PATIENT), [N, 10, 10, 16], equal_nan=True)


def test_inputs_by_hand():
    x = preparation().inputs(PATIENT)
    mean, spread = np.array([13.0, 8 / 3]), np.array([3.0, np.std([1.0, 3.0, 4.0])])
    values = np.nan_to_num((PATIENT.values[:3] - mean) / spread)
    expected = np.column_stack([values, [[1, 0], [0, 1], [1, 0]], [0, -1, -1], [0, 0.5, 1], [0.5, 1, 0.5]])
    assert x == pytest.approx(expected, abs=1e-6)
    asked = preparation().inputs(PATIENT, ahead=6.0)
    assert asked.shape == (4, 7) and np.allclose(asked[:3], x) and asked[3, -1] == 1.0


def test_what_counts_and_what_is_asked():
    x, y, counts = preparation().arrays(
        Visits(ONE.columns, [PATIENT, Patient("b", PATIENT.times[:2], np.ones((2, 2)))])
    )
    assert x.shape == (2, 3, 7) and y.shape == (2, 3, 1)
    assert counts.tolist() == [[False, False, True], [True, False, False]]
    assert y[0, 2, 0] == pytest.approx((16 - 10) / 3) and y[1, 0, 0] == 0
    assert not x[1, 1:].any() and x[..., -1][:, 0].all()  # padded visits are zeros, real ones are not


def test_later_visits_are_not_seen():
    changed = Patient("a", PATIENT.times, PATIENT.values.copy())
    changed.values[3] = 99.0
    changed.values[2] = 88.0
    for name in data.NETWORKS:
        made = preparation(name)
        assert np.array_equal(made.inputs(PATIENT)[:2], made.inputs(changed)[:2]), name


@pytest.mark.parametrize("name", list(data.NETWORKS))
def test_what_was_learned_comes_back_from_the_model_file(name):
    drawn = visits.synthetic(20, seed=1)
    made = preparation(name, drawn)
    kept = json.loads(json.dumps({"network": name, **made.state()}))
    back = data.Preparation.of(kept)
    other = visits.synthetic(3, seed=2).patients[0]
    assert np.array_equal(made.inputs(other), back.inputs(other))
    assert made.inputs(other).shape[1] == (13 if made.network.indicators else 8)


def test_nothing_is_learned_from_other_patients():
    made = preparation(fitted=visits.synthetic(20, seed=1))
    before = json.dumps(made.state())
    made.arrays(visits.synthetic(5, seed=2))
    assert json.dumps(made.state()) == before


def test_tables_are_split_by_patient_however_their_lines_are_sorted(tmp_path):
    drawn = visits.synthetic(40, seed=1)
    visits.write_csv(tmp_path / "a.csv", drawn)
    visits.write_csv(tmp_path / "b.csv", drawn.chosen(range(39, -1, -1)))
    first, second = (data.read(tmp_path / name, seed) for name, seed in (("a.csv", 0), ("b.csv", 5)))
    names = {part: {patient.name for patient in patients.patients} for part, patients in first.items()}
    assert {part: {patient.name for patient in patients.patients} for part, patients in second.items()} == names
    assert len(set.union(*names.values())) == sum(len(group) for group in names.values()) == 40


def test_the_score_comes_first(tmp_path):
    (tmp_path / "a.csv").write_text("patient,time,x,score\na,0,1,2\na,1,3,4\n")
    assert data.read_table(tmp_path / "a.csv").columns == ("score", "x")
    (tmp_path / "b.csv").write_text("patient,time,x\na,0,1\n")
    with pytest.raises(ValueError, match=r"b\.csv has no column 'score', which is what the task predicts"):
        data.read_table(tmp_path / "b.csv")


def test_parts_without_patients():
    with pytest.raises(ValueError, match="unknown split 'tests'; choose train, val or test, or all"):
        data.part_of(ONE, "tests", "a.csv")
    with pytest.raises(ValueError, match=r"a\.csv: none of the 0 patients for val has two visits with a score"):
        data.part_of(ONE, "val", "a.csv")
    assert len(data.part_of(ONE, "all", "a.csv")) == 1
