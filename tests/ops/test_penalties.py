"""The penalty and its gradient."""

import numpy as np
import pytest

from tinymed.ops.penalties import l1l2_penalty, l1l2_penalty_backward


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_gradient_by_differences(l1, l2):
    rng = np.random.default_rng(0)
    w, dy, h = rng.standard_normal((3, 4)), 1.7, 1e-6
    dw = l1l2_penalty_backward(np.asarray(dy), l1l2_penalty(w, l1, l2)[1])
    for index in np.ndindex(*w.shape):
        bump = np.zeros_like(w)
        bump[index] = h
        difference = (l1l2_penalty(w + bump, l1, l2)[0] - l1l2_penalty(w - bump, l1, l2)[0]) / (2 * h)
        assert dw[index] == pytest.approx(dy * difference, abs=1e-8)


def test_gradient_is_new_memory_and_zero_at_zero():
    w = np.array([0.0, -0.0, 2.0], dtype=np.float32)
    for l1, l2 in [(0.0, 0.0), (0.1, 0.0), (0.0, 0.5), (0.1, 0.5)]:
        penalty, cache = l1l2_penalty(w, l1, l2)
        dw = l1l2_penalty_backward(np.asarray(1.0, dtype=np.float32), cache)
        assert penalty.dtype == dw.dtype == np.float32
        assert not np.shares_memory(dw, w)
        assert dw[0] == dw[1] == 0


def test_empty_weight_has_no_penalty():
    penalty, cache = l1l2_penalty(np.zeros((0, 3)), 0.1, 0.1)
    assert penalty == 0
    assert l1l2_penalty_backward(np.asarray(1.0), cache).shape == (0, 3)
