import numpy as np
import pytest

from tests.gradcheck.operations import operation, passes, rows, square, subject
from tinymed.gradcheck.gradient import ATTEMPTS, check_kinks, curves_of


@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (20, 10)])
@pytest.mark.parametrize("seed", range(5))
def test_a_right_gradient_passes(shape, seed):
    assert passes("gradient", subject(arrays={"x": shape}), seed)


@pytest.mark.parametrize("shape", [(3, 4), (20, 10)])
@pytest.mark.parametrize("seed", range(5))
def test_a_gradient_wrong_by_a_millionth_fails(shape, seed):
    wrong = subject(backward=lambda dy, x: 2.000002 * x * dy, arrays={"x": shape})
    assert not passes("gradient", wrong, seed)


@pytest.mark.parametrize("seed", range(5))
def test_one_wrong_element_of_many_fails(seed):
    def backward(dy, x):
        dx = 2 * x * dy
        dx[7, 3] *= 1.01
        return dx

    assert not passes("gradient", subject(backward=backward, arrays={"x": (20, 10)}), seed)


def test_a_softmax_without_gradient_fails_where_all_ones_would_pass():
    def softmax(x):
        e = np.exp(x)
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    zero = subject(softmax, lambda dy, y: 0 * y)
    right = subject(softmax, lambda dy, y: y * (dy - (dy * y).sum(axis=-1, keepdims=True)))
    assert passes("gradient", right) and not passes("gradient", zero)
    y, cache = right.run(right.draw(np.random.default_rng(0), "float64"))
    np.testing.assert_allclose(right.gradients(np.ones_like(y), cache)["x"], 0, atol=1e-15)


def test_kinks_are_drawn_again():
    """A kink in a thousandth of all draws' reach: the check finds another point instead of failing."""
    assert passes("gradient", subject(lambda x: (np.abs(x), x), lambda dy, x: np.sign(x) * dy, arrays={"x": (90,)}))


def test_kinks_everywhere_are_a_failure_that_says_so():
    (row,) = rows("gradient", subject(lambda x: (np.round(3e6 * x), x), lambda dy, x: 0 * dy))
    assert not row.ok
    assert f"no smooth point in {ATTEMPTS} draws" in row.note


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda dy, x: (2 * x * dy)[:2], "the gradient has 8 elements, the tensor 12"),
        (lambda dy, x: (2 * x * dy).T, r"the gradient has shape (4, 3), the tensor (3, 4)"),
    ],
)
def test_a_wrong_shape_is_said(backward, message):
    (row,) = rows("gradient", subject(backward=backward))
    assert row.note == message


def test_the_complex_step_sees_what_differences_cannot():
    def backward(dy, x):
        return (2 + 2e-8) * x * dy

    item = subject(backward=backward, analytic=True)
    item.textbook_only = True
    assert passes("gradient", item)
    assert not passes("complex step", item)
    right = subject(analytic=True)
    right.textbook_only = True
    assert passes("complex step", right)


def test_the_complex_step_waits_to_be_asked():
    assert rows("complex step", subject()) == []


def relu(x):
    return np.maximum(x, 0), x


@pytest.mark.parametrize(("at_zero", "right"), [(0.0, True), (0.5, True), (1.0, True), (-0.5, False), (1.5, False)])
def test_at_a_kink_the_gradient_lies_between_the_slopes(at_zero, right):
    item = subject(relu, lambda dy, x: dy * np.where(x == 0, at_zero, x > 0), arrays={"x": (8, 8)})
    assert passes("kinks", item) is right


@pytest.mark.parametrize(("share", "right"), [(0.5, True), (1.0, False)])
def test_ties_share_one_gradient(share, right):
    def backward(dy, cache):
        a, b, y = cache
        tie = np.where(a == b, share, 1.0)
        return dy * tie * (a == y), dy * tie * (b == y)

    def forward(a, b):
        y = np.maximum(a, b)
        return y, (a, b, y)

    item = subject(forward, backward, arrays={"a": (6, 6), "b": (6, 6)})
    assert passes("kinks", item) is right


def test_values_that_must_be_positive_are_left_alone():
    item = subject(arrays={"x": lambda rng: rng.uniform(1, 2, 5)})
    assert list(check_kinks(item, np.random.default_rng(0))) == []


def test_curves_of_every_tensor():
    (curve,) = curves_of(subject(), np.random.default_rng(0))
    assert (curve.item, curve.tensor) == ("square", "x")
    assert len(curve.points) > 10


def test_operations_can_be_given():
    assert operation().forward is square
