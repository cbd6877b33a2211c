"""Losses against Keras: values under every reduction and weighting, and the gradient of the predictions."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.peers.compare import GRADIENTS, Row, assert_close, check_arguments, generator, host, same_meaning
from tinymed import losses

VALUES = 1e-5


@dataclass(frozen=True)
class LossRow(Row):
    """One configuration of a loss: what its targets and predictions are, and their shape."""

    true: str = "normal"
    pred: str = "normal"
    shape: tuple = (6, 4)

    __str__ = Row.__str__


def row(cls, true, pred, shape=(6, 4), **kwargs):
    spelled = [f"{key}={value}" for key, value in kwargs.items()]
    return LossRow(cls, kwargs, ",".join([*spelled, true, pred, str(shape)]), true, pred, shape)


BINARY = ("BinaryCrossentropy", "BinaryFocalCrossentropy")
CATEGORICAL = ("CategoricalCrossentropy", "CategoricalFocalCrossentropy")
REGRESSION = (
    "CosineSimilarity", "Huber", "LogCosh", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
)  # fmt: skip

ROWS = [
    *(
        row(cls, true, pred, from_logits=pred == "normal", **extra)
        for cls, true, probabilities in (
            *((cls, "bits", "unit") for cls in BINARY),
            *((cls, "one_hot", "softmax") for cls in CATEGORICAL),
        )
        for pred in (probabilities, "normal")
        for extra in ({}, {"label_smoothing": 0.2})
    ),
    row("BinaryCrossentropy", "unit", "unit"),
    row("BinaryCrossentropy", "bits", "unit", shape=(6, 1)),
    row("BinaryCrossentropy", "bits", "unit", shape=(2, 5, 4, 1)),
    row("BinaryCrossentropy", "bits", "saturated"),
    row("BinaryFocalCrossentropy", "bits", "unit", gamma=1.0, apply_class_balancing=True, alpha=0.4),
    row("BinaryFocalCrossentropy", "bits", "normal", gamma=3.0, apply_class_balancing=True, from_logits=True),
    row("CategoricalCrossentropy", "one_hot", "softmax", shape=(3, 5, 4)),
    row("CategoricalCrossentropy", "one_hot", "unit"),  # Keras divides by the sum
    row("CategoricalCrossentropy", "one_hot", "saturated"),
    row("CategoricalFocalCrossentropy", "one_hot", "softmax", alpha=0.6, gamma=1.0),
    row("CategoricalFocalCrossentropy", "one_hot", "normal", alpha=[0.1, 0.2, 0.3, 0.4], from_logits=True),
    row("SparseCategoricalCrossentropy", "classes", "softmax"),
    row("SparseCategoricalCrossentropy", "classes", "unit"),
    row("SparseCategoricalCrossentropy", "column", "softmax"),
    row("SparseCategoricalCrossentropy", "classes", "normal", from_logits=True),
    row("SparseCategoricalCrossentropy", "classes", "normal", shape=(3, 5, 4), from_logits=True),
    row("SparseCategoricalCrossentropy", "classes", "softmax", shape=(3, 5, 4), ignore_class=1),
    row("SparseCategoricalCrossentropy", "classes", "normal", shape=(12, 4), from_logits=True, ignore_class=2),
    *(row(cls, "normal", "normal") for cls in REGRESSION),
    *(row(cls, "normal", "normal", shape=(3, 4, 2)) for cls in REGRESSION),
    row("Huber", "normal", "normal", delta=0.3),
    row("CosineSimilarity", "normal", "normal", axis=1, shape=(3, 4, 2)),
    row("MeanSquaredLogarithmicError", "unit", "unit"),
    row("KLDivergence", "softmax", "softmax"),
    row("KLDivergence", "one_hot", "softmax"),
    row("Poisson", "unit", "unit"),
    row("Hinge", "signs", "normal"),
    row("Hinge", "bits", "normal"),
    row("SquaredHinge", "signs", "normal"),
    row("SquaredHinge", "bits", "normal"),
    row("CategoricalHinge", "one_hot", "normal"),
    *(
        row(cls, "bits", "unit", shape=(3, 4, 5, 2), axis=axis, **extra)
        for cls, extra in (("Dice", {}), ("Tversky", {}), ("Tversky", {"alpha": 0.3, "beta": 0.7}))
        for axis in (None, (1, 2, 3))
    ),
]
CLASSES = sorted({item.cls for item in ROWS})
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def draw(kind, shape, rng):
    """Return targets or predictions of a kind."""
    kinds = {
        "normal": lambda: rng.standard_normal(shape),
        "unit": lambda: rng.uniform(0.05, 0.95, shape),
        "softmax": lambda: softmax(rng.standard_normal(shape)),
        "saturated": lambda: rng.choice([0.0, 1e-9, 0.4, 1.0], shape),
        "bits": lambda: rng.integers(2, size=shape),
        "signs": lambda: rng.choice([-1, 1], shape),
        "one_hot": lambda: np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])],
        "classes": lambda: rng.integers(shape[-1], size=shape[:-1]),
        "column": lambda: rng.integers(shape[-1], size=(*shape[:-1], 1)),
    }
    values = kinds[kind]()
    return values.astype("int64" if kind in ("classes", "column") else "float32")


def weightings(row, rng):
    """Return weights for tinymed and for Keras: none, one for each sample, one for each value.

    Where a sample has several values Keras must be given a weight for each of them.
    """
    per_sample = rng.uniform(0.2, 2.0, row.shape[0]).astype("float32")
    per_sample[0] = 0.0
    if len(row.shape) == 2 or row.cls in ("Dice", "Tversky"):
        return [(None, None), (per_sample, per_sample)]
    axis = row.kwargs.get("axis", -1) % len(row.shape)
    shape = row.shape[:axis] + row.shape[axis + 1 :]
    per_value = rng.uniform(0.2, 2.0, shape).astype("float32")
    spread = np.broadcast_to(per_sample.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return [(None, None), (per_sample, spread), (per_value, per_value)]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_values_and_gradients_are_keras_s(row, keras, tf):
    rng = generator(row)
    y_true, y_pred = draw(row.true, row.shape, rng), draw(row.pred, row.shape, rng)
    tensor = tf.constant(y_pred)
    for weights, keras_weights in weightings(row, rng):
        for reduction in REDUCTIONS:
            what = f"{reduction}, {'no weights' if weights is None else f'weights {weights.shape}'}"
            ours = getattr(losses, row.cls)(**row.kwargs, reduction=reduction)
            theirs = getattr(keras.losses, row.cls)(**row.kwargs, reduction=reduction)
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                expected = theirs(y_true, tensor, sample_weight=keras_weights)
                dloss = rng.standard_normal(expected.shape).astype("float32")
                total = tf.reduce_sum(expected * dloss)
            loss, cache = ours.forward(y_true, y_pred, sample_weight=weights)
            assert loss.dtype == np.float32
            # Where values of both signs cancel in the sum, their rounding errors do not.
            values = host(getattr(keras.losses, row.cls)(**row.kwargs, reduction="none")(y_true, y_pred, keras_weights))
            cancels = 1.0 if loss.shape else float(np.sum(np.abs(values)) / np.abs(np.sum(values)))
            assert_close(loss, expected, VALUES * cancels, f"loss, {what}")
            got = ours.backward(cache, dloss if dloss.shape else float(dloss))
            assert got.dtype == np.float32
            assert_close(got, tape.gradient(total, tensor), GRADIENTS, f"gradient, {what}")


@pytest.mark.parametrize("cls", CLASSES)
def test_functions_return_keras_s_values(cls, keras):
    (row, *_) = [row for row in ROWS if row.cls == cls]
    rng = generator(row)
    y_true, y_pred = draw(row.true, row.shape, rng), draw(row.pred, row.shape, rng)
    names = [name for name, function in losses.FUNCTIONS.items() if function.loss_class.__name__ == cls]
    assert names
    for name in names:
        theirs = getattr(keras.losses, name, None) or getattr(keras.losses, names[0])
        assert_close(losses.FUNCTIONS[name](y_true, y_pred), theirs(y_true, y_pred), VALUES, name)
        assert losses.get(name).get_config() == getattr(losses, cls)().get_config()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_configurations_are_keras_s(row, keras):
    ours, theirs = getattr(losses, row.cls)(**row.kwargs), getattr(keras.losses, row.cls)(**row.kwargs)
    config, wanted = ours.get_config(), theirs.get_config()
    assert set(wanted) - set(config) <= {"dtype"}
    for key in config.keys() & wanted.keys():
        assert same_meaning(config[key], wanted[key]), key


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(losses, name), getattr(keras.losses, name), {"dtype"})


def test_every_loss_is_compared():
    without_a_counterpart = {
        "DiceCrossentropy",
        "DisplacementSmoothness",
        "LocalCorrelation",
        "MutualInformation",
        "HeatmapFocalCrossentropy",
    }
    assert set(losses.CLASSES) - without_a_counterpart == set(CLASSES)
