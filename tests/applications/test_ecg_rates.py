"""P4b as the article builds it, the windows it is trained on, and the scale that comes from the training part."""

import numpy as np
import pytest

from tinymed import backend, optimizers
from tinymed.applications import ecg_data, ecg_rates
from tinymed.datasets import ecg


@pytest.fixture(scope="module")
def records():
    drawn = ecg.synthetic(5, seconds=30, seed=3)
    return ecg_data.Records(drawn[:3], drawn[3:4], drawn[4:], "synthetic", "by record")


def test_the_network_is_the_articles(documents_folder):
    """Built by the article's own lines and by ours: the same layers, the same arguments."""
    from tests.test_programs import program

    names = {"np": np}
    exec(program(documents_folder, "004_", "4.2"), names)
    theirs = names["build_rnn_model"]((2000, 1), 1)
    ours = ecg_rates.P4B.compiled(ecg_rates.P4B.settings)
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        mine, its = a.get_config(), b.get_config()
        assert type(a) is type(b)
        assert {key: value for key, value in mine.items() if key != "name"} == {
            key: value for key, value in its.items() if key != "name"
        }
    assert ours.inputs[0].shape == theirs.inputs[0].shape == (None, 2000, 1)
    assert float(ours.optimizer.learning_rate) == pytest.approx(0.001)


def test_the_network_that_learns_differs_in_what_it_says():
    model = ecg_rates.LSTM_NETWORK.compiled(ecg_rates.LSTM_NETWORK.settings)
    assert model.inputs[0].shape == (None, 200, 1)
    assert [layer.get_config().get("activation") for layer in model.layers[:2]] == ["tanh", "tanh"]
    assert [type(layer).__name__ for layer in model.layers] == ["LSTM", "LSTM", "GlobalAveragePooling1D", "Dense"]
    assert model.optimizer.clipnorm == 1.0


def test_drawn_windows_are_faster_where_they_are_played_faster(records):
    train = ecg_data.prepare(records.train[:1], 25.0)
    rng = np.random.default_rng(0)
    x, y = ecg_rates.draw(train, 40, (1.0, 1.0), rng)
    assert x.shape == (40, 200, 1) and y.shape == (40, 1) and x.dtype == y.dtype == np.float32
    _, fast = ecg_rates.draw(train, 40, (1.2, 1.2), rng)
    assert fast.mean() / y.mean() == pytest.approx(1.2, abs=0.05)


def test_windows_end_to_end(records):
    train = ecg_data.prepare(records.train, 25.0)
    x, y = ecg_rates.whole(train)
    assert x.shape == (9, 200, 1) and np.array_equal(x[1, :, 0], train[0].values[200:400])
    assert y[0, 0] == pytest.approx(ecg_data.rate_of(train[0], 0.0))
    assert len(ecg_rates.whole(train, 1)[0]) == 3


def test_the_article_takes_the_first_2000_samples_of_each_record(records):
    samples, _, about = ecg_rates.P4B.training(records, seed=0)
    x, y = samples(np.random.default_rng(0))
    assert x.shape == (3, 2000, 1)
    assert np.array_equal(x[0, :, 0], records.train[0].signal[:2000])
    assert y.mean() == pytest.approx(0, abs=1e-6) and y.std() == pytest.approx(1, abs=1e-5)
    assert about["input"]["raw"] is True


def test_the_scale_is_learned_from_the_training_part_only(records):
    other = ecg_data.Records(records.train, records.test, records.val, "synthetic", "by record")
    first, second = (ecg_rates.LSTM_NETWORK.training(part, seed=0)[2] for part in (records, other))
    assert first == second
    answer = first["answer"]
    assert answer["usual"] == pytest.approx(np.mean([record.heart_rate for record in records.train]), abs=6)


class Constant:
    """A model that always says the same."""

    def __init__(self, value):
        self.value = value

    def predict(self, x, **_):
        return np.full((len(x), 1), self.value, dtype="float32")


def test_measures_by_hand(records):
    about = {"answer": {"mean": 100.0, "spread": 10.0, "usual": 90.0}}
    true = ecg_rates.whole(ecg_data.prepare(records.test, 25.0))[1][:, 0]
    numbers = ecg_rates.LSTM_NETWORK.measure(Constant(0.5), records.test, about)
    assert numbers["windows"] == len(true) == 3
    assert numbers["mae"] == pytest.approx(np.abs(105 - true).mean(), rel=1e-5)
    assert numbers["bias"] == pytest.approx((105 - true).mean(), rel=1e-5)
    assert numbers["mae_of_mean"] == pytest.approx(np.abs(90 - true).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="no window of 8 s with two beats in quiet"):
        quiet = ecg.Record("quiet", np.zeros(5000, "float32"), 250.0, np.array([10]))
        ecg_rates.LSTM_NETWORK.measure(Constant(0.5), [quiet], about)


def test_real_records_are_played_faster_and_slower(records, monkeypatch):
    seen = []
    monkeypatch.setattr(
        ecg_rates, "draw", lambda train, count, speeds, rng: (seen.append(speeds), np.ones((2, 1)))[0:2]
    )
    for source, expected in (("100", ecg_rates.SPEEDS), ("synthetic", (1.0, 1.0))):
        part = ecg_data.Records(records.train, records.val, records.test, source, "by time")
        samples, *_ = ecg_rates.LSTM_NETWORK.training(part, seed=0)
        samples(np.random.default_rng(0))
        assert seen == [expected] * 2  # for the scale, and for an epoch
        seen.clear()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("clipnorm, survives", [(1.0, True), (None, False)])
def test_clipping_leads_relu_back_over_the_edge(clipnorm, survives):
    """Weights a little too large let the state grow at every step: the loss is 1e31, the gradient long but finite.

    One step along it as it is leaves float32; steps of length one along it lead back to where the network learns.
    """
    backend.set_seed(0)
    model = ecg_rates.build((100, 1), 1, "relu")
    weights = model.get_weights()
    weights[1] += np.float32(0.02)
    model.set_weights(weights)
    rng = np.random.default_rng(0)
    x, y = np.abs(rng.standard_normal((8, 100, 1))).astype("float32"), rng.standard_normal((8, 1)).astype("float32")
    model.compile(optimizers.SGD(0.05, clipnorm=clipnorm), "mean_squared_error")
    losses = model.fit(x, y, batch_size=8, epochs=8, verbose=0).history["loss"]
    assert 1e20 < losses[0] < np.inf
    assert losses[-1] < 0.25 if survives else np.isnan(losses[-1])
