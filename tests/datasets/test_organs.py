"""Phantoms of the abdomen: what was promised of them."""

import numpy as np
import pytest

from tinymed.datasets import organs
from tinymed.preprocessing.intensity import WINDOWS


@pytest.fixture(scope="module")
def drawn():
    return [organs.draw(np.random.default_rng(seed)) for seed in range(4)]


def test_same_seed_same_scan(drawn):
    volume, truth = organs.draw(np.random.default_rng(1))
    assert np.array_equal(volume.array, drawn[1][0].array) and np.array_equal(truth, drawn[1][1])
    assert not np.array_equal(volume.array, drawn[2][0].array)


def test_form(drawn):
    for volume, truth in drawn:
        assert volume.array.shape == truth.shape == organs.SHAPE
        assert volume.array.dtype == np.int16 and truth.dtype == np.uint8
        assert volume.spacing == pytest.approx(organs.SPACING)
        np.testing.assert_allclose(volume.affine[:3] @ [31.5, 23.5, 11.5, 1], 0, atol=1e-9)
        assert set(np.unique(truth)) == {0, *organs.LABELS}
        assert volume.array.min() < -950 < 250 < volume.array.max()


def test_sizes_are_those_of_people(drawn):
    for volume, truth in drawn:
        litres = {name: (truth == label).sum() * volume.millilitres / 1000 for label, name in organs.LABELS.items()}
        assert 0.5 < litres["liver"] < 2.2
        assert 0.04 < litres["kidney"] < 0.4
        assert 0 < litres["lesion"] < 0.25


def test_contrasts_are_realistic(drawn):
    """Lesions are darker than the liver around them, kidneys brighter, and much else is as bright as the liver."""
    for volume, truth in drawn:
        hu = {name: np.median(volume.array[truth == label]) for label, name in organs.LABELS.items()}
        assert 75 < hu["liver"] < 140
        assert 15 < hu["liver"] - hu["lesion"] < 75
        assert hu["kidney"] > hu["liver"]
        low, high = WINDOWS["abdomen"].limits
        assert low < hu["lesion"] < high
        as_bright = np.abs(volume.array - hu["liver"]) < 25
        assert (as_bright & (truth != 1)).sum() > 0.1 * (truth == 1).sum()


def test_lesions_lie_in_the_liver(drawn):
    from scipy import ndimage

    for _, truth in drawn:
        lesion = truth == 2
        around = ndimage.binary_dilation(lesion, iterations=1) & ~lesion
        assert (truth[around] == 1).mean() > 0.5
