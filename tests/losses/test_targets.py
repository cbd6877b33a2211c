"""What the losses say of targets that they cannot use."""

import numpy as np
import pytest

from tinymed import losses

SPARSE, ONE_HOT, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"


@pytest.mark.parametrize(
    "name, y, pred_shape",
    [
        (SPARSE, np.array([0, 1, 9]), (None, 10)),
        (SPARSE, np.array([[0], [1], [9]], dtype=np.uint8), (32, 10)),
        (SPARSE, np.array([0.0, 2.0]), (None, 3)),
        (SPARSE, np.zeros((5, 8, 8, 1), int), (None, 8, 8, 3)),
        (SPARSE, np.zeros((5, 7), int), (None, None, 3)),
        (ONE_HOT, np.eye(3), (None, 3)),
        (ONE_HOT, np.full((4, 3), 1 / 3), (None, 3)),
        (BINARY, np.array([0, 1]), (None, 1)),
        (BINARY, np.array([[True], [False]]), (None, 1)),
        (BINARY, np.array([[0, 1, 1]]), (None, 3)),
        (BINARY, np.zeros((2, 8, 8)), (None, 8, 8, 1)),
        ("mse", np.array([-3.0, 1e6]), (None, 1)),
        ("mse", np.zeros((0, 2)), (None, 2)),
    ],
)
def test_good_targets_pass(name, y, pred_shape):
    losses.get(name).check_targets(y, pred_shape)


@pytest.mark.parametrize(
    "name, y, pred_shape, message",
    [
        (SPARSE, [1, 2, 3], (None, 3), "class numbers from 0 to 2, .* the values 1, 2, 3; they seem to start at 1"),
        (SPARSE, [0, 7], (None, 3), "got the values 0, 7; the last layer needs 8 units"),
        (SPARSE, [-1, 0, 1], (None, 3), "if -1 marks what is not to be counted, set ignore_class=-1"),
        (SPARSE, [0, 1, 255], (None, 3), "if 255 marks .* set ignore_class=255"),
        (SPARSE, [-2, -1, 0], (None, 3), "class numbers are not negative"),
        (SPARSE, list(range(-50, 50)), (None, 3), "got values from -50 to 49"),
        (SPARSE, [0.5, 1.0], (None, 3), "expects class numbers, whole numbers from 0 on, but got the values 0.5, 1"),
        (
            SPARSE,
            np.eye(3),
            (None, 3),
            r"targets of shape \(N,\) for predictions of shape \(N, 3\) but got \(N, 3\): they ",
        ),
        (SPARSE, np.eye(3), (None, 3), "seem to be one-hot: use loss='categorical_crossentropy'.*np.argmax"),
        (SPARSE, [0, 1], (None, 1), "one output cannot tell classes apart: use loss='binary_crossentropy'"),
        (SPARSE, np.zeros((2, 5), int), (None, 4, 3), "one class number for each prediction"),
        (ONE_HOT, [0, 1, 2], (None, 3), r"seem to be class numbers: use loss='sparse_.*utils.to_categorical\(y, 3\)"),
        (ONE_HOT, [[0], [1], [2]], (None, 3), "seem to be class numbers"),
        (ONE_HOT, np.eye(4), (None, 3), "one-hot targets have 3 values, one for each unit of the last layer"),
        (ONE_HOT, 2 * np.eye(3), (None, 3), "expects targets between 0 and 1 but got the values 0, 2"),
        (BINARY, [-1, 1], (None, 1), r"the values -1, 1; \(y \+ 1\) / 2 turns -1 and 1 into 0 and 1"),
        (BINARY, [0, 1, 2], (None, 1), "look like class numbers: use sparse_categorical_crossentropy"),
        (BINARY, [0, 255], (None, 1), r"8-bit mask: \(y > 127\)"),
        (BINARY, [0.5, -7.25], (None, 1), "use a loss of regression"),
        (BINARY, [0, 1], (None, 2), r"the model answers with 2 values .* Dense\(1, activation='sigmoid'\)"),
        (BINARY, np.eye(2), (None, 1), "one-hot targets need 2 outputs with softmax"),
        (BINARY, np.zeros((2, 4, 4, 1)), (None, 8, 8, 1), "the same height, width and channels"),
        (
            "mse",
            np.zeros((4, 3)),
            (None, 2),
            r"\(N, 2\) for predictions of shape \(N, 2\) but got \(N, 3\): the last layer's",
        ),
        ("mse", [1.0, np.nan, np.inf], (None, 1), "got targets with 2 values that are NaN or infinite"),
        ("mse", ["cat", "dog"], (None, 1), "needs targets that are numbers but got <U3; np.unique"),
    ],
)
def test_bad_targets_are_explained(name, y, pred_shape, message):
    with pytest.raises(ValueError, match=message) as caught:
        losses.get(name).check_targets(np.array(y), pred_shape)
    assert losses.get(name).name in str(caught.value)


def test_the_ignored_class_may_occur():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    loss.check_targets(np.array([0, 1, 255], np.uint8), (None, 2))
    loss.check_targets(np.array([255, 255], np.uint8), (None, 2))
    with pytest.raises(ValueError, match="the values 0, 1, 7"):
        loss.check_targets(np.array([0, 1, 255, 7], np.uint8), (None, 2))
