"""Batches: order, completeness, and the names of what is wrong."""

import numpy as np
import pytest

from tinymed import backend
from tinymed.models import data


def test_batches_cover_everything_once_in_a_new_order():
    x, y = np.arange(10), np.arange(10) * 2
    rng = np.random.default_rng(0)
    seen = [(bx, by) for bx, by in data.batches([x, y], 4, rng)]
    assert [len(bx) for bx, _ in seen] == [4, 4, 2]
    joined = np.concatenate([bx for bx, _ in seen])
    assert sorted(joined) == list(range(10))
    assert list(joined) != list(range(10))
    for bx, by in seen:
        np.testing.assert_array_equal(by, 2 * bx)


def test_without_a_generator_the_order_stays_and_none_stays_none():
    (bx, none), *_ = data.batches([np.arange(5), None], 5)
    np.testing.assert_array_equal(bx, np.arange(5))
    assert none is None


def test_split_tail_takes_the_end():
    (x,), (v,) = data.split_tail([np.arange(10)], 0.2)
    assert list(x) == list(range(8))
    assert list(v) == [8, 9]
    with pytest.raises(ValueError, match="between 0 and 1"):
        data.split_tail([np.arange(10)], 1.5)
    with pytest.raises(ValueError, match="leaves one part empty"):
        data.split_tail([np.arange(2)], 0.8)


def test_inputs_by_name():
    a, b = np.ones((2, 1)), np.zeros((2, 1))
    found = data.as_arrays({"b": b, "a": a}, ["a", "b"], "x", nested=True)
    np.testing.assert_array_equal(found[0], a)
    with pytest.raises(ValueError, match="no entry 'b'"):
        data.as_arrays({"a": a}, ["a", "b"], "x", nested=True)
    with pytest.raises(ValueError, match="3 arrays but the model needs 2"):
        data.as_arrays([a, b, b], ["a", "b"], "x", nested=True)


def test_where_the_nan_is():
    x = np.zeros((4, 3))
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN \(1 values, the first at \(2, 1\)\)"):
        data.as_arrays(x, ["x"], "x", nested=False)
    huge = np.full(8, 1e308)
    huge[::2] *= -1
    data.as_arrays(np.full(8, 1e308), ["x"], "x", nested=False)  # a sum that overflows is no infinity in the data


def test_class_weights_of_one_hot_rows():
    np.testing.assert_array_equal(data.class_weights(np.eye(3)[[2, 0]], {0: 1, 1: 2, 2: 3}), [3, 1])


class Lazy(backend.LazyArray):
    shape, dtype = (10, 1), np.dtype("float32")

    def __init__(self):
        self.most = 0

    def read(self, places):
        self.most = max(self.most, len(places))
        return places[:, None].astype("float32")


def test_lazy_samples_are_read_batch_by_batch():
    x = Lazy()
    (same,) = data.as_arrays(x, ["x"], "x", nested=False)
    assert same is x
    (head, y), (tail, _) = data.split_tail([x, np.arange(10)], 0.2)
    assert head.shape == (8, 1) and tail[:].tolist() == [[8], [9]]
    for bx, by in data.batches([head, y], 3, np.random.default_rng(0)):
        np.testing.assert_array_equal(bx[:, 0], by)
    assert x.most == 3
