"""Cases of the losses: their operations, and the objects with reductions and weights."""

from collections.abc import Callable

import numpy as np

from tinymed import losses
from tinymed.gradcheck.case import Draw, LossCase, OpCase

Rng = np.random.Generator


def _probabilities(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.05, 0.95, shape)


def _binary(*shape: int) -> Draw:
    return lambda rng: rng.integers(0, 2, shape).astype(np.float64)


def _classes(classes: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(0, classes, shape)


def _one_hot(classes: int, *shape: int) -> Draw:
    return lambda rng: np.eye(classes)[rng.integers(0, classes, shape)]


def _positive(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.2, 3.0, shape)


def _with_ignored(classes: int, *shape: int) -> Draw:
    """Class numbers, the first of which is -1."""

    def draw(rng: Rng) -> np.ndarray:
        labels = rng.integers(0, classes, shape)
        labels.reshape(-1)[0] = -1
        return labels

    return draw


def _case(op: str, y_true: tuple | Draw, y_pred: tuple | Draw, label: str = "", **options: object) -> OpCase:
    return OpCase(op, {"y_true": y_true, "y_pred": y_pred}, fixed=("y_true",), options=options, label=label)


def _analytic(op: str, y_true: tuple | Draw, y_pred: tuple | Draw, label: str = "", **options: object) -> OpCase:
    arrays = {"y_true": y_true, "y_pred": y_pred}
    return OpCase(op, arrays, fixed=("y_true",), options=options, label=label, analytic=True)


_weights = {"label_smoothing": 0.1, "apply_class_balancing": True, "alpha": 0.7, "gamma": 1.5}

OP_CASES = [
    _case("sigmoid_crossentropy", _binary(5, 1), (5, 1)),
    _case("sigmoid_crossentropy", _probabilities(2, 3, 4), (2, 3, 4), "soft targets", label_smoothing=0.2),
    _case("binary_crossentropy", _binary(5, 1), _probabilities(5, 1)),
    _case("binary_crossentropy", _binary(2, 3, 4), _probabilities(2, 3, 4), "smoothed", label_smoothing=0.2),
    _case("softmax_crossentropy", _one_hot(4, 5), (5, 4)),
    _case("softmax_crossentropy", _probabilities(2, 3, 4), (2, 3, 4), "targets of any sum", label_smoothing=0.2),
    _case("categorical_crossentropy", _one_hot(4, 5), _probabilities(5, 4)),
    _case("categorical_crossentropy", _one_hot(4, 2, 3), _probabilities(2, 3, 4), "smoothed", label_smoothing=0.2),
    _case("sparse_softmax_crossentropy", _classes(4, 5), (5, 4)),
    _case("sparse_softmax_crossentropy", _with_ignored(4, 2, 3), (2, 3, 4), "a class ignored", ignore_class=-1),
    _case("sparse_categorical_crossentropy", _classes(4, 5), _probabilities(5, 4)),
    _case(
        "sparse_categorical_crossentropy",
        _with_ignored(4, 2, 3),
        _probabilities(2, 3, 4),
        "a class ignored",
        ignore_class=-1,
    ),
    _case("sigmoid_focal_crossentropy", _binary(5, 1), (5, 1)),
    _case("sigmoid_focal_crossentropy", _binary(2, 3, 4), (2, 3, 4), "balanced, smoothed", **_weights),
    _case("sigmoid_focal_crossentropy", _binary(5, 2), (5, 2), "gamma 0", gamma=0.0),
    _case("binary_focal_crossentropy", _binary(5, 1), _probabilities(5, 1)),
    _case("binary_focal_crossentropy", _binary(2, 3), _probabilities(2, 3), "balanced, smoothed", **_weights),
    _case("softmax_focal_crossentropy", _one_hot(4, 5), (5, 4)),
    _case("softmax_focal_crossentropy", _one_hot(2, 2, 3), (2, 3, 2), "a weight per class", alpha=[0.2, 0.8]),
    _case("categorical_focal_crossentropy", _one_hot(4, 5), _probabilities(5, 4)),
    _case(
        "categorical_focal_crossentropy",
        _one_hot(2, 2, 3),
        _probabilities(2, 3, 2),
        "smoothed",
        alpha=[0.2, 0.8],
        gamma=0.5,
        label_smoothing=0.2,
    ),
    _analytic("mean_squared_error", (5, 2), (5, 2)),
    _analytic("mean_squared_error", (2, 3, 4, 1), (2, 3, 4, 1), "images"),
    _case("mean_absolute_error", (5, 2), (5, 2)),
    _case("mean_absolute_percentage_error", _positive(5, 2), (5, 2)),
    _case("mean_squared_logarithmic_error", _positive(5, 2), _positive(5, 2)),
    _case("huber", (5, 3), (5, 3)),
    _case("huber", (5, 3), (5, 3), "delta 0.3", delta=0.3),
    _case("log_cosh", (5, 3), (5, 3)),
    _case("hinge", _binary(5, 3), (5, 3), "targets of 0 and 1"),
    _case("hinge", lambda rng: rng.choice([-1.0, 1.0], (5, 3)), (5, 3)),
    _case("squared_hinge", lambda rng: rng.choice([-1.0, 1.0], (5, 3)), (5, 3)),
    _case("categorical_hinge", _one_hot(4, 5), (5, 4)),
    _case("kl_divergence", _probabilities(5, 4), _probabilities(5, 4)),
    _analytic("poisson", _positive(5, 2), _positive(5, 2)),
    _case("cosine_similarity", (5, 4), (5, 4)),
    _case("cosine_similarity", (2, 3, 4), _positive(2, 3, 4), "axis 1", axis=1),
    _analytic("dice_loss", _binary(2, 3, 4, 1), _probabilities(2, 3, 4, 1)),
    _analytic("dice_loss", _binary(2, 3, 4, 1), _probabilities(2, 3, 4, 1), "per image", axis=(1, 2, 3)),
    _analytic("tversky_loss", _binary(2, 3, 4, 1), _probabilities(2, 3, 4, 1), alpha=0.3, beta=0.7),
    _analytic("tversky_loss", _binary(2, 3, 4), _probabilities(2, 3, 4), "per row", axis=-1),
    _case("softmax_dice_crossentropy", _classes(3, 2, 3, 4), (2, 3, 4, 3)),
    _case("softmax_dice_crossentropy", _classes(2, 2, 3), (2, 3, 4), "two classes missing", dice_weight=0.3),
    _case("softmax_dice_crossentropy", _classes(3, 5), (5, 3), "with the background", smooth=0.1, background=True),
    _case("dice_crossentropy", _classes(3, 2, 3, 4), _probabilities(2, 3, 4, 3)),
    _case("dice_crossentropy", _classes(3, 5), _probabilities(5, 3), "with the background", background=True),
]


def _loss(
    make: Callable[[], losses.Loss],
    y_true: tuple | Draw,
    y_pred: tuple | Draw,
    label: str = "",
    sample_weight: Draw | None = None,
) -> LossCase:
    return LossCase(make, y_true, y_pred, sample_weight, label)


LOSS_CASES = [
    _loss(lambda: losses.BinaryCrossentropy(), _binary(5), _probabilities(5, 1), "targets without the last axis"),
    _loss(lambda: losses.BinaryCrossentropy(from_logits=True), _binary(5, 1), (5, 1), "logits, weighted", _positive(5)),
    _loss(lambda: losses.BinaryCrossentropy(), _binary(2, 3, 3, 1), _probabilities(2, 3, 3, 1), "masks", _positive(2)),
    _loss(lambda: losses.BinaryFocalCrossentropy(), _binary(5, 1), _probabilities(5, 1)),
    _loss(lambda: losses.BinaryFocalCrossentropy(from_logits=True), _binary(5, 2), (5, 2), "logits"),
    _loss(lambda: losses.CategoricalCrossentropy(), _one_hot(4, 5), _probabilities(5, 4)),
    _loss(lambda: losses.CategoricalCrossentropy(True, 0.1), _one_hot(4, 5), (5, 4), "logits, smoothed"),
    _loss(lambda: losses.CategoricalFocalCrossentropy(), _one_hot(4, 5), _probabilities(5, 4)),
    _loss(lambda: losses.CategoricalFocalCrossentropy(from_logits=True), _one_hot(4, 5), (5, 4), "logits"),
    _loss(lambda: losses.SparseCategoricalCrossentropy(), _classes(4, 5, 1), _probabilities(5, 4), "column of targets"),
    _loss(
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
        _with_ignored(4, 2, 3),
        (2, 3, 4),
        "logits, a class ignored, weighted",
        _positive(2, 3),
    ),
    _loss(lambda: losses.MeanSquaredError(), (5,), (5, 1), "targets without the last axis"),
    _loss(lambda: losses.MeanSquaredError(reduction="sum"), (5, 2), (5, 2), "sum, weighted", _positive(5, 1)),
    _loss(
        lambda: losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        (5, 3, 2),
        (5, 3, 2),
        "mean with sample weight",
        _positive(5),
    ),
    _loss(lambda: losses.MeanAbsoluteError(), (5, 2), (5, 2)),
    _loss(lambda: losses.MeanAbsolutePercentageError(), _positive(5, 2), (5, 2)),
    _loss(lambda: losses.MeanSquaredLogarithmicError(), _positive(5, 2), _positive(5, 2)),
    _loss(lambda: losses.Huber(delta=0.5), (5, 2), (5, 2)),
    _loss(lambda: losses.LogCosh(), (5, 2), (5, 2)),
    _loss(lambda: losses.Hinge(), _binary(5, 1), (5, 1)),
    _loss(lambda: losses.SquaredHinge(), _binary(5, 1), (5, 1)),
    _loss(lambda: losses.CategoricalHinge(), _one_hot(4, 5), (5, 4)),
    _loss(lambda: losses.KLDivergence(), _probabilities(5, 4), _probabilities(5, 4)),
    _loss(lambda: losses.Poisson(), _positive(5, 2), _positive(5, 2)),
    _loss(lambda: losses.CosineSimilarity(), (5, 4), (5, 4)),
    _loss(lambda: losses.Dice(), _binary(2, 3, 3, 1), _probabilities(2, 3, 3, 1)),
    _loss(lambda: losses.Dice(), _binary(2, 3, 3, 1), _probabilities(2, 3, 3, 1), "one value, weighted", _positive(2)),
    _loss(lambda: losses.Dice(axis=(1, 2, 3)), _binary(2, 3, 3), _probabilities(2, 3, 3, 1), "per image", _positive(2)),
    _loss(lambda: losses.Tversky(0.3, 0.7), _binary(2, 3, 3, 1), _probabilities(2, 3, 3, 1)),
    _loss(lambda: losses.DiceCrossentropy(), _classes(3, 2, 3, 3, 1), _probabilities(2, 3, 3, 3), "", _positive(2)),
    _loss(lambda: losses.DiceCrossentropy(0.5, from_logits=True), _classes(3, 2, 3, 3), (2, 3, 3, 3), "logits"),
    _loss(lambda: losses.OperationLoss("log_cosh"), (5, 2), (5, 2), "an operation as a loss"),
]
