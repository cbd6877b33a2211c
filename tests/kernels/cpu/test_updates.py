"""The compiled optimizer steps give the textbook's bits."""

import numpy as np
import pytest

from tinymed.kernels.cpu import threads
from tinymed.kernels.cpu import updates as kernels
from tinymed.ops import UPDATES, textbook

CASES = {
    "sgd": ("sgd_update", 0, 1, {"weight_decay": 0.1}),
    "sgd momentum": ("sgd_update", 1, 1, {"momentum": 0.9, "weight_decay": 0.1}),
    "sgd nesterov": ("sgd_update", 1, 1, {"momentum": 0.9, "nesterov": True}),
    "adam": ("adam_update", 2, 3, {"step": 3}),
    "adam amsgrad": ("adam_update", 3, 3, {"step": 1, "weight_decay": 0.1}),
    "rmsprop": ("rmsprop_update", 1, 3, {}),
    "rmsprop momentum": ("rmsprop_update", 2, 3, {"momentum": 0.9, "weight_decay": 0.1}),
    "rmsprop centered": ("rmsprop_update", 3, 3, {"momentum": 0.9, "rho": 0.7}),
    "adagrad": ("adagrad_update", 1, 1, {"weight_decay": 0.1}),
}


def draw(name, shape, dtype, seed=0):
    function, used, total, options = CASES[name]
    rng = np.random.default_rng(seed)
    w, g = (np.asarray(rng.standard_normal(shape), dtype=dtype) for _ in range(2))
    slots = [np.asarray(rng.random(shape), dtype=dtype) for _ in range(used)] + [None] * (total - used)
    return UPDATES[function], w, g, slots, options


def both(function, w, g, slots, options):
    with textbook():
        wanted = function(w, g, *slots, **options)
    return function(w, g, *slots, **options), wanted


def assert_same_bits(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_same_bits_as_the_textbook(name, dtype):
    for shape in [(1,), (), (0, 3), (7, 5), (3, kernels.SHARED_FROM)]:
        function, w, g, slots, options = draw(name, shape, dtype)
        found, wanted = both(function, w, g, slots, options)
        assert_same_bits(found, wanted)
        assert kernels._ready(w, g, tuple(slots), None) is not None
        function(w, g, *slots, **options, out=(w, *slots))
        assert_same_bits((w, *slots), wanted)


@pytest.mark.parametrize("name", CASES)
def test_same_bits_for_any_number_of_threads(name):
    shape = (kernels.SHARED_FROM + 7,)
    function, w, g, slots, options = draw(name, shape, "float32")
    many = function(w, g, *slots, **options)
    before = threads.num_threads()
    try:
        for count in (1, 3):
            threads.set_num_threads(count)
            assert_same_bits(function(w, g, *slots, **options), many)
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("name", CASES)
def test_not_a_number_and_infinity_pass_through(name):
    function, w, g, slots, options = draw(name, (8,), "float32")
    g[1], g[3], w[4], w[5] = np.nan, np.inf, np.inf, np.nan
    for slot in slots:
        if slot is not None:
            slot[6] = np.nan
    with np.errstate(all="ignore"):
        found, wanted = both(function, w, g, slots, options)
    assert_same_bits(found, wanted)


@pytest.mark.parametrize("name", CASES)
def test_other_layouts_and_dtypes_take_the_textbook(name):
    function, w, g, slots, options = draw(name, (6, 8), "float32")
    turned = [None if a is None else a.T for a in (w, g, *slots)]
    assert_same_bits(*both(function, turned[0], turned[1], turned[2:], options))
    strided = [None if a is None else a[::2, ::-1] for a in (w, g, *slots)]
    found, wanted = both(function, strided[0], strided[1], strided[2:], options)
    assert_same_bits(found, wanted)
    function(strided[0], strided[1], *strided[2:], **options, out=(strided[0], *strided[2:]))
    assert_same_bits((strided[0], *strided[2:]), wanted)
    function, w, g, slots, options = draw(name, (6, 8), "float32")
    assert_same_bits(*both(function, w, g.T.copy().T, slots, options))  # only the gradient is in another order
    found, wanted = both(function, w, g.astype("float64"), slots, options)
    assert_same_bits(found, wanted)


def test_read_only_weights_are_refused():
    function, w, g, slots, options = draw("adam", (4,), "float32")
    w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        function(w, g, *slots, **options, out=(w, *slots))
