"""Embedding and warping: sums in a fixed order, ids that name no row, places outside the image."""

import numpy as np
import pytest

from tests.kernels.gpu.proofs import BODY
from tinymed.ops import embedding, warp

pytestmark = pytest.mark.usefixtures("on_host")


@pytest.mark.parametrize("columns", [1, 300])
def test_embedding_adds_each_gradient_to_its_row(columns):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 5, (30, 20))
    dy = rng.standard_normal((30, 20, columns))
    _, cache = embedding.textbook(np.zeros((6, columns)), ids)
    wanted = np.zeros((6, columns))
    np.add.at(wanted, ids, dy)
    np.testing.assert_allclose(BODY["embedding_backward"](dy, cache), wanted, rtol=1e-12, atol=1e-12)


def test_ids_that_name_no_row_add_nothing():
    dtable = BODY["embedding_backward"](np.ones((3, 2)), (np.array([-1, 1, 7], np.int32), 2))
    np.testing.assert_array_equal(dtable, [[0, 0], [1, 1]])


@pytest.mark.parametrize("border", ["clamp", "zeros"])
def test_all_pixels_look_at_one(border, host_driver):
    """All gradients meet in one pixel: the same sum, in the same order, however often."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 9, 9, 2)).astype("float32")
    rows, columns = np.mgrid[:9, :9]
    displacement = np.stack([4 - rows, 4 - columns], axis=-1)[None].astype("float32")
    y, cache = BODY["warp"](x, displacement, border)
    np.testing.assert_array_equal(y, np.broadcast_to(x[:, 4:5, 4:5], x.shape))
    dx, du = BODY["warp_backward"](x, cache)
    np.testing.assert_allclose(dx[0, 4, 4], x.sum(axis=(0, 1, 2)), rtol=1e-5)
    assert np.count_nonzero(dx) == 2
    alone, again = BODY["warp_backward"](x, cache, input_gradient=False)
    assert alone is None and again.tobytes() == du.tobytes()


def test_nan_and_places_far_outside():
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    displacement = np.zeros((1, 2, 2, 2))
    displacement[0, 0, 0, 0], displacement[0, 1, 1, 1] = np.nan, 1e30
    for border in ("clamp", "zeros"):
        y, _ = BODY["warp"](x, displacement, border)
        np.testing.assert_array_equal(y, warp.textbook(x, displacement, border)[0])
