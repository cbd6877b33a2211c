"""Maps depend on what was learnt; one that does not is found out."""

import functools

import numpy as np
import pytest

from tests.interpretability.networks import residual, squares, trained
from tinymed.interpretability import (
    cascading_randomisation,
    grad_cam,
    integrated_gradients,
    occlusion,
    pointing_game,
    saliency,
    smooth_grad,
)

EXPLAIN = {
    "saliency": functools.partial(saliency, target=1),
    "smooth_grad": functools.partial(smooth_grad, target=1, samples=10),
    "grad_cam": lambda model, x: grad_cam(model, x, "first", target=1),
    "integrated_gradients": lambda model, x: integrated_gradients(model, x, target=1, steps=10).sum(axis=-1),
    "occlusion": functools.partial(occlusion, target=1, size=3),
}


@pytest.mark.parametrize("name", EXPLAIN)
def test_random_weights_change_the_map(name):
    """Adebayo et al. 2018: with all layers random the map is another one."""
    model = trained()
    before = model.get_weights()
    x, y, _ = squares(24, seed=3)
    found = cascading_randomisation(model, EXPLAIN[name], x[y == 1])
    assert [layer for layer, _ in found] == ["head", "second", "first"]
    assert found[-1][1] < 0.9
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_map_of_the_image_alone_is_found_out():
    """An edge detector looks plausible, but it would say the same about any network."""
    x, _, _ = squares(6)
    found = cascading_randomisation(trained(), lambda model, images: images[..., 0], x)
    assert [round(likeness, 6) for _, likeness in found] == [1.0, 1.0, 1.0]


def test_graphs_with_normalisation():
    model = residual()
    model.get_layer("norm").state["moving_mean"] += 1
    x = np.random.default_rng(0).random((2, 12, 12, 2), dtype=np.float32)
    found = cascading_randomisation(model, lambda m, images: saliency(m, images, target=0), x)
    assert [layer for layer, _ in found] == ["head", "branch", "norm", "stem"]
    assert found[-1][1] < 0.9


def test_an_empty_map_is_like_nothing():
    x, _, _ = squares(2)
    found = cascading_randomisation(trained(), lambda model, images: np.zeros(images.shape[:3]), x)
    assert found[0][1] == 0


def test_pointing_game_with_tolerance():
    maps, masks = np.zeros((2, 5, 5)), np.zeros((2, 5, 5), dtype=bool)
    maps[0, 2, 2] = maps[1, 0, 0] = 1
    masks[:, 2, 3] = True
    assert pointing_game(maps, masks) == (0.0, 1 / 25)
    assert pointing_game(maps, masks, tolerance=1) == (0.5, 5 / 25)
    with pytest.raises(ValueError, match=r"needs maps and masks \(N, H, W\), got"):
        pointing_game(maps, masks[:, :3])
