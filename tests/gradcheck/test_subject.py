import numpy as np
import pytest

from tests.gradcheck.operations import subject
from tinymed import backend
from tinymed.gradcheck.subject import dtype_name, flat, largest, leaves, like, upstream


def test_upstream_gradients_are_random_and_fit_the_output():
    y = np.ones((50, 4), "float32")
    dy = upstream(y, np.random.default_rng(0))
    assert dy.shape == y.shape and dy.dtype == y.dtype
    assert abs(dy.mean()) < 0.3 and 0.7 < dy.std() < 1.3
    pair = upstream([y, y[:2]], np.random.default_rng(0))
    assert [p.shape for p in pair] == [(50, 4), (2, 4)]


def test_lists_are_flattened_and_restored():
    y = [np.arange(4.0).reshape(2, 2), np.array([5.0], "float32")]
    np.testing.assert_array_equal(flat(y), [0, 1, 2, 3, 5])
    again = like(flat(y), y)
    assert [a.dtype for a in again] == [np.float64, np.float32]
    np.testing.assert_array_equal(again[0], y[0])
    assert len(leaves([None, y])) == 2 and flat(None).size == 0


def test_names_of_dtypes():
    strict = pytest.importorskip("array_api_strict")
    assert dtype_name(np.zeros(1, "float32")) == "float32"
    assert dtype_name(strict.asarray([1.0])) == "float64"
    assert largest(np.array([1.0, -3.0, np.inf])) == 3.0


def test_compare_says_where_and_what():
    row = subject().compare("gradient", "x", np.array([1.0, 2.0]), np.array([1.0, 4.0]), 1e-3)
    assert row.error == 0.5 and not row.ok
    assert row.note == "at element 1: 2 instead of 4"


def test_compare_wants_infinities_in_the_same_places():
    compare = subject().compare
    assert compare("x", "y", np.array([np.inf, np.nan]), np.array([np.inf, np.nan]), 0.0).ok
    assert not compare("x", "y", np.array([np.inf, 1.0]), np.array([-np.inf, 1.0]), 1.0).ok
    assert not compare("x", "y", np.array([np.nan]), np.array([1.0]), 1e9).ok
    assert not compare("x", "y", np.zeros(2), np.zeros(3), 1.0).ok
    assert compare("x", "y", np.zeros(0), np.zeros(0), 0.0).ok


def test_arrays_go_to_the_backend_in_use():
    strict = pytest.importorskip("array_api_strict")
    with backend.use_backend("array_api_strict", strict.Device("device1")):
        item = subject()
        y, gradients = item.at(item.draw(np.random.default_rng(0), "float64"))
    assert y.device == gradients["x"].device == strict.Device("device1")
