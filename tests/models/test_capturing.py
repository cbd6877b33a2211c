"""Recorded training is training: the same losses and weights, bit for bit, whatever changes from step to step.

There is no GPU here. ``tests.models.graphs`` stands for it: it replays array operations, with the arrays and numbers of
the recording, and leaves garbage where a GPU would leave what nobody may rely on.
"""

import contextlib
import re

import numpy as np
import pytest

from tests.devices import STANDIN
from tests.models.graphs import StandinGraphs
from tinymed import backend, callbacks, layers, metrics, optimizers, regularizers
from tinymed.layers.base import reset_names
from tinymed.models import Model, Sequential, capturing, training
from tinymed.models.capturing import Computed, Recorded, training_step
from tinymed.models.numbers import Numbers
from tinymed.models.places import Saved
from tinymed.precision import set_precision

X = np.random.default_rng(0).standard_normal((44, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")
IMAGES = np.random.default_rng(1).standard_normal((44, 6, 6, 2)).astype("float32")
SEQUENCES = np.random.default_rng(2).standard_normal((44, 4, 3)).astype("float32")


def dense(optimizer=None, **options):
    model = Sequential([
        layers.Input((6,)),
        layers.Dense(5, activation="relu", kernel_regularizer=regularizers.L2(0.01)),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Dense(2, activation="softmax"),
    ])  # fmt: skip
    model.compile(
        optimizer or optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], **options
    )
    return model


def train(make, x=X, y=Y, record=True, graphs=None, epochs=4, recorded=Recorded, **options):
    """Train on the stand-in; return the history, the weights and optimizer's state as bytes, and the model."""
    backend.set_seed(5)
    set_precision("float32")
    reset_names()
    graphs = graphs or StandinGraphs()
    with pytest.MonkeyPatch.context() as patch, backend.use_backend("array_api_strict", STANDIN):
        if record:
            patch.setattr(training, "training_step", lambda model, tells: recorded(model, graphs, tells))
        model = make()
        options = {"verbose": 0, **options}
        history = model.fit(x, y, batch_size=8, epochs=epochs, **options).history
        weights = [w.tobytes() for w in model.get_weights()]
        slots = {key: backend.to_host(a).tobytes() for key, a in model.optimizer.state.items()}
    return history, weights, slots, model


def check(make, x=X, y=Y, replays=None, recordings=1, **options):
    """Train with and without a recording; everything must be the same. Return the model and its graphs."""
    plain = train(make, x, y, record=False, **options)
    graphs = StandinGraphs()
    found = train(make, x, y, graphs=graphs, **options)
    assert found[:3] == plain[:3]
    assert len(graphs.recordings) == recordings, found[3].capture_reason
    assert graphs.replays == replays if replays is not None else graphs.replays > 3
    return found[3], graphs


# --- what changes from step to step --------------------------------------------------------------------------------


def test_losses_weights_slots_and_counters_are_the_same():
    # Six steps an epoch: the last is smaller, and from the second epoch on the first one makes the metrics' sums.
    model, _ = check(dense, replays=1 + 3 * 4)
    assert model.capture_reason is None
    assert model.optimizer.iterations == 24 and model.layers[2].calls == 24


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "sgd, decay": lambda: optimizers.SGD(0.1, weight_decay=0.1),
    "adam, schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, weight_decay=0.1),
    "adagrad": lambda: optimizers.Adagrad(0.1, weight_decay=0.1, global_clipnorm=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    check(lambda: dense(OPTIMIZERS[name]()))


def images():
    x = layers.Input((6, 6, 2))
    y = layers.Conv2D(3, 3, activation="relu")(x)
    y = layers.SpatialDropout2D(0.5)(layers.MaxPooling2D()(y))
    y = layers.GaussianNoise(0.1)(layers.GroupNormalization(3)(y))
    model = Model(
        x, [layers.Dense(1, activation="sigmoid", name="a")(layers.Flatten()(y)), layers.Flatten(name="b")(y)]
    )
    model.compile("adam", ["binary_crossentropy", "mse"], metrics=[["AUC"], ["mae"]], loss_weights=[1.0, 0.5])
    return model


def test_images_with_two_outputs():
    targets = [(IMAGES[:, 0, 0, :1] > 0).astype("float32"), IMAGES[:, :2, :2, 0].reshape(44, 4).repeat(3, axis=1)]
    check(images, IMAGES, targets)


def recurrent(cls, **options):
    def make():
        model = Sequential([
            layers.Input((4, 3)),
            layers.Masking(),
            cls(4, dropout=0.3, recurrent_dropout=0.3, **options),
            layers.Dense(1),
        ])  # fmt: skip
        model.compile(optimizers.RMSprop(0.01), "mse", metrics=[metrics.MeanAbsoluteError()])
        return model

    return make


@pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_recurrent_layers(cls):
    model, _ = check(recurrent(cls), SEQUENCES, SEQUENCES[:, 0, :1])
    assert model.layers[1].calls == 2 * 24


def test_wrapped_layers_and_a_model_in_a_model():
    def make():
        inner = Sequential(
            [layers.Input((4, 3)), layers.Bidirectional(layers.GRU(2, return_sequences=True, dropout=0.2))]
        )
        x = layers.Input((4, 3))
        y = layers.TimeDistributed(layers.BatchNormalization())(inner(x))
        model = Model(x, layers.Dense(1)(layers.GlobalAveragePooling1D()(y)))
        model.compile("adam", "mse")
        return model

    check(make, SEQUENCES, SEQUENCES[:, 0, :1])


def test_states_that_stay_from_batch_to_batch():
    model, _ = check(recurrent(layers.LSTM, stateful=True), SEQUENCES[:40], SEQUENCES[:40, 0, :1])
    assert model.layers[1].states is not None


def test_a_layer_used_twice_draws_twice():
    def make():
        dropout, x = layers.Dropout(0.5), layers.Input((6,))
        model = Model(x, layers.Dense(1)(dropout(layers.Dense(4)(dropout(x)))))
        model.compile("sgd", "mse")
        return model

    model, _ = check(make, X, X[:, :1])
    assert model.layers[1].calls == 2 * 24


def test_sample_weights():
    check(dense, sample_weight=np.linspace(0, 1, 44).astype("float32"))


# --- what others change between steps ------------------------------------------------------------------------------


class At(callbacks.Callback):
    """Does something at the end of one epoch, or of each batch."""

    def __init__(self, what, epoch=1):
        super().__init__()
        self.what, self.epoch = what, epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.what(self.model)


class AtBatches(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.01 / (1 + batch)


def test_a_learning_rate_set_by_callbacks_needs_no_new_recording():
    check(dense, callbacks=callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5))
    check(dense, callbacks=AtBatches())


def test_weights_set_by_a_callback_are_trained_on():
    check(dense, callbacks=At(lambda model: model.set_weights([0.5 * w for w in model.get_weights()])))


def test_validation_and_prediction_in_between():
    check(dense, validation_data=(X, Y), callbacks=At(lambda model: model.predict(X, verbose=0)))


def freeze(model):
    model.layers[0].trainable = False


def decay(model):
    model.optimizer.weight_decay = 0.1


@pytest.mark.parametrize("change", [freeze, decay], ids=lambda change: change.__name__)
def test_other_settings_are_recorded_anew(change):
    check(dense, callbacks=At(change), recordings=2, epochs=6)


def test_a_frozen_layer_stays_as_it_is():
    *_, model = train(dense, callbacks=At(freeze, 0), epochs=1)
    frozen = [w.tobytes() for w in model.layers[0].get_weights()]
    *_, model = train(dense, callbacks=At(freeze, 0), epochs=5)
    assert [w.tobytes() for w in model.layers[0].get_weights()] == frozen


def test_another_precision_is_recorded_anew():
    def change(model):
        set_precision("tf32")

    try:
        check(dense, callbacks=At(change), recordings=2, epochs=6)
    finally:
        set_precision("float32")


def test_settings_that_never_rest_are_given_up():
    class Always(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.weight_decay += 0.01

    def make():
        return dense(optimizers.SGD(0.1, weight_decay=0.1))

    plain = train(make, record=False, callbacks=Always(), epochs=12)
    found = train(make, callbacks=Always(), epochs=12)
    assert found[:3] == plain[:3]
    assert "changes again and again" in found[3].capture_reason


# --- what cannot be recorded ---------------------------------------------------------------------------------------


class OfMyOwn(layers.Layer):
    """A layer that passes on what ``do(layer, x)`` makes of its input."""

    do = None

    def forward(self, x, training=False):
        self.prepare(x)
        y = type(self).do(self, x) if training else x
        return backend.array_namespace(y).asarray(y, copy=True), None

    def backward(self, dy, cache, input_gradient=True):
        return backend.array_namespace(dy).asarray(dy, copy=True), {}


def with_layer(do):
    cls = type("OfMyOwn", (OfMyOwn,), {"do": do})

    def make():
        model = Sequential(
            [layers.Input((6,)), layers.Dense(4), cls(name="mine"), layers.Dense(2, activation="softmax")]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    return make


def looks(layer, x):
    return x * 2 if float(backend.to_host(backend.array_namespace(x).sum(x))) > 0 else x


def copies(layer, x):
    return x + backend.array_namespace(x).asarray([1.0, 2.0, 3.0, 4.0], dtype=x.dtype, device=backend.device_of(x))


def counts_without_saying(layer, x):
    layer.seen = getattr(layer, "seen", 0) + 1
    return x * (1.0 / layer.seen)


def cools(layer, x):
    layer.heat = getattr(layer, "heat", 1.0) * 0.9
    return x * layer.heat


def remembers(layer, x):
    layer.names = [*getattr(layer, "names", []), "step"]
    return x


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (looks, "not permitted when stream is capturing"),
        (copies, "copies from the host are not permitted"),
        (counts_without_saying, "a replayed step and a computed one differ in model"),
        (cools, r"a step changes model.*\(mine\)\.heat, which is neither a counter nor an array"),
        (remembers, "changes again and again"),
    ],
)
def test_layers_that_cannot_be_recorded_are_computed_and_the_reason_is_kept(do, reason):
    plain = train(with_layer(do), record=False)
    found = train(with_layer(do))
    assert found[:3] == plain[:3]
    assert found[3].capture_reason is not None
    with contextlib.suppress(AttributeError):
        assert found[3].layers[1].seen == plain[3].layers[1].seen
    assert re.search(reason, found[3].capture_reason), found[3].capture_reason


def test_the_reason_is_told_with_verbose_2(capsys):
    train(with_layer(cools), verbose=2)
    assert "steps are launched anew each time, not recorded: a step changes model" in capsys.readouterr().out
    train(with_layer(cools), verbose=1)
    assert "recorded" not in capsys.readouterr().out


def test_a_layer_that_counts_for_itself_alone_counts_on():
    def counts(layer, x):
        layer.seen = getattr(layer, "seen", 0) + 2
        return x

    model, _ = check(with_layer(counts))
    assert model.layers[1].seen == 2 * 24


def test_an_optimizer_that_needs_its_numbers_on_the_host():
    class Mine(optimizers.Optimizer):
        def step(self, param, grad, slots, learning_rate):
            param[...] = param - learning_rate * grad

    plain, found = train(lambda: dense(Mine(0.1)), record=False), train(lambda: dense(Mine(0.1)))
    assert found[:3] == plain[:3]
    assert "TypeError" in found[3].capture_reason


def test_a_device_without_memory_for_it():
    class Full(StandinGraphs):
        def capture(self, body):
            super().capture(body)
            raise MemoryError("no room")

    plain, found = train(dense, record=False), train(dense, graphs=Full())
    assert found[:3] == plain[:3]
    assert found[3].capture_reason == "MemoryError: no room"


@pytest.mark.parametrize("which", range(1, 6))
def test_no_memory_for_copies(which, monkeypatch):
    """Whenever it fails while a step is recorded and compared, training goes on as if nothing had been tried."""
    plain, calls, init = train(dense, record=False), [], Saved.__init__

    def full(self, model):
        calls.append(model)
        if len(calls) == which:
            raise MemoryError("full")
        init(self, model)

    monkeypatch.setattr(Saved, "__init__", full)
    found = train(dense)
    assert found[:3] == plain[:3]
    assert found[3].capture_reason == ("MemoryError: full" if which < 5 else None)


# --- mistakes that would make training wrong -----------------------------------------------------------------------


class Trusting(Recorded):
    """Replays without having compared."""

    def _verify(self, *batch):
        self._take = self._again
        self._again(*batch)


def baked_counter(patch):
    patch.setattr(layers.Dropout, "_next_call", lambda self: self._count())


def baked_rate(patch):
    patch.setattr(optimizers.base, "live", lambda function, shared=False: function())


def baked_step(patch):
    patch.setattr(optimizers.adam, "live", lambda function, shared=False: function())


def stale_inputs(patch):
    original = Recorded._run

    def run(self, *batch):
        inputs, self._inputs = self._inputs, [[None] * len(part) for part in self._inputs]
        original(self, *batch)
        self._inputs = inputs

    patch.setattr(Recorded, "_run", run)


def state_not_copied_back(patch):
    def run_body(self, at_once):
        self._numbers.begin(at_once)
        with capturing.recording(self._numbers):
            self.model.train_step(*self._inputs)

    patch.setattr(Recorded, "_run_body", run_body)


def counters_forgotten(patch):
    original = Recorded._watch

    def watch(self, *batch):
        original(self, *batch)
        self._counters = dict.fromkeys(self._counters, 0)

    patch.setattr(Recorded, "_watch", watch)


def numbers_not_refreshed(patch):
    patch.setattr(Numbers, "refresh", lambda self: None)


MISTAKES = [
    baked_counter,
    baked_rate,
    baked_step,
    stale_inputs,
    state_not_copied_back,
    counters_forgotten,
    numbers_not_refreshed,
]


def scheduled():
    return dense(optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_shows_here_and_is_never_trained_with(mistake, monkeypatch):
    plain = train(scheduled, record=False)
    mistake(monkeypatch)
    wrong = train(scheduled, recorded=Trusting)
    assert wrong[:3] != plain[:3]  # so these tests would have shown it
    found = train(scheduled)
    assert found[:3] == plain[:3]  # the comparison does, before a step is replayed in earnest
    assert found[3].capture_reason.startswith("a replayed step and a computed one differ in model")


# --- what fit does with it -----------------------------------------------------------------------------------------


def test_on_numpy_nothing_is_recorded():
    model = dense()
    assert type(training_step(model)) is Computed
    model.fit(X, Y, verbose=0)
    assert model.capture_reason == "only CUDA records steps, and the arrays are those of numpy"


def test_run_eagerly_is_a_reason(monkeypatch):
    monkeypatch.setattr(capturing.backend, "get_backend", lambda: "cupy")
    model = dense(run_eagerly=True)
    assert type(training_step(model)) is Computed and "run_eagerly=True" in model.capture_reason
    assert type(training_step(dense())) is Recorded


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("make", "x", "y"),
    [
        (dense, X, Y),
        (scheduled, X, Y),
        (recurrent(layers.LSTM), SEQUENCES, SEQUENCES[:, 0, :1]),
        (recurrent(layers.GRU), SEQUENCES, SEQUENCES[:, 0, :1]),
    ],
    ids=["dense", "schedule", "lstm", "gru"],
)
def test_on_a_card(make, x, y):
    pytest.importorskip("cupy")
    losses_found = []
    for eagerly in (True, False):
        backend.set_seed(5)
        with backend.use_backend("cupy"):
            model = make()
            model.run_eagerly = eagerly
            losses_found.append(model.fit(x, y, batch_size=8, epochs=6, verbose=0).history["loss"])
            assert eagerly or model.capture_reason is None, model.capture_reason
    assert losses_found[0] == losses_found[1]
