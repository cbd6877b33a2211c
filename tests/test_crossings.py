"""Data goes to the device batch by batch, scores come back at the end of an epoch, and between that nothing crosses.

Whatever an operation, a layer, a loss, a metric, an optimizer or a whole step copies between host and device, or waits
for, is counted on a library whose arrays lie on a device of their own (see tests/devices.py). A copied scalar is as
bad as a copied image: the host waits for all the work that it has handed to the GPU.
"""

import dataclasses

import numpy as np
import pytest

from benchmarks.networks import NETWORKS, keras_model
from tests.devices import TO_DEVICE, TO_HOST, WAITS, crossings, is_on, none_of, on
from tests.metrics.test_base import every_metric
from tests.test_array_api import named
from tinymed import backend, callbacks, layers, losses, metrics, models, optimizers
from tinymed.applications.adversarial import Duel
from tinymed.gradcheck.adapters import subject_of_layer, subject_of_op
from tinymed.gradcheck.cases import layer_cases, loss_cases, op_cases
from tinymed.gradcheck.subject import on_device, upstream
from tinymed.gradcheck.updates import SETTINGS, optimizer_classes
from tinymed.ops import UPDATES


@pytest.fixture(autouse=True)
def _on_the_standin():
    with on("array_api_strict"):
        yield


def lasting(seen):
    """Return what crossed but for an operation's settings, which go to the device once (``backend.constant``)."""
    return none_of([crossing for crossing in seen if not crossing.within("constant")])


def drawn(subject, dtype="float32"):
    point = subject.draw(np.random.default_rng(0), dtype)
    return {name: on_device(value) for name, value in point.items()}


@pytest.mark.parametrize("case", named(op_cases(), lambda case: case.op))
def test_operations(case):
    subject = subject_of_op(case)
    point = drawn(subject)
    with crossings() as seen:
        y, cache = subject.forward(point)
    dy = upstream(y, np.random.default_rng(1))
    with crossings() as seen_backward:
        subject.backward(dy, cache)
    assert not lasting(seen + seen_backward)


def test_constants_cross_once():
    like = backend.asarray(np.ones(2, "float32"))
    with crossings() as seen:
        found = [backend.constant([0.1, 0.7], like) for _ in range(3)]
        backend.constant([0.1, 0.7], like, "int64")
    assert [crossing.kind for crossing in seen] == [TO_DEVICE] * 2
    assert found[0] is found[2] and found[0].dtype == like.dtype and is_on("array_api_strict", found[0])


@pytest.mark.parametrize("name", UPDATES)
def test_updates(name):
    slots = {"sgd_update": 1, "adam_update": 3, "rmsprop_update": 3, "adagrad_update": 1}[name]
    arrays = [backend.asarray(np.random.default_rng(i).uniform(0.5, 1.0, (3, 2))) for i in range(2 + slots)]
    with crossings() as seen:
        UPDATES[name](*arrays, weight_decay=0.1, out=(arrays[0], *arrays[2:]))
    assert not none_of(seen)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("case", named(layer_cases(), lambda case: type(case.make()).__name__))
def test_layers(case, training):
    subject = subject_of_layer(case, training)
    point = drawn(subject)
    layer = subject.owner.layer("float32")
    inputs = [value for name, value in point.items() if name == "x" or name.startswith("x[")]
    x = inputs[0] if "x" in point else inputs
    with crossings() as seen:
        y, cache = layer.forward(x, training=training)
    dy = upstream(y, np.random.default_rng(1))
    with crossings() as seen_backward:
        layer.backward(dy, cache)
        layer.backward(dy, cache, input_gradient=False)
    assert not lasting(seen + seen_backward)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", named(loss_cases(), lambda case: type(case.make()).__name__))
def test_losses(case, weighted):
    loss, rng = case.make(), np.random.default_rng(0)
    true, pred = (
        backend.asarray(np.asarray(what(rng) if callable(what) else rng.standard_normal(what), dtype=kind))
        for what, kind in ((case.y_true, None), (case.y_pred, "float32"))
    )
    weight = backend.asarray(rng.random(true.shape[0], dtype="float32")) if weighted else None
    with crossings() as seen:
        _, cache = loss.forward(true, pred, sample_weight=weight)
        loss.backward(cache)
    assert not lasting(seen)


MORE_METRICS = [
    pytest.param(cls, {}, np.eye(3, dtype="float32")[[0, 2]], np.full((2, 3), 1 / 3, "float32"), id=cls.__name__)
    for cls in (metrics.BinaryCrossentropy, metrics.CategoricalCrossentropy)
] + [
    pytest.param(
        metrics.SparseCategoricalCrossentropy, {}, np.array([0, 2]), np.full((2, 3), 1 / 3, "float32"), id="Sparse"
    )
]


@pytest.mark.parametrize(("cls", "arguments", "y_true", "y_pred"), [*every_metric(), *MORE_METRICS])
def test_metrics(cls, arguments, y_true, y_pred):
    metric = cls(**arguments)
    true, pred = backend.asarray(y_true), backend.asarray(y_pred)
    metric.update_state(true, pred)  # the first batch may bring a metric's settings to the device
    metric.result()
    weight = backend.asarray(np.ones(true.shape if true.ndim == 3 else true.shape[:1], dtype="float32"))
    with crossings() as seen:
        metric.update_state(true, pred)
        metric.update_state(true, pred, weight)
        metric.result()
        metric.reset_state()
        metric.update_state(true, pred)
    assert not none_of(seen)


