"""Occlusion against windows covered by hand; every pixel is covered."""

import numpy as np
import pytest

from tests.interpretability.networks import squares, trained
from tinymed.interpretability import occlusion, pointing_game
from tinymed.interpretability.probe import Probe
from tinymed.layers import Dense, Flatten
from tinymed.models import Sequential


def test_by_hand():
    """A linear score: covering a window with 0 takes away its part; a pixel has the mean of its windows."""
    model = Sequential([Flatten(input_shape=(1, 3, 1)), Dense(1, activation="sigmoid")])
    model.set_weights([np.array([[1.0], [2.0], [4.0]]), np.zeros(1)])
    x = np.ones((1, 1, 3, 1), "float32")
    found = occlusion(model, x, target=1, size=1, stride=1, fill=0.0)
    np.testing.assert_allclose(found[0, 0], [1, 2, 4])
    np.testing.assert_allclose(occlusion(model, x, target=0, size=1, fill=0.0)[0, 0], [-1, -2, -4])
    with pytest.raises(ValueError, match=r"stride <= size <= 1 \(the shortest side\), got size=2"):
        occlusion(model, x, size=2)


def test_windows_overlap_and_reach_the_edge():
    model = trained()
    x = squares(3, seed=4)[0]
    found = occlusion(model, x, target=1, size=5, stride=3)  # 12 = starts 0, 3, 6 and 7
    probe = Probe(model)
    targets = np.ones(3, dtype=int)
    whole = probe.scores(x, targets)
    falls, times = np.zeros((3, 12, 12)), np.zeros((12, 12))
    for row in (0, 3, 6, 7):
        for column in (0, 3, 6, 7):
            covered = x.copy()
            for i in range(3):
                covered[i, row : row + 5, column : column + 5] = x[i].mean()
            falls[:, row : row + 5, column : column + 5] += (whole - probe.scores(covered, targets))[:, None, None]
            times[row : row + 5, column : column + 5] += 1
    np.testing.assert_allclose(found, falls / times, rtol=1e-3, atol=1e-5)


def test_volumes_and_signals_have_maps_too():
    for shape in ((8, 1), (4, 4, 4, 2)):
        model = Sequential([Flatten(input_shape=shape), Dense(2, activation="softmax")])
        found = occlusion(model, np.random.default_rng(0).random((2, *shape)), target=1)
        assert found.shape == (2, *shape[:-1])


def test_the_map_points_at_the_squares():
    x, y, masks = squares(40, seed=2)
    hit, _ = pointing_game(occlusion(trained(), x[y == 1], target=1, size=3, stride=1), masks[y == 1])
    assert hit > 0.8


def test_what_cannot_be_done_is_said():
    model = Sequential([Dense(1, input_shape=(4,))])
    with pytest.raises(ValueError, match=r"needs samples of shape \(N, ..., channels\), got \(1, 4\)"):
        occlusion(model, np.zeros((1, 4)))
    with pytest.raises(ValueError, match="got size=4, stride=5"):
        occlusion(trained(), squares(1)[0], size=4, stride=5)
