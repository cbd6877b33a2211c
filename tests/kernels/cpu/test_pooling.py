"""Pooling kernels: the textbook's numbers, the same bits for any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymed.kernels.cpu import threads
from tinymed.ops import REGISTRY, average_pool2d, max_pool2d, max_pool2d_backward, textbook


@pytest.fixture(autouse=True)
def restore():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


@st.composite
def problems(draw):
    axes = draw(st.integers(1, 3))
    per_axis = st.tuples(*[st.integers(1, 4)] * axes)
    shape = (draw(st.integers(1, 3)), *draw(st.tuples(*[st.integers(1, 9)] * axes)), draw(st.integers(1, 5)))
    size = int(np.prod(shape))
    special = st.sampled_from([0.0, 1.0, -1.0, 2.5, float("nan"), float("inf"), -float("inf")])
    values = draw(st.lists(special, min_size=min(size, 24), max_size=min(size, 24)))
    return {
        "x": np.resize(np.array(values, draw(st.sampled_from(["float32", "float64"]))), shape),
        "arguments": (draw(per_axis), draw(per_axis), draw(st.sampled_from(["valid", "same"]))),
        "axes": axes,
    }


@settings(max_examples=80, deadline=None)
@given(problems())
@pytest.mark.parametrize("kind", ["max", "average"])
def test_agrees_with_the_textbook_and_with_itself(kind, problem):
    operation = REGISTRY[f"{kind}_pool{problem['axes']}d"]

    def run():
        try:
            y, cache = operation.forward(problem["x"], *problem["arguments"])
        except ValueError as error:
            return str(error)
        dy = np.random.default_rng(0).standard_normal(y.shape).astype(y.dtype)
        return y, operation.backward(dy, cache)

    with np.errstate(invalid="ignore"):  # inf - inf in an average
        with textbook():
            expected = run()
        threads.set_num_threads(1)
        one = run()
        threads.set_num_threads(2)
        two = run()
    if isinstance(expected, str):
        assert one == two == expected
        return
    for a, b, c in zip(expected, one, two, strict=True):
        assert a.dtype == b.dtype == c.dtype
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        assert b.tobytes() == c.tobytes()


def test_other_dtypes_go_to_the_textbook():
    x = np.arange(16).reshape(1, 4, 4, 1)
    y, cache = max_pool2d(x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[5, 7], [13, 15]])
    assert y.dtype == max_pool2d_backward(y, cache).dtype == x.dtype
    assert average_pool2d(x)[0][0, 0, 0, 0] == 2.5


def test_any_memory_layout():
    x = np.random.default_rng(0).standard_normal((2, 6, 5, 3))
    y, cache = max_pool2d(x)
    z, other = max_pool2d(np.asfortranarray(x))
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(max_pool2d_backward(np.asfortranarray(y), other), max_pool2d_backward(y, cache))
