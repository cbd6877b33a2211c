"""Shared matrix products."""

import numpy as np
import pytest

from tinymed.kernels.cpu import threads
from tinymed.kernels.cpu.products import product


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1),
        (3, 5, 2),
        (32, 700, 130),
        (1000, 40, 33),
        (40, 33, 1000),
        (17, 300, 300),
        (9, 9000, 20),
        (0, 3, 4),
        (3, 0, 4),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_same_product_and_same_bits_for_any_number_of_threads(shape, turned):
    rng = np.random.default_rng(0)
    rows, inner, columns = shape
    a = rng.standard_normal((inner, rows)).T if turned else rng.standard_normal((rows, inner))
    b = rng.standard_normal((columns, inner)).T if turned else rng.standard_normal((inner, columns))
    found = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        found.append(product(a, b))
        assert found[-1].flags.c_contiguous
    np.testing.assert_allclose(found[0], a @ b, rtol=1e-12, atol=1e-12)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
