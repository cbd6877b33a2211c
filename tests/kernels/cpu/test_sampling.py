import numpy as np
import pytest

from tinymed.kernels.cpu import threads
from tinymed.ops import textbook, warp, warp_backward


def outcome(border, dtype, shape=(3, 11, 6, 2)):
    rng = np.random.default_rng(0)
    x, u = rng.standard_normal(shape).astype(dtype), (4 * rng.standard_normal((*shape[:3], 2))).astype(dtype)
    y, cache = warp(x, u, border=border)
    return [y, *warp_backward(rng.standard_normal(shape).astype(dtype), cache)]


@pytest.mark.parametrize("border", ["clamp", "zeros"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_the_textbook(border, dtype):
    found = outcome(border, dtype)
    with textbook():
        wanted = outcome(border, dtype)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, atol=1e-13 if dtype == "float64" else 5e-6)


def test_same_bits_for_any_number_of_threads():
    before = threads.num_threads()
    try:
        seen = []
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            seen.append([a.tobytes() for a in outcome("clamp", "float32", (5, 64, 50, 3))])
    finally:
        threads.set_num_threads(before)
    assert seen[0] == seen[1] == seen[2]


def test_views_and_mixed_precision():
    x = np.arange(48.0).reshape(1, 6, 8, 1)[:, ::-1, ::2]
    u = np.full((1, 6, 4, 2), 0.25)
    y, cache = warp(x, u)
    np.testing.assert_array_equal(y, warp(x.copy(), u.copy())[0])
    np.testing.assert_array_equal(warp_backward(y, cache)[0], warp_backward(y, warp(x.copy(), u)[1])[0])
    assert warp(x.astype("float32"), u)[0].shape == y.shape  # left to the textbook
