import numpy as np

from tests.gradcheck.operations import double, double_backward, passes, rows, subject


def matrix(x, kernel, bias):
    return x @ kernel + bias, (x, kernel)


def matrix_backward(dy, cache):
    x, kernel = cache
    return dy @ kernel.T, x.T @ dy, dy.sum(axis=0)


CASE = {
    "arrays": {"x": (3, 4), "kernel": (4, 2), "bias": (2,)},
    "linear": ("x", "kernel"),
    "offsets": ("bias",),
}


def test_the_identity_holds_in_both_precisions():
    found = rows("adjoint", subject(matrix, matrix_backward, **CASE))
    assert [row.tensor for row in found] == ["x (float64)", "kernel (float64)", "x (float32)", "kernel (float32)"]
    assert all(row.ok for row in found)


def test_a_missing_transpose_is_found_and_both_sides_are_shown():
    square = {**CASE, "arrays": {"x": (3, 4), "kernel": (4, 4), "bias": (4,)}}
    wrong = subject(matrix, lambda dy, c: (dy @ c[1], c[0].T @ dy, dy.sum(axis=0)), **square)
    bad = [row for row in rows("adjoint", wrong) if not row.ok]
    assert {row.tensor for row in bad} == {"x (float64)", "x (float32)"}
    assert "<Ax, y> =" in bad[0].note and "<x, A*y> =" in bad[0].note


def test_a_gradient_of_another_shape_is_found():
    wrong = subject(double, lambda dy, c: 2 * dy[:1], linear=("x",))
    assert not passes("adjoint", wrong)


def test_a_sum_has_each_input_as_the_others_offset():
    item = subject(
        lambda a, b: (a + b, None), lambda dy, c: (1 * dy, 1 * dy),
        arrays={"a": (2, 3), "b": (2, 3)}, linear=("a",), offsets=("b",),
    )  # fmt: skip
    assert passes("adjoint", item)


def test_linearity():
    assert passes("linearity", subject(double, double_backward))
    assert not passes("linearity", subject(double, lambda dy, c: 2 * dy + 0.1))
    assert not passes("linearity", subject(double, lambda dy, c: np.clip(dy, -1, 1)))
