"""The random kernels draw the textbook's bits, from a number or from a place in memory."""

import numpy as np
import pytest

from tinymed.kernels.gpu.launching import launch
from tinymed.kernels.gpu.random import _bernoulli, _random_bits, _uniform
from tinymed.live import live, recording, value
from tinymed.ops.random import bernoulli, normal, random_bits, uniform

KEYS = [(0, 0), (2**63 - 1, 12), (77, 2**40)]


@pytest.mark.parametrize(("key", "counter"), KEYS)
@pytest.mark.parametrize("count", [0, 1, 255, 257, 5000])
def test_words_are_the_textbooks(on_host, count, key, counter):
    like = np.zeros(1, "float32")
    found = _random_bits(like, count, key, counter)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, random_bits(like, count, key, counter))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (17, 5, 3)])
def test_numbers_and_masks_are_the_textbooks(on_host, shape, dtype):
    like = np.zeros(2, dtype)
    for key, counter in KEYS:
        found, wanted = _uniform(like, shape, key, counter), uniform(like, shape, key, counter)
        assert found.dtype == wanted.dtype == dtype and found.shape == shape
        np.testing.assert_array_equal(found, wanted)
        for probability in (0.0, 0.3, 1.0):
            mask = _bernoulli(like, shape, key, counter, probability)
            assert mask.dtype == bool
            np.testing.assert_array_equal(mask, bernoulli(like, shape, key, counter, probability))


class Places:
    """Records places, as a captured step does; ``write`` puts the next values there."""

    def __init__(self):
        self.made = []

    def place(self, like, formula, arguments, dtype):
        self.made.append((np.zeros((), dtype), formula, arguments))
        self.write()
        return self.made[-1][0]

    def write(self):
        for place, formula, arguments in self.made:
            place[...] = value(formula, arguments)


def test_a_place_in_memory_says_where_a_replay_begins(on_host):
    counter = iter(range(5, 100))
    like, places = np.zeros(1, "float32"), Places()
    with recording(places):
        step = live(lambda: next(counter))
        first = _bernoulli(like, (40,), 3, step, 0.5)
    np.testing.assert_array_equal(first, bernoulli(like, (40,), 3, 5, 0.5))
    (place, *_), grid = places.made[0], on_host.launches["random_choices"]
    places.write()
    again = np.empty(40, bool)
    launch("random_choices", 1, 256, (again, again.size, 0, place, 2**52))
    np.testing.assert_array_equal(again, bernoulli(like, (40,), 3, 6, 0.5))
    assert on_host.launches["random_choices"] == grid + 1


def test_a_negative_counter_is_an_error(on_host):
    with pytest.raises(ValueError, match="must not be negative"):
        _random_bits(np.zeros(1), 3, 1, -1)


@pytest.mark.gpu
def test_the_same_bits_on_a_card():
    cupy = pytest.importorskip("cupy")
    like, host = cupy.zeros(1, "float32"), np.zeros(1, "float32")
    for draw in (lambda x: random_bits(x, 1000, 7, 8), lambda x: uniform(x, (9, 111), 7, 8)):
        np.testing.assert_array_equal(draw(like).get(), draw(host))
    np.testing.assert_array_equal(bernoulli(like, (9, 99), 1, 2, 0.4).get(), bernoulli(host, (9, 99), 1, 2, 0.4))
    np.testing.assert_allclose(normal(like, (999,), 7, 8).get(), normal(host, (999,), 7, 8), atol=1e-5)
