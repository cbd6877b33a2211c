"""The dense layer's products, shared out."""

import numpy as np
import pytest

from tinymed.ops import dense, dense_backward, textbook


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (32, 2000), (600, 300), (0, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_agrees_with_the_textbook(shape, bias):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal(shape), rng.standard_normal((shape[-1], 130))
    b = rng.standard_normal(130) if bias else None
    y, cache = dense(x, kernel, b)
    dy = rng.standard_normal(y.shape)
    found = [y, *dense_backward(dy, cache)]
    with textbook():
        y, cache = dense(x, kernel, b)
        expected = [y, *dense_backward(dy, cache)]
    for p, q in zip(found, expected, strict=True):
        assert (p is None) == (q is None)
        if p is not None:
            np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-10)


def test_input_gradient_is_left_out_on_request():
    y, cache = dense(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32))
    dx, dkernel, dbias = dense_backward(y, cache, input_gradient=False)
    assert dx is None
    assert dbias is None
    assert dkernel.dtype == np.float32


def test_wrong_size_is_refused_as_by_the_textbook():
    with pytest.raises(ValueError, match="3 values in its last axis"):
        dense(np.ones((2, 4)), np.ones((3, 4)))


def test_whole_numbers_go_to_the_textbook():
    assert dense(np.ones((2, 3), int), np.ones((3, 1), int))[0].dtype == np.dtype(int)
