import numpy as np
import pytest

from tests.gradcheck.operations import passes, rows, square, subject
from tinymed.gradcheck.adapters import subject_of_layer
from tinymed.gradcheck.case import LayerCase
from tinymed.gradcheck.layouts import LAYOUTS
from tinymed.layers import Dense


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4, 2)])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_hold_the_same_numbers_in_another_order(name, shape):
    x = np.random.default_rng(0).standard_normal(shape)
    relaid = LAYOUTS[name](x)
    np.testing.assert_array_equal(relaid, x)
    if name in ("every second element", "back to front"):
        assert not relaid.flags.c_contiguous
    if name == "Fortran order" and x.ndim > 1:
        assert relaid.flags.f_contiguous
    if name == "read-only":
        assert not relaid.flags.writeable


def test_an_operation_that_trusts_the_order_of_memory_fails():
    def forward(x):
        y = np.ravel(x, order="K").reshape(x.shape)
        return y * y, x

    assert passes("layouts", subject())
    assert not passes("layouts", subject(forward))


def test_an_operation_that_writes_into_its_input_fails_on_a_read_only_one():
    def forward(x):
        x[...] = x
        return x * x, x

    from tinymed.gradcheck.runner import run_checks

    row = run_checks(subject(forward), only=["layouts"])[-1]
    assert not row.ok and "read-only" in row.note


def test_gradients_have_the_tensors_shapes():
    assert passes("shapes", subject())
    assert not passes("shapes", subject(square, lambda dy, x: (2 * x * dy).ravel()))


def test_a_layer_must_keep_its_promise_and_take_a_single_sample():
    class Promising(Dense):
        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 7)

    found = rows("shapes", subject_of_layer(LayerCase(lambda: Dense(3), (5, 4))))
    assert all(row.ok for row in found)
    assert any("one sample" in row.tensor for row in found)
    bad = [row for row in rows("shapes", subject_of_layer(LayerCase(lambda: Promising(3), (5, 4)))) if not row.ok]
    assert bad[0].note == "output [(5, 3)], announced [(5, 7)]"
