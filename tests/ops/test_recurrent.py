import numpy as np

from tinymed.ops import recurrent

rng = np.random.default_rng(0)


def test_products_over_all_steps():
    x, kernel, dz = rng.standard_normal((2, 4, 3)), rng.standard_normal((3, 5)), rng.standard_normal((2, 4, 5))
    np.testing.assert_allclose(recurrent.input_product(x, kernel, np.ones(5)), x @ kernel + 1, rtol=1e-13)
    np.testing.assert_allclose(recurrent.weight_product(x, dz), np.einsum("ntd,ntu->du", x, dz), rtol=1e-13)


def test_the_states_before_the_steps():
    h, h0 = rng.standard_normal((2, 3, 1)), np.zeros((2, 1))
    found = recurrent.before(h, h0)
    np.testing.assert_array_equal(found[:, 0], h0)
    np.testing.assert_array_equal(found[:, 1:], h[:, :2])
    assert recurrent.start(h, 4, None).shape == (2, 4)
    assert recurrent.start(h, 1, h0) is h0


def test_a_mask_chooses_sample_by_sample():
    mask = np.array([[True, False], [True, True]])
    new, old = np.ones((2, 1)), np.zeros((2, 1))
    np.testing.assert_array_equal(recurrent.chosen(mask, 1, new, old), [[0], [1]])
    assert recurrent.chosen(None, 1, new, old) is new
    assert recurrent.scaled(new, None) is new
