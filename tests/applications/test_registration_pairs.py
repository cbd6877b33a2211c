import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from tinymed.applications import registration_pairs as pairs
from tinymed.datasets import deformations
from tinymed.ops import warp

DATA = pathlib.Path(os.environ.get("TINYMED_TEST_DATA", "../shared/data"))
real = pytest.mark.skipif(not (DATA / "registration").is_dir(), reason="the real images are not here")


def save(path, image):
    Image.fromarray(np.rint(np.asarray(image) * 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def brains():
    rng = np.random.default_rng(0)
    return deformations.brains(rng, 48, 6)[0][..., 0]


@pytest.fixture
def folder(tmp_path, brains):
    for i, image in enumerate(brains):
        save(tmp_path / f"brain{i}.png", image)
    return tmp_path


def test_phantoms_of_each_split_and_seed_are_others(monkeypatch):
    monkeypatch.setattr(pairs, "SAMPLES", {"train": 6, "val": 2, "test": 2})
    first, second = pairs.phantoms(0, False), pairs.phantoms(1, False)
    seen = [image.tobytes() for data in (first, second) for part in (data.val, data.test) for image in part.moving]
    assert len(set(seen)) == 8
    moving, fixed = first.draw(np.random.default_rng(0))
    assert moving.shape == fixed.shape == (6, 64, 64, 1)
    np.testing.assert_array_equal(moving, first.draw(np.random.default_rng(0))[0])
    assert not np.array_equal(moving, first.draw(np.random.default_rng(1))[0])


def test_reads_pictures_with_their_values_spread(tmp_path, brains):
    image = pairs.read_image(save(tmp_path / "a.png", 0.2 + 0.3 * brains[0]))
    assert image.shape == (48, 48) and image.dtype == np.float32
    assert image.min() == 0 and image.max() == 1
    inside = (image > 0) & (image < 1)
    assert (image == 1).mean() < 0.02  # the brightest half per cent
    slope, start = np.polyfit(brains[0][inside], image[inside], 1)
    np.testing.assert_allclose(slope * brains[0][inside] + start, image[inside], atol=0.01)


def test_files_that_cannot_be_used(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "broken.mhd").write_text("ObjectType = Image\nElementDataFile = missing.raw\n")
    save(tmp_path / "flat.png", np.full((32, 32), 0.5))
    save(tmp_path / "tiny.png", np.eye(4))
    for name, problem in (
        ("missing.png", "does not exist"),
        ("broken.png", "damaged picture"),
        ("notes.txt", "no image that registration reads"),
        ("broken.mhd", "cannot be read"),
        ("flat.png", "shows nothing"),
        ("tiny.png", "16 x 16 pixels or more"),
    ):
        with pytest.raises(ValueError, match=problem):
            pairs.read_image(tmp_path / name)


def test_several_images_are_split_by_image(folder):
    data = pairs.read(folder, size=32)
    assert len(data.split["train"]) == 4 and len(data.split["test"]) == 2
    assert not set(data.split["train"]) & set(data.split["test"])
    assert data.split == pairs.read(folder, size=32).split
    assert len(data.test) == 2 and data.test.moving.shape == (2, 32, 32, 1)
    np.testing.assert_array_equal(data.test.moving[0], data.test.fixed[1])
    moving, fixed = data.draw(np.random.default_rng(0))
    assert len(moving) == len(fixed) == pairs.DRAWN


def test_one_pair(tmp_path, brains):
    save(tmp_path / "moving.png", brains[0])
    with pytest.raises(ValueError, match=r"one image fixed\.\* but has 0"):
        pairs.read(tmp_path)
    save(tmp_path / "fixed.png", brains[1])
    save(tmp_path / "fixed_mask.png", brains[1] > 0)
    data = pairs.read(tmp_path, size=32)
    assert data.test is data.val and data.test.names == ("moving.png to fixed.png",)
    assert data.draw(np.random.default_rng(0))[0].shape == (pairs.DRAWN, 32, 32, 1)
    save(tmp_path / "fixed.png", brains[1][:40])
    with pytest.raises(ValueError, match=r"moving\.png is 48 x 48 pixels but .*fixed\.png is 40 x 48"):
        pairs.read(tmp_path)


def test_folders_that_cannot_be_used(tmp_path, folder, brains):
    with pytest.raises(ValueError, match="is no folder"):
        pairs.read(tmp_path / "nowhere")
    save(folder / "brain9.png", brains[0][:40])
    with pytest.raises(ValueError, match=r"brain9\.png is 40 x 48"):
        pairs.read(folder)
    few = tmp_path / "few"
    few.mkdir()
    save(few / "a.png", brains[0])
    with pytest.raises(ValueError, match=r"has 1 images .* or four or more"):
        pairs.read(few)


def test_resampling_and_enlarging_fit_each_other():
    h, w = np.mgrid[:64, :48]
    image = (0.5 + 0.4 * np.sin(h / 9) * np.cos(w / 7)).astype(np.float32)
    small = pairs.resample(image, 32)
    assert small.shape == (32, 32)
    ramp = np.repeat(np.arange(64.0)[:, None] / 64, 64, axis=1).astype(np.float32)
    halved = pairs.resample(ramp, 32)[2:-2]  # a pixel of the smaller image lies between two of the larger one
    np.testing.assert_allclose(halved[:, 0], (2 * np.arange(2, 30) + 0.5) / 64, atol=1e-5)
    field = np.full((32, 32, 2), (1.0, -2.0), np.float32)
    large = pairs.enlarge(field, (64, 48))
    np.testing.assert_allclose(large, np.broadcast_to([2.0, -3.0], (64, 48, 2)))
    one = pairs.resample(warp(image[None, ..., None], large[None])[0][0, ..., 0], 32)
    other = warp(small[None, ..., None], field[None])[0][0, ..., 0]
    np.testing.assert_allclose(one[4:-4, 4:-4], other[4:-4, 4:-4], atol=0.02)


def test_pairs_from_an_npz_file(tmp_path, brains):
    path = tmp_path / "pairs.npz"
    np.savez(path, moving=brains[:2], fixed=brains[2:4], truth=np.zeros((2, 48, 48, 2)))
    loaded = pairs.load_pairs(path, 48)
    assert len(loaded) == 2 and loaded.moving.shape == (2, 48, 48, 1) and loaded.inside is None
    with pytest.raises(ValueError, match="takes images of 64 x 64 but found 48 x 48"):
        pairs.load_pairs(path, 64)
    for arrays, problem in (
        ({"moving": brains}, "no array 'fixed'"),
        ({"moving": brains[:1], "fixed": brains[:2]}, "two images of one size"),
        ({"moving": brains[:1, :, :, None, None], "fixed": brains[:1]}, "grey images"),
        ({"moving": brains[:1], "fixed": brains[:1], "truth": np.zeros((1, 2))}, "truth has shape"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=problem):
            pairs.load_pairs(path, None)


@real
def test_the_slices_of_six_brains_leave_the_usual_pair_for_the_test():
    data = pairs.read(DATA / "registration" / "ants_brain_slices", size=32)
    assert data.split["test"] == ["r16slice.jpg", "r64slice.jpg"]


@real
def test_the_head_ct_pair():
    pytest.importorskip("SimpleITK")
    data = pairs.read(DATA / "registration" / "elastix_ct_head", size=64)
    assert data.test.names == ("moving.mhd to fixed.mhd",)
    assert data.test.moving.shape == (1, 64, 64, 1)


@real
def test_modalities_that_fit_each_other():
    pytest.importorskip("SimpleITK")
    pytest.importorskip("pydicom")
    data = pairs.read(DATA / "dicom_samples" / "brain_mr_multimodal", size=64)
    assert len(data.test) == 12 and len(data.split["train"]) == 3 and data.split["test"][0] not in data.split["train"]
    warped = warp(data.test.moving, data.test.truth)[0]
    similar = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in ((data.test.moving, data.test.fixed), (warped, data.test.fixed))
    ]
    assert similar[1] > similar[0] + 0.02
