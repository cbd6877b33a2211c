import numpy as np
import pytest

from tinymed import metrics
from tinymed.applications.registration_single import check_same_size, register
from tinymed.datasets import deformations


@pytest.fixture(scope="module")
def pair():
    moving, fixed, truth, inside = deformations.pairs(1, size=64, seed=2, mean=2.0, sigma=8.0)
    return moving[0, ..., 0], fixed[0, ..., 0], truth, inside


@pytest.mark.parametrize("loss", ["mse", "ncc", "mutual-information"])
def test_finds_a_known_deformation(pair, loss):
    moving, fixed, truth, inside = pair
    found = register(moving, fixed, loss, steps=150)
    assert found.field.shape == (64, 64, 2) and found.warped.shape == (64, 64)
    assert metrics.endpoint_error(truth, found.field[None], inside)[0] < 0.75
    assert found.numbers["similarity_after"] > found.numbers["similarity_before"]
    assert found.numbers["folding"] < 0.005


def test_two_modalities_with_mutual_information():
    kinds = (deformations.T1, deformations.T2)
    moving, fixed, truth, inside = deformations.pairs(1, 64, 3, 2.0, 8.0, kinds)
    found = register(moving[0, ..., 0], fixed[0, ..., 0], "mutual-information", steps=150)
    assert metrics.endpoint_error(truth, found.field[None], inside)[0] < 1


def test_goes_on_from_a_field(pair):
    moving, fixed, truth, inside = pair
    few = register(moving, fixed, "mse", steps=3)
    helped = register(moving, fixed, "mse", steps=3, start=truth[0])
    errors = [metrics.endpoint_error(truth, found.field[None], inside)[0] for found in (few, helped)]
    assert errors[1] < 0.5 < errors[0]


def test_any_size():
    rng = np.random.default_rng(0)
    found = register(rng.uniform(size=(37, 70)), rng.uniform(size=(37, 70)), "mse", steps=3)
    assert found.field.shape == (37, 70, 2) and len(found.history) == 3
    assert np.isfinite(found.field).all()


def test_the_same_image_stays_as_it_is(pair):
    found = register(pair[0], pair[0], "mse", steps=30)
    assert np.abs(found.field).max() < 1e-3


def test_what_cannot_be_registered(pair):
    moving, fixed = pair[:2]
    with pytest.raises(ValueError, match="moving is 64 x 64 pixels but fixed is 60 x 64"):
        register(moving, fixed[:60])
    with pytest.raises(ValueError, match="a is 4 x 4 pixels but b is 4 x 5"):
        check_same_size(np.zeros((4, 4)), np.zeros((4, 5)), ("a", "b"))
    with pytest.raises(ValueError, match="fixed must have values from 0 to 1"):
        register(moving, 255 * fixed)
    with pytest.raises(ValueError, match="grey image"):
        register(np.zeros((8, 8)), np.zeros((8, 8)))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        register(moving, fixed, steps=0)
    with pytest.raises(ValueError, match="unknown loss"):
        register(moving, fixed, "difference")
