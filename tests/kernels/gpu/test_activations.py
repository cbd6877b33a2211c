"""Activations: numbers by hand, and the list of kinds that Python and CUDA share."""

import re

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY
from tinymed.kernels.gpu import activations, reading

pytestmark = pytest.mark.usefixtures("on_host")


def test_python_and_cuda_list_the_same_kinds():
    text = (reading.SOURCES / "elements.cu").read_text()
    listed = re.search(r"enum \{([^}]*)\}", text)[1]
    assert [name.strip().lower() for name in listed.split(",")] == list(activations._KINDS)


def test_relu():
    y, cache = BODY["relu"](np.array([-2.0, 0.0, 3.0]))
    np.testing.assert_array_equal(y, [0, 0, 3])
    np.testing.assert_array_equal(BODY["relu_backward"](np.array([10.0, 20.0, 30.0]), cache), [0, 0, 30])
    y, cache = BODY["relu"](np.array([-2.0, 0.5, 1.0, 9.0]), 0.5, 6.0, 1.0)
    np.testing.assert_array_equal(y, [-1.5, -0.25, 0, 6])
    np.testing.assert_array_equal(BODY["relu_backward"](np.ones(4), cache), [0.5, 0.5, 0.5, 0])
    with pytest.raises(ValueError, match="max_value of 0 or more but got -1"):
        BODY["relu"](np.ones(2), max_value=-1.0)


def test_nothing_overflows():
    x = np.array([-1e4, 0.0, 1e4], np.float32)
    np.testing.assert_array_equal(BODY["sigmoid"](x)[0], [0, 0.5, 1])
    np.testing.assert_allclose(BODY["softplus"](x)[0], [0, np.log(2), 1e4], rtol=1e-6)
    np.testing.assert_array_equal(BODY["silu"](x)[0], [0, 0, 1e4])


def test_gradients_of_another_shape_go_to_the_textbook():
    _, cache = BODY["relu"](np.ones((2, 3)))
    assert BODY["relu_backward"](np.ones(3), cache).shape == (2, 3)


def test_finish_works_in_place():
    y = np.array([[-1.0, 2.0], [3.0, -9.0]])
    assert activations.finish(y, np.array([0.5, 1.0]), relu=True) is y
    np.testing.assert_array_equal(y, [[0, 3], [3.5, 0]])
    assert activations.finish(y, None) is y


def test_dropout():
    x, mask = np.array([1.0, np.nan, 3.0]), np.array([True, False, True])
    y, cache = BODY["dropout"](x, mask, 0.5)
    np.testing.assert_array_equal(y, [2, 0, 6])
    np.testing.assert_array_equal(BODY["dropout_backward"](np.ones(3), cache), [2, 0, 2])
    np.testing.assert_array_equal(BODY["dropout"](np.ones((2, 3)), mask[None], 0.5)[0], [[2, 0, 2]] * 2)  # repeated
    with pytest.raises(ValueError, match="rate"):
        BODY["dropout"](x, mask, 1.0)
