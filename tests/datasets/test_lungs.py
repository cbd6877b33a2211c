"""Drawn chest X-rays: four kinds that differ where they should, patients with two pictures each."""

import numpy as np
import pytest

from tinymed.datasets import folders, lungs


def test_form_and_seeds():
    first = lungs.picture("mass", 0, 0, seed=1)
    assert first.shape == (224, 224) and first.dtype == np.float32 and first.min() >= 0 and first.max() <= 1
    assert np.array_equal(first, lungs.picture("mass", 0, 0, seed=1))
    for other in (("mass", 1, 0, 1), ("mass", 0, 1, 1), ("mass", 0, 0, 2), ("normal", 0, 0, 1)):
        assert not np.array_equal(first, lungs.picture(*other))


@pytest.mark.parametrize("kind", ["consolidation", "effusion", "mass"])
def test_a_disease_brightens_a_part_of_the_chest(kind):
    for patient in range(4):
        normal, ill = (lungs.picture(name, patient, 0) for name in ("normal", kind))
        brighter = ill - normal > 0.08
        assert 0.005 < brighter.mean() < 0.35
        assert not brighter[:, :5].any() and not brighter[:10].any()


def test_two_visits_show_one_chest():
    """Pictures of one patient resemble each other more than those of two patients do."""
    pictures = np.array([[lungs.picture("normal", patient, visit) for visit in range(2)] for patient in range(5)])
    shape = pictures.reshape(10, -1) - pictures.reshape(10, -1).mean(axis=1, keepdims=True)
    alike = np.corrcoef(shape).reshape(5, 2, 5, 2)[:, 0, :, 1]
    assert np.diag(alike).mean() > alike[~np.eye(5, dtype=bool)].mean() + 0.02


def test_writes_a_folder(tmp_path):
    lungs.write(tmp_path / "x", 16, seed=2)
    found = folders.find(tmp_path / "x")
    assert found.classes == lungs.CLASSES
    assert np.bincount(found.labels).tolist() == [4] * 4
    assert len(set(found.patients.tolist())) == 8
    pixels = folders.read_picture(found.paths[0], (224, 224))
    assert pixels.shape == (224, 224, 1)
    wanted = lungs.picture("consolidation", 0, 0, seed=2)
    assert found.paths[0].name == "00000001_000.png"
    assert np.abs(pixels[..., 0] / 255 - wanted).max() <= 1 / 255


def test_wrong_numbers():
    with pytest.raises(ValueError, match="must be a multiple of 8, got 12"):
        lungs.write("nowhere", 12)
    with pytest.raises(ValueError, match="unknown class 'cold'; choose one of consolidation"):
        lungs.picture("cold", 0, 0)
