import numpy as np
import pytest

from tinymed.ops import embedding, embedding_backward, textbook


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_the_textbook(dtype):
    rng = np.random.default_rng(0)
    ids = rng.integers(7, size=(5, 6))
    y, cache = embedding(rng.standard_normal((7, 3)).astype(dtype), ids)
    dy = rng.standard_normal(y.shape).astype(dtype)
    found = embedding_backward(dy, cache)
    with textbook():
        wanted = embedding_backward(dy, cache)
    assert found.dtype == wanted.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_large_table_does_not_make_it_slow():
    _, cache = embedding(np.zeros((200_000, 4), "float32"), np.arange(3000) * 50)
    found = embedding_backward(np.ones((3000, 4), "float32"), cache)
    assert found.sum() == 12_000 and (found[::50][:3000] == 1).all()