@pytest.mark.parametrize("name", SETTINGS)
def test_optimizers(name):
    for settings in SETTINGS[name]:
        options = {key: value for key, value in settings.items() if key != "schedule"}
        rate = optimizers.schedules.CosineDecay(0.1, 10) if "schedule" in settings else 0.1
        optimizer = optimizer_classes()[name](learning_rate=rate, **options)
        rng = np.random.default_rng(0)
        params = {key: backend.asarray(rng.random(shape)) for key, shape in {"kernel": (3, 2), "bias": (2,)}.items()}
        grads = {key: backend.asarray(rng.random(value.shape)) for key, value in params.items()}
        with crossings() as seen:
            for _ in range(3):
                optimizer.update(params, grads)
        assert not none_of(seen), settings


# --- whole steps ---------------------------------------------------------------------------------------------------

SMALLER = {"P0": (16, 16, 3), "P3": (12, 12, 1), "P4a": (24, 24, 3), "P4b tanh 200": (5, 1), "P4b relu 200": (5, 1)}
"""The articles' networks on smaller inputs; their layers stay as they are."""


def of_the_articles(name):
    network = dataclasses.replace(NETWORKS[name], shape=SMALLER[name])
    import tinymed

    model, rng = keras_model(tinymed, network), np.random.default_rng(0)
    model.compile("adam", network.loss, metrics=[network.metric] if network.metric else None)
    x = rng.random((6, *network.shape), dtype="float32")
    labels = rng.integers(0, max(network.classes, 1), 6)
    y = labels[:, None].astype("float32")
    if network.loss.startswith("cat"):
        y = np.eye(network.classes, dtype="float32")[labels]
    return model, x, labels if network.loss.startswith("sparse") else y


