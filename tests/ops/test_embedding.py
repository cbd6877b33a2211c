import sys

import numpy as np
import pytest

from tinymed.ops import embedding, embedding_backward, textbook

rng = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1, 3), (0,)])
def test_rows_are_taken_and_their_gradients_summed(shape):
    table, ids = rng.standard_normal((6, 4)), rng.integers(6, size=shape)
    y, cache = embedding(table, ids)
    np.testing.assert_array_equal(y, table[ids])
    dy = rng.standard_normal(y.shape)
    wanted = np.zeros_like(table)
    np.add.at(wanted, ids, dy)
    np.testing.assert_allclose(embedding_backward(dy, cache), wanted, rtol=1e-13, atol=1e-15)


def test_a_large_table_is_summed_block_by_block(monkeypatch):
    monkeypatch.setattr(sys.modules["tinymed.ops.embedding"], "_BLOCK", 8)
    ids = np.array([6, 0, 6])
    with textbook():
        _, cache = embedding(np.zeros((7, 2)), ids)
        found = embedding_backward(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), cache)
    np.testing.assert_array_equal(found[[0, 6]], [[3, 4], [6, 8]])
    assert not found[1:6].any()


def test_numbers_with_a_point_are_refused():
    with pytest.raises(ValueError, match="expects ids that are whole numbers but got float64"):
        embedding(np.zeros((2, 2)), np.array([1.0]))
