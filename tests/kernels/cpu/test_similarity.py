import numpy as np
import pytest

from tinymed.kernels.cpu import threads
from tinymed.ops import mutual_information, mutual_information_backward, textbook


def outcome(dtype, shape=(3, 12, 9, 1), bins=16, odd=None):
    rng = np.random.default_rng(0)
    f, g = (rng.uniform(-0.1, 1.1, shape).astype(dtype) for _ in range(2))
    f[0, :3], g[0, 2:4] = 0, 1
    if odd is not None:
        g[1, 4, 4] = odd
    loss, cache = mutual_information(f, g, bins=bins)
    return loss, mutual_information_backward(rng.standard_normal(len(f)).astype(dtype), cache)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("bins", [4, 5, 32])
def test_agrees_with_the_textbook(dtype, tolerance, bins):
    found = outcome(dtype, bins=bins)
    with textbook():
        wanted = outcome(dtype, bins=bins)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype == dtype
        # The loss is what remains of entropies, which are numbers around one.
        np.testing.assert_allclose(a, b, atol=tolerance * max(np.abs(b).max(), 0.05))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number(odd):
    found = outcome("float64", odd=odd)
    with textbook():
        wanted = outcome("float64", odd=odd)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.isnan(a[0]), np.isnan(b[0]))
        np.testing.assert_allclose(a[2], b[2], atol=1e-12)
    assert np.isnan(found[0][1]) == np.isnan(wanted[0][1]) == np.isnan(odd)


def test_same_bits_for_any_number_of_threads():
    before = threads.num_threads()
    try:
        seen = []
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            seen.append([a.tobytes() for a in outcome("float32", (5, 40, 30, 1))])
    finally:
        threads.set_num_threads(before)
    assert seen[0] == seen[1] == seen[2]