def with_everything():
    """A model with what steps can have: noise, normalisation, penalties, schedules, clipping, every kind of score."""
    inputs = layers.Input((8, 8, 3))
    x = layers.GaussianNoise(0.1)(inputs)
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", padding="same")(x)
    x = layers.SpatialDropout2D(0.2)(layers.BatchNormalization()(x))
    x = layers.PReLU()(layers.AveragePooling2D()(x))
    x = layers.GaussianDropout(0.1)(layers.LayerNormalization()(layers.Flatten()(x)))
    x = layers.Dropout(0.5)(layers.Dense(6, activation="gelu", bias_regularizer="l1")(x))
    model = models.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile(
        optimizers.AdamW(optimizers.schedules.CosineDecay(0.01, 20), global_clipnorm=1.0),
        losses.CategoricalFocalCrossentropy(alpha=[0.2, 0.3, 0.5], label_smoothing=0.1),
        metrics=["accuracy", "auc", metrics.Precision(top_k=1), metrics.F1Score(), metrics.OneHotMeanIoU(3)],
        weighted_metrics=["mse"],
    )
    rng = np.random.default_rng(0)
    return model, rng.random((6, 8, 8, 3), dtype="float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 6)]


def sequences():
    """Words and what is left out of them: an embedding's mask through recurrent layers in both directions."""
    model = models.Sequential(
        [
            layers.Embedding(5, 3, mask_zero=True, input_shape=(4,)),
            layers.Bidirectional(layers.GRU(3, return_sequences=True, dropout=0.2, recurrent_dropout=0.2)),
            layers.LSTM(3, activation="relu", return_sequences=True),
            layers.SimpleRNN(3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizers.RMSprop(clipvalue=0.5), "binary_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    return model, rng.integers(0, 5, (6, 4)), rng.integers(0, 2, 6)


MODELS = {**{name: (lambda name=name: of_the_articles(name)) for name in SMALLER},
          "everything": with_everything, "sequences": sequences}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_steps(name):
    model, x, y = MODELS[name]()
    weight = np.ones(len(x), dtype="float32")
    model._ready()
    parts = [[backend.asarray(x)], [backend.asarray(y)], [backend.asarray(weight)]]
    model.train_step(*parts)  # the first step may prepare things
    with crossings() as seen:
        for _ in range(2):
            model._scores.reset()
            model.train_step(*parts)
            model.train_step(*parts[:2], [None])
            model.test_step(*parts)
            model.forward(parts[0][0])
    assert not none_of(seen)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_steps_on_a_card(name, monkeypatch):
    """CuPy itself refuses to wait for the card within a step; and nothing is brought to it."""
    import cupy
    import cupyx

    with on("cupy"):
        model, x, y = MODELS[name]()
        model._ready()
        parts = [[backend.asarray(x)], [backend.asarray(y)], [None]]
        for _ in range(2):  # kernels are compiled, memory and handles are made
            model.train_step(*parts)
            model.test_step(*parts)
        brought, usual = [], cupy.array
        monkeypatch.setattr(cupy, "array", lambda obj, *a, **k: (
            isinstance(obj, cupy.ndarray) or brought.append(type(obj)), usual(obj, *a, **k))[1])  # fmt: skip
        with cupyx.allow_synchronize(False):
            for _ in range(2):
                model.train_step(*parts)
                model.test_step(*parts)
        assert not brought


@pytest.mark.parametrize("name", ["P0", "everything"])
def test_fit_evaluate_and_predict_copy_batches_and_scores_alone(name):
    model, x, y = MODELS[name]()
    scores = 1 + len(model._compiled["metrics"] or []) + len(model._compiled["weighted_metrics"] or [])
    model.fit(x, y, epochs=1, batch_size=2, verbose=0)
    with crossings() as seen:
        model.fit(x, y, epochs=2, batch_size=2, verbose=0, callbacks=[callbacks.EarlyStopping("loss")])
        model.evaluate(x, y, batch_size=3, verbose=0)
    batches = 2 * 3 + 2
    assert [crossing.kind for crossing in seen].count(TO_DEVICE) == 2 * batches
    assert [crossing.kind for crossing in seen].count(TO_HOST) == (2 + 1) * scores
    assert len(seen) == 2 * batches + 3 * scores
    with crossings() as seen:
        model.predict(x, batch_size=2, verbose=0)
    assert [crossing.kind for crossing in seen] == [TO_DEVICE, TO_HOST] * 3


def test_adversarial_steps_copy_their_codes_alone():
    def network(inputs, outputs, activation):
        return models.Sequential(
            [
                layers.Dense(4, activation="leaky_relu", input_shape=(inputs,)),
                layers.BatchNormalization(),
                layers.Dense(outputs, activation=activation),
            ]
        )

    rivals = optimizers.Adam(), optimizers.Adam()
    duel = Duel(network(3, 5, "tanh"), network(5, 1, "sigmoid"), rivals, network(3, 5, "tanh"))
    real = backend.asarray(np.random.default_rng(0).random((4, 5), dtype="float32"))
    duel.step(real)
    with crossings() as seen:
        duel.step(real)
    assert [crossing.kind for crossing in seen if crossing.within("noise")] == [TO_DEVICE] * 2
    assert not none_of([crossing for crossing in seen if not crossing.within("noise")])


# --- what is planted is caught -------------------------------------------------------------------------------------


class CountsOnTheHost(layers.Layer):
    """A layer with a NumPy function in its forward."""

    def forward(self, x, training=False):
        return x * float(np.asarray(x).max()), None


class Peeks(layers.Dense):
    """A layer that looks at a number of the device."""

    def forward(self, x, training=False, logits=False):
        y, cache = super().forward(x, training, logits)
        return (y if y[0, 0] < 1e30 else 0 * y), cache


class Masks(layers.ReLU):
    """A layer whose result would have a shape that depends on the numbers."""

    def forward(self, x, training=False):
        _ = x[x > 0]
        return super().forward(x, training)


class Scales(layers.Layer):
    """A layer that brings a constant to the device at every call."""

    def forward(self, x, training=False):
        return x * backend.asarray(np.ones(3, "float32")), None

    def backward(self, dy, cache, input_gradient=True):
        return dy * backend.asarray(np.ones(3, "float32")), {}


def small(layer):
    model = models.Sequential([layers.Input((3,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model._ready()
    return model, [[backend.asarray(np.ones((2, 3), "float32"))], [backend.asarray(np.ones((2, 1), "float32"))], [None]]


def test_a_planted_numpy_function_is_caught():
    model, parts = small(CountsOnTheHost())
    with crossings() as seen, pytest.raises((RuntimeError, TypeError, ValueError)):
        model.train_step(*parts)
    assert [(crossing.kind, crossing.stack[0][2]) for crossing in seen] == [(TO_HOST, "forward")]
    assert str(seen[0]).startswith("__array__ (to the host) in test_crossings.py:")


@pytest.mark.parametrize(("layer", "kind", "how"), [(Peeks, TO_HOST, "__bool__"), (Masks, WAITS, "mask as an index")])
def test_a_planted_look_at_the_numbers_is_caught(layer, kind, how):
    model, parts = small(layer(3) if layer is Peeks else layer())
    model.train_step(*parts)
    with crossings() as seen:
        model.train_step(*parts)
    assert {(crossing.kind, crossing.how) for crossing in seen} == {(kind, how)}
    assert seen[0].within("train_step") and none_of(seen)


def test_a_planted_loss_on_the_host_is_caught(monkeypatch):
    model, parts = small(layers.Dense(3))
    usual = type(model).train_step
    monkeypatch.setattr(type(model), "train_step", lambda *given: (usual(*given), float(model._scores.loss.result())))
    with crossings() as seen:
        model.train_step(*parts)
    assert [(crossing.kind, crossing.how) for crossing in seen] == [(TO_HOST, "__float__")]


def test_a_planted_constant_is_caught():
    model, parts = small(Scales())
    with crossings() as seen:
        model.train_step(*parts)
    assert [(crossing.kind, crossing.stack[0][2]) for crossing in seen] == [(TO_DEVICE, "asarray")]
