"""Recurrent kernels: the textbook's numbers, the same bits for any number of threads and samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from tinymed.kernels.cpu import recurrent, threads
from tinymed.ops import REGISTRY, lstm, lstm_backward, textbook

GATES = {"lstm": 4}


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


@st.composite
def problems(draw):
    kind = draw(st.sampled_from(sorted(GATES)))
    N, T, D, U = (draw(st.integers(1, most)) for most in (35, 5, 4, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    columns = GATES[kind] * U
    maybe = st.booleans()
    shapes = [(N, T, D), (D, columns), (U, columns), (columns,), *[(N, U)] * (2 if kind == "lstm" else 1)]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes[:3]]
    arrays += [rng.standard_normal(shape).astype(dtype) if draw(maybe) else None for shape in shapes[3:]]
    mask = rng.random((N, T)) < 0.6 if draw(maybe) else None
    scale = (2.0 * (rng.random((N, U)) < 0.5)).astype(dtype) if draw(maybe) else None
    names = [draw(st.sampled_from(["tanh", "sigmoid", "relu", "linear"])) for _ in range(2)]
    return kind, [*arrays, mask, scale, *names], rng.integers(1000)


def run(kind, arguments, seed):
    operation = REGISTRY[kind]
    y, cache = operation.forward(*arguments)
    outputs = y if isinstance(y, list) else [y]
    rng = np.random.default_rng(seed)
    dys = [rng.standard_normal(part.shape).astype(part.dtype) for part in outputs]
    return [*outputs, *operation.backward(dys if isinstance(y, list) else dys[0], cache)]


@settings(max_examples=60, deadline=None)
@given(problems())
def test_agrees_with_the_textbook_and_with_itself(problem):
    kind, arguments, seed = problem
    with textbook():
        expected = run(kind, arguments, seed)
    threads.set_num_threads(1)
    one = run(kind, arguments, seed)
    threads.set_num_threads(3)
    three = run(kind, arguments, seed)
    tolerance = 1e-4 if arguments[0].dtype == np.float32 else 1e-11
    for a, b, c in zip(expected, one, three, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype and a.shape == b.shape
            assert np.max(np.abs(a - b)) <= tolerance * max(np.max(np.abs(a)), 1.0)
            assert b.tobytes() == c.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_activations_are_exact_to_rounding(dtype):
    x = np.concatenate([np.linspace(-30, 30, 40001), np.geomspace(1e-30, 1, 301), [0.0]]).astype(dtype)
    for code, wanted in ((1, np.tanh), (2, expit)):
        y = x.copy()
        recurrent.activate(code, y, 0, len(y))
        np.testing.assert_allclose(y, wanted(x.astype("float64")), rtol=2 * 2 * np.finfo(dtype).eps)


def test_nan_and_infinity_stay_what_they_are():
    x = np.array([np.nan, np.inf, -np.inf, -500.0, 500.0], "float32")
    for code, wanted in (
        (0, x),
        (1, [np.nan, 1, -1, -1, 1]),
        (2, [np.nan, 1, 0, 0, 1]),
        (3, [np.nan, np.inf, 0, 0, 500]),
    ):
        y = x.copy()
        recurrent.activate(code, y, 0, len(y))
        np.testing.assert_allclose(y, wanted, atol=1e-30)
    rng = np.random.default_rng(0)
    arguments = [rng.standard_normal(shape).astype("float32") for shape in ((2, 3, 1), (1, 8), (2, 8))]
    arguments[0][0, 1, 0] = np.nan
    (h, c), _ = lstm(*arguments)
    assert np.isfinite(h[0, 0]).all() and np.isnan(h[0, 1:]).all() and np.isnan(c[0]).all() and np.isfinite(h[1]).all()


def test_what_it_cannot_do_is_left_to_the_textbook():
    rng = np.random.default_rng(0)
    arguments = [rng.standard_normal(shape) for shape in ((2, 3, 1), (1, 8), (2, 8))]
    for options in ({"activation": "softsign"}, {"recurrent_activation": "hard_sigmoid"}):
        y, cache = lstm(*arguments, **options)
        with textbook():
            wanted, _ = lstm(*arguments, **options)
        np.testing.assert_array_equal(y[0], wanted[0])
        assert lstm_backward(y, cache)[0].shape == (2, 3, 1)
    mixed, _ = lstm(arguments[0].astype("float32"), *arguments[1:])
    assert mixed[0].dtype == np.float64


def test_any_memory_layout():
    rng = np.random.default_rng(0)
    arguments = [rng.standard_normal(shape) for shape in ((5, 3, 2), (2, 16), (4, 16))]
    wanted = run("lstm", arguments, 1)
    found = run("lstm", [np.asfortranarray(a) for a in arguments], 1)
    for a, b in zip(wanted, found, strict=True):
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-12)
