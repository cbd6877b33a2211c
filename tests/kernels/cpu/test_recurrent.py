"""Recurrent kernels: the textbook's numbers, the same bits for any number of threads and samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.kernels.cpu import threads
from tinymed.kernels.cpu.lanes import STEPS
from tinymed.ops import REGISTRY, lstm, lstm_backward, textbook

GATES = {"gru": 3, "lstm": 4, "simple_rnn": 1}


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
    bias = (2, columns) if kind == "gru" else (columns,)
    shapes = [(N, T, D), (D, columns), (U, columns), bias, *[(N, U)] * (2 if kind == "lstm" else 1)]
    arrays = [(0.5 * rng.standard_normal(shape)).astype(dtype) for shape in shapes[:3]]
    arrays += [rng.standard_normal(shape).astype(dtype) if draw(maybe) else None for shape in shapes[3:]]
    mask = rng.random((N, T)) < 0.6 if draw(maybe) else None
    scale = (2.0 * (rng.random((N, U)) < 0.5)).astype(dtype) if draw(maybe) else None
    count = 1 if kind == "simple_rnn" else 2
    # Gates without a limit let the numbers grow beyond all limits within a few steps.
    names = [draw(st.sampled_from(["tanh", "sigmoid", "relu", "linear"])), draw(st.sampled_from(["sigmoid", "tanh"]))]
    names = names[:count]
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


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("T", [STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS - 1])
def test_the_weights_gradient_is_whole_wherever_the_collected_steps_end(kind, T):
    rng = np.random.default_rng(T)
    columns = GATES[kind] * 5
    arguments = [rng.standard_normal(shape) * 0.3 for shape in ((18, T, 2), (2, columns), (5, columns))]
    with textbook():
        wanted = run(kind, arguments, 1)
    for a, b in zip(wanted, run(kind, arguments, 1), strict=True):
        if a is not None:
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)


def test_nan_stays_in_its_sequence():
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


@pytest.mark.parametrize("kind", GATES)
def test_any_memory_layout(kind):
    rng = np.random.default_rng(0)
    columns = 4 * GATES[kind]
    arguments = [rng.standard_normal(shape) for shape in ((5, 3, 2), (2, columns), (4, columns))]
    wanted = run(kind, arguments, 1)
    found = run(kind, [np.asfortranarray(a) for a in arguments], 1)
    for a, b in zip(wanted, found, strict=True):
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-12)
