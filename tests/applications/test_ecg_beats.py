"""Formulas D4-4 and D4-5 at every step, labels, peaks, pairs, and records of any length."""

import numpy as np
import pytest

from tinymed.applications import ecg_beats, ecg_data
from tinymed.datasets import ecg


@pytest.fixture(scope="module")
def model():
    return ecg_beats.Beats().compiled(ecg_beats.Beats.settings)


def test_the_network_computes_the_articles_formulas(model):
    w_xh, w_hh, b_h, w, b = (weight.astype(float) for weight in model.get_weights())
    x = np.random.default_rng(0).standard_normal((1, 6, 1)).astype("float32")
    h, expected = np.zeros(32), []
    for t in range(6):
        h = np.tanh(w_hh.T @ h + w_xh.T @ x[0, t] + b_h)  # D4-4
        scores = np.exp(w.T @ h + b)  # D4-5
        expected.append(scores / scores.sum())
    assert model.predict(x, verbose=0)[0] == pytest.approx(np.array(expected), abs=1e-5)


def test_labels_come_later_and_at_the_edges_are_cut():
    y = ecg_beats.labels(np.array([-0.02, 0.5, 1.99]), 100)
    assert np.flatnonzero(y).tolist() == [1, 2, 3, 27, 28, 29]
    assert not ecg_beats.labels(np.empty(0), 5).any()


def test_windows_carry_the_labels_of_their_beats():
    record = ecg_data.Prepared(np.arange(1000, dtype="float32"), 50.0, np.arange(0.5, 20, 1.0))
    x, y = ecg_beats.draw([record], 5, np.random.default_rng(0))
    assert x.shape == y.shape == (5, 500, 1) and y.dtype == np.int64
    for window, marks in zip(x[..., 0], y[..., 0], strict=True):
        beats = window[np.flatnonzero(marks)] - ecg_beats.DELAY
        assert ((beats + 25) % 50 <= 1).sum() + ((beats + 25) % 50 == 49).sum() == len(beats)


def test_peaks_are_the_middles_of_the_hills():
    p = np.zeros(100)
    p[[10, 11, 12]], p[[40, 41, 42]], p[70] = 0.9, (0.9, 1.0, 0.5), 0.9
    found = ecg_beats.peaks(p)
    assert found == pytest.approx([11, 40.83], abs=0.01)  # one step alone is no hill
    p[:2] = 1.0
    assert ecg_beats.peaks(p)[0] == pytest.approx(0.5, abs=0.01)  # a hill at the edge is one too
    assert len(ecg_beats.peaks(np.zeros(50))) == 0


def test_two_peaks_too_close_are_one_beat():
    p = np.zeros(50)
    p[[10, 11, 12]], p[[17, 18, 19]] = 1.0, 0.8
    assert ecg_beats.peaks(p) == pytest.approx([11])


def test_pairs():
    found, true = np.array([1.0, 2.0, 2.05, 5.0]), np.array([1.07, 2.04, 4.0, 5.08])
    assert ecg_beats.match(found, true).tolist() == [[0, 0], [1, 1]]
    assert ecg_beats.match(found, true, 0.1).tolist() == [[0, 0], [1, 1], [3, 3]]
    assert ecg_beats.match(np.empty(0), true).shape == (0, 2)


@pytest.mark.parametrize("length", [1, 37, 600, 1501])
def test_long_records_in_pieces_give_what_one_piece_gives(model, length):
    x = np.abs(np.random.default_rng(1).standard_normal(length)).astype("float32")
    padded = np.concatenate([np.zeros(50), x, np.zeros(ecg_beats.DELAY)]).astype("float32")
    whole = model.predict(padded[None, :, None], verbose=0)[0, 50 + ecg_beats.DELAY :, 1]
    assert ecg_beats.Beats().probability(model, x) == pytest.approx(whole, abs=2e-3)


class Oracle:
    """A model that has the beats of one record by heart, and may leave some out."""

    def __init__(self, record, keep=slice(None), extra=()):
        times = np.concatenate([record.beats[keep] / record.rate, extra])
        self.y = ecg_beats.labels(times + 50 / 50.0, 10_000)

    def predict(self, x, **_):
        answers = np.zeros((*x.shape[:2], 2))
        for i in range(len(x)):
            answers[i, :, 1] = self.y[i * 600 :][: x.shape[1]]
        return answers


def test_measures_by_hand():
    record = ecg.synthetic(1, seconds=30, seed=2)[0]
    count = len(record.beats)
    perfect = ecg_beats.Beats().measure(Oracle(record), [record], {})
    assert (perfect["f1"], perfect["missed"], perfect["wrong"], perfect["beats"]) == (1.0, 0, 0, count)
    assert perfect["timing_error_ms"] <= 10 and perfect["heart_rate_mae"] < 0.5
    middle = (record.beats[3] + record.beats[4]) / 2 / record.rate
    poor = ecg_beats.Beats().measure(Oracle(record, slice(2, None), [middle]), [record], {})
    assert (poor["missed"], poor["wrong"]) == (2, 1)
    assert poor["sensitivity"] == pytest.approx((count - 2) / count)
    assert poor["precision"] == pytest.approx((count - 2) / (count - 1))
    assert poor["f1"] == pytest.approx(2 * (count - 2) / (2 * (count - 2) + 3))
