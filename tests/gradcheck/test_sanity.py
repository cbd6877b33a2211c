import numpy as np
import pytest

from tinymed import backend
from tinymed.gradcheck.sanity import sanity_check
from tinymed.layers import Dense, Dropout, Input
from tinymed.models import Model, Sequential
from tinymed.optimizers import SGD, Adam


def data(n=40):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype("float32")


def network(*layers, optimizer="adam", loss="binary_crossentropy"):
    model = Sequential([Dense(32, activation="relu", input_shape=(6,)), *layers])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def answers(report):
    return [finding.ok for finding in report.findings]


def test_a_good_model_gets_four_times_yes(capsys):
    x, y = data()
    model = network(Dropout(0.2), Dense(1, activation="sigmoid"))
    before, expected = model.get_weights(), backend._seeds.sequence
    report = model.sanity_check(x, y)
    assert report.ok and answers(report) == [True] * 4, str(report)
    card = capsys.readouterr().out
    assert "ln 2" in card and card.count("yes") == 4
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.iterations == 0 and backend._seeds.sequence is expected


def test_classes_and_regression():
    x, y = data()
    classes = network(Dense(3, activation="softmax"), loss="sparse_categorical_crossentropy")
    report = sanity_check(classes, x, (y + (x[:, 1] > 0)).astype(int), show=False)
    assert "ln 3" in report.findings[0].found and report.findings[0].ok
    report = sanity_check(network(Dense(1), loss="mse"), x, x[:, 0], show=False)
    assert "the mean" in report.findings[0].found and report.ok, str(report)


def test_inputs_of_a_wrong_scale_are_seen_in_the_first_loss():
    x, y = data()
    report = sanity_check(network(Dense(1, activation="sigmoid")), 1e4 * x, y, show=False)
    assert not report.findings[0].ok
    assert "scaled" in report.findings[0].advice and "NO" in str(report)


def test_a_model_that_cannot_learn_is_seen():
    x, y = data()
    model = network(Dense(1, activation="sigmoid"))
    for layer in model.layers[:-1]:
        layer.trainable = False
    for weights in model.layers[-2].params.values():
        weights[...] = 0.0
    report = sanity_check(model, x, y, show=False)
    assert not report.findings[1].ok
    assert "is exactly zero" in report.findings[2].found


def test_a_wrong_backward_is_seen():
    class Wrong(Dense):
        def backward(self, dy, cache, input_gradient=True):
            dx, grads = super().backward(dy, cache, input_gradient)
            return dx, {**grads, "bias": 0.9 * grads["bias"]}

    x, y = data()
    report = sanity_check(network(Wrong(1, activation="sigmoid")), x, y, show=False)
    assert answers(report)[2] is False and "/bias" in report.findings[2].found


@pytest.mark.parametrize(("optimizer", "word"), [(SGD(1e-8), "larger"), (SGD(1e3), "smaller"), (Adam(1.0), "smaller")])
def test_steps_of_a_wrong_size_are_seen(optimizer, word):
    x, y = data()
    report = sanity_check(network(Dense(1, activation="sigmoid"), optimizer=optimizer), x, y, show=False)
    assert answers(report)[3] is False and word in report.findings[3].advice


def test_nan_in_the_first_loss():
    x, y = data()
    model = network(Dense(1, activation="sigmoid"))
    model.layers[-1].params["kernel"][...] = np.nan
    finding = sanity_check(model, x, y, show=False).findings[0]
    assert not finding.ok and "tinymed.debug()" in finding.advice


def test_several_inputs_and_outputs():
    x, y = data()
    a, b = Input((6,)), Input((6,))
    h = Dense(16, activation="tanh")
    model = Model([a, b], [Dense(1)(h(a)), Dense(1)(h(b))])
    model.compile("adam", ["mse", "mse"])
    report = sanity_check(model, [x, x[::-1]], [y, y], show=False)
    assert report.findings[2].ok and "no value to compare" in report.findings[0].found


def test_a_model_without_a_loss_is_told():
    model = Sequential([Dense(1, input_shape=(6,))])
    with pytest.raises(ValueError, match="not compiled"):
        sanity_check(model, *data(), show=False)
