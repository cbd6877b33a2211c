"""Volumes and their masks: found together, or one clear error that says which file is missing or does not fit."""

import numpy as np
import pytest

from tinymed.datasets import volume_folders as folders

nibabel = pytest.importorskip("nibabel")

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


def save(path, array=VOXELS):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


@pytest.mark.parametrize("names", folders.FOLDERS)
def test_pairs(tmp_path, names):
    for case in ("b_2", "a_10"):
        for place, ending in zip(names, ("_0000.nii.gz", ".nii.gz"), strict=True):
            save(tmp_path / place / f"{case}{ending}")
    (tmp_path / names[0] / "._a_10.nii.gz").write_text("left by a Mac")
    (tmp_path / names[0] / "notes.txt").write_text("")
    found = folders.pairs(tmp_path)
    assert [(image.name, mask.name) for image, mask in found] == [
        ("a_10_0000.nii.gz", "a_10.nii.gz"),
        ("b_2_0000.nii.gz", "b_2.nii.gz"),
    ]
    assert folders.find(tmp_path) == [image for image, _ in found]
    assert folders.find(tmp_path / names[0]) == folders.find(tmp_path)
    assert folders.find(found[0][0]) == [found[0][0]]


def test_folders_that_are_not_complete(tmp_path):
    with pytest.raises(ValueError, match="gone does not exist; name the folder"):
        folders.pairs(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"has no folder images \(or imagesTr\)"):
        folders.pairs(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match="images has no volume"):
        folders.pairs(tmp_path)
    save(tmp_path / "images" / "a.nii.gz")
    with pytest.raises(ValueError, match=r"images/a.nii.gz has no mask: expected .*labels/a.nii.gz; add it"):
        folders.pairs(tmp_path)
    save(tmp_path / "labels" / "a.nii.gz")
    save(tmp_path / "labels" / "b.nii.gz")
    with pytest.raises(ValueError, match=r"labels/b.nii.gz has no volume: expected .*images/b.nii.gz"):
        folders.pairs(tmp_path)
    save(tmp_path / "images" / "a.nii")
    with pytest.raises(ValueError, match="are of one case, a; keep one"):
        folders.pairs(tmp_path)


def test_a_mask_must_fit_its_volume(tmp_path):
    image = save(tmp_path / "a.nii")
    mask = save(tmp_path / "m.nii", (VOXELS > 0).astype(np.float32))
    volume, labels = folders.read_pair(image, mask)
    np.testing.assert_array_equal(volume.array, VOXELS)
    assert labels.dtype == np.uint8 and labels.sum() == (VOXELS > 0).sum()
    other = save(tmp_path / "other.nii", np.zeros((4, 5, 7), np.uint8))
    with pytest.raises(
        ValueError, match=r"other.nii: the mask has 4 x 5 x 7 voxels but its volume .*a.nii has 4 x 5 x 6"
    ):
        folders.read_pair(image, other)
    with pytest.raises(ValueError, match=r"soft.nii: a mask has whole numbers from 0 to 255, but this one has 0.5"):
        folders.read_pair(image, save(tmp_path / "soft.nii", np.full((4, 5, 6), 0.5, np.float32)))


def test_real_pairs(data_folder):
    found = folders.pairs(data_folder / "msd_hippocampus")
    assert len(found) == 260
    volume, labels = folders.read_pair(*found[0])
    assert volume.array.shape == labels.shape == (35, 51, 35)
    assert set(np.unique(labels)) == {0, 1, 2}
