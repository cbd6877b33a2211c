import numpy as np
import pytest

from tinymed.applications import registration_network as network
from tinymed.datasets import deformations
from tinymed.ops import warp


def test_the_network_begins_with_almost_no_deformation():
    model = network.build(32)
    x = np.random.default_rng(0).uniform(size=(2, 32, 32, 1)).astype("float32")
    warped, field, coarse = model.predict([x, x[::-1]], verbose=0)
    assert warped.shape == (2, 32, 32, 1) and field.shape == (2, 32, 32, 2)
    np.testing.assert_allclose(coarse[0, 1, 2, 0], warped[0, 4:8, 8:12, 0].mean(), rtol=1e-5)
    assert np.abs(field).max() < 0.5
    np.testing.assert_allclose(warped, warp(x, field)[0], atol=1e-6)


@pytest.mark.parametrize("size", [16, 40])
def test_sizes_that_cannot_be_halved(size):
    with pytest.raises(ValueError, match="multiple of 16 from 32"):
        network.build(size)


def test_the_right_field_makes_images_alike_in_all_terms():
    moving, fixed, truth, inside = deformations.pairs(2, size=48, seed=0)
    for loss in network.LOSSES:
        found = network.measure(loss, moving, fixed, truth, truth, inside)
        assert found["similarity_after"] > found["similarity_before"]
        assert found["improved"] == 1 and found["endpoint_error"] == 0 and found["folding"] == 0
        assert found["endpoint_error_before"] == pytest.approx(3, abs=1)
        nothing = network.measure(loss, moving, fixed, 0 * truth)
        assert nothing["similarity_after"] == nothing["similarity_before"]
        assert "endpoint_error" not in nothing


def test_similarity_of_known_images():
    f = np.zeros((1, 16, 16, 1))
    f[:, 4:12, 4:12] = 1
    assert network.similarity("mse", f, f + 0.1)[0] == pytest.approx(20)
    assert network.similarity("ncc", f, 1 - f)[0] == pytest.approx(network.similarity("ncc", f, f)[0])
    assert network.similarity("mutual-information", f, 1 - f)[0] == pytest.approx(
        np.log(4) - 0.75 * np.log(3), abs=1e-3
    )


def test_an_unknown_loss():
    with pytest.raises(ValueError, match="did you mean 'mutual-information'"):
        network.similarity_loss("mutual_information")
