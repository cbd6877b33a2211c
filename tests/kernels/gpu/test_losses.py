"""Softmax and cross-entropies: numbers by hand, large scores, class numbers that are none."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY, Recorder
from tinymed.kernels.gpu import drivers, losses

pytestmark = pytest.mark.usefixtures("on_host")


def test_softmax_of_large_scores():
    y, cache = BODY["softmax"](np.array([[1e4, 1e4 + np.log(3.0)], [-1e4, 1e4]]))
    np.testing.assert_allclose(y, [[0.25, 0.75], [0, 1]], rtol=1e-10)
    np.testing.assert_allclose(
        BODY["softmax_backward"](np.array([[4.0, 0.0], [1.0, 1.0]]), cache), [[0.75, -0.75], [0, 0]]
    )
    np.testing.assert_array_equal(BODY["log_softmax"](np.array([0.0, -1000.0]))[0], [0, -1000])


def test_class_numbers():
    scores = np.zeros((5, 2))
    loss, cache = BODY["sparse_softmax_crossentropy"](np.array([1, 0, -1, 2, 7]), scores, -1)
    np.testing.assert_allclose(loss, [np.log(2), np.log(2), 0, np.nan, np.nan])
    dz = BODY["sparse_softmax_crossentropy_backward"](np.ones(5), cache)
    np.testing.assert_array_equal(dz, [[0.5, -0.5], [-0.5, 0.5], [0, 0], [0.5, 0.5], [0.5, 0.5]])
    loss, _ = BODY["sparse_softmax_crossentropy"](np.array([1.0, 0.0], np.float32), scores[:2])
    np.testing.assert_allclose(loss, np.log([2, 2]))


def test_binary():
    loss, cache = BODY["sigmoid_crossentropy"](np.array([[1.0], [0.0]]), np.array([[0.0], [1e4]]))
    np.testing.assert_allclose(loss, [np.log(2), 1e4])
    np.testing.assert_array_equal(BODY["sigmoid_crossentropy_backward"](np.ones(2), cache), [[-0.5], [1]])
    loss, cache = BODY["binary_crossentropy"](np.array([[1.0, 0.0]]), np.array([[0.5, 0.75]]))
    np.testing.assert_allclose(loss, [-(np.log(0.5) + np.log(0.25)) / 2])
    np.testing.assert_array_equal(BODY["binary_crossentropy_backward"](np.ones(1), cache), [[-1, 2]])


def test_probabilities_of_zero():
    loss, cache = BODY["categorical_crossentropy"](np.array([[1.0, 0.0]]), np.zeros((1, 2)))
    np.testing.assert_allclose(loss, [-np.log(1e-7)])
    np.testing.assert_array_equal(BODY["categorical_crossentropy_backward"](np.ones(1), cache), [[0, 0]])


@pytest.mark.parametrize("name", ["binary_crossentropy", "sparse_softmax_crossentropy"])
def test_caches_of_the_textbook_are_taken(name):
    """A forward of other dtypes is the textbook's; so is its backward."""
    target = np.array([[1, 0]]) if name == "binary_crossentropy" else np.array([1])
    mixed = target.astype("float32") if name == "binary_crossentropy" else target
    p = np.array([[0.5, 0.25]])
    if name == "sparse_softmax_crossentropy":
        p = p.astype("float16")
    loss, cache = BODY[name](mixed, p)
    assert BODY[f"{name}_backward"](np.ones_like(loss), cache).shape == (1, 2)


@pytest.mark.parametrize(("columns", "block"), [(1, (1, 256)), (2, (2, 128)), (10, (16, 16)), (999, (256, 1))])
def test_threads_share_a_row(columns, block):
    recorder = Recorder()
    with drivers.use_driver(recorder):
        x = np.ones((300, columns))
        losses.by_rows("softmax", (x, x), 300, columns)
    (launched,) = recorder.launched
    assert launched.block[:2] == block and launched.grid[0] * block[1] >= 300


def test_shapes_that_differ_are_the_textbooks_error():
    with pytest.raises(ValueError, match="one shape"):
        BODY["softmax_crossentropy"](np.ones((2, 3)), np.ones((2, 4)))
