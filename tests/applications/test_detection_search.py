"""Sliding, one forward on the whole, slices joined in a volume, and what may be searched."""

import numpy as np
import pytest

from tinymed import backend
from tinymed.applications import detection
from tinymed.applications import detection_search as search
from tinymed.datasets import lesions
from tinymed.ops.boxes import encode_boxes


@pytest.fixture(scope="module")
def network():
    """A network with random weights whose heat maps have many peaks."""
    backend.set_seed(0)
    model = detection.build(width=4)
    weights = model.get_weights()
    heads = [i for i, w in enumerate(weights) if w.shape in ((1,), (4,))][-2:]
    for i in heads:
        weights[i] = np.zeros_like(weights[i]) - (1.0 if weights[i].shape == (1,) else 0.0)
    model.set_weights(weights)
    return model


class Oracle:
    """A model that finds the boxes it was told."""

    def __init__(self, boxes):
        self.boxes = boxes

    def predict(self, images, batch_size, verbose):
        shape = (images.shape[1] // 2, images.shape[2] // 2)
        found = [encode_boxes(np.asarray(b, np.float32).reshape(-1, 4), shape, 2)[:2] for b in self.boxes]
        return [np.stack(maps) for maps in zip(*found, strict=True)]


@pytest.fixture(scope="module")
def large():
    tiles = lesions.draw(9, seed=0).images.reshape(3, 3, 64, 64)
    return tiles.transpose(0, 2, 1, 3).reshape(1, 192, 192, 1)[:, :176, :176]


# --- images ------------------------------------------------------------------------------------------------------


def test_sides_need_not_be_multiples_of_8():
    box = [[3.0, 4, 10, 12]]
    (found,) = search.find(Oracle([box]), np.zeros((1, 30, 37, 1), np.float32))
    np.testing.assert_allclose(found[0], box, atol=1e-5)


def test_boxes_end_at_the_border_of_the_image_and_not_of_what_it_was_filled_up_with():
    ((boxes, _),) = search.find(Oracle([[[20.0, 4, 31, 12], [32, 33, 40, 39]]]), np.zeros((1, 29, 30, 1), np.float32))
    np.testing.assert_allclose(boxes, [[20, 4, 29, 12]], atol=1e-5)


def test_each_lesion_once():
    ((boxes, scores),) = search.find(
        Oracle([[[4.0, 4, 16, 16], [4, 8, 16, 20], [24, 24, 28, 28]]]), np.zeros((1, 32, 32, 1), np.float32)
    )
    assert len(boxes) == len(scores) == 2  # the first two overlap by half


def test_away_from_the_borders_the_size_of_the_image_does_not_matter(network, large):
    """Fully convolutional: one forward on a large image is sliding over it."""
    heat, box = search.maps(network, large)
    corner = (40, 56)
    part = large[:, corner[0] : corner[0] + 96, corner[1] : corner[1] + 96]
    heat_of_part, box_of_part = search.maps(network, part)
    inner = slice(16, 32)  # 32 pixels from the edges of the part
    row, column = corner[0] // 2, corner[1] // 2
    same = (slice(None), slice(row + 16, row + 32), slice(column + 16, column + 32))
    np.testing.assert_allclose(heat_of_part[:, inner, inner], heat[same], atol=1e-6)
    np.testing.assert_allclose(box_of_part[:, inner, inner], box[same], atol=1e-5)
    assert np.abs(heat_of_part[:, 0] - heat[:, row, column : column + 48]).max() > 1e-4  # at the border it does


@pytest.mark.parametrize("tile, margin", [(128, 32), (96, 32), (176, 64)])
def test_tiles_give_what_one_forward_gives(network, large, tile, margin):
    ((whole, whole_scores),) = search.find(network, large)
    ((tiled, tiled_scores),) = search.find_in_tiles(network, large, tile=tile, margin=margin)
    assert len(whole) > 20
    assert len(tiled) == len(whole)
    order, other = (np.lexsort(np.round(b, 2).T) for b in (whole, tiled))
    np.testing.assert_allclose(tiled[other], whole[order], atol=1e-3)
    np.testing.assert_allclose(tiled_scores[other], whole_scores[order], atol=1e-5)


def test_small_images_are_one_tile(network, large):
    small = large[:, :40, :50]
    for a, b in zip(search.find(network, small)[0], search.find_in_tiles(network, small)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_large_lesions_are_found_in_the_halved_image(monkeypatch):
    seen = []

    def find_in_tiles(model, images, threshold):
        seen.append(images)
        boxes = [[3.0, 4, 10, 12]] if len(seen) == 1 else [[4, 5, 14, 19], [1.5, 2, 5, 6]]
        return [(np.array(boxes), np.linspace(0.9, 0.8, len(boxes)) - 0.1 * len(seen))]

    monkeypatch.setattr(search, "find_in_tiles", find_in_tiles)
    image = np.arange(30.0 * 37).reshape(1, 30, 37, 1)
    ((boxes, scores),) = search.find_at_scales(None, image)
    np.testing.assert_allclose(boxes, [[3, 4, 10, 12], [8, 10, 28, 37]])  # the third is the first again
    np.testing.assert_allclose(scores, [0.8, 0.7])
    np.testing.assert_array_equal(seen[0], image)
    assert seen[1].shape == (1, 15, 19, 1) and seen[1][0, 0, 0, 0] == np.mean([0, 1, 37, 38])


def test_tiles_that_cannot_be_used(network, large):
    for tile, margin in ((100, 32), (128, 30), (64, 32)):
        with pytest.raises(ValueError, match="multiples of 8 and tile larger than two margins"):
            search.find_in_tiles(network, large, tile=tile, margin=margin)


# --- volumes -----------------------------------------------------------------------------------------------------


def at(*boxes, scores=None):
    return np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores or [0.5] * len(boxes))


A, A_SHIFTED, B = [10, 10, 20, 20], [11, 12, 21, 22], [40, 40, 48, 48]


def test_boxes_of_neighbouring_slices_are_one_finding():
    slices = [at(A), at(A_SHIFTED, B, scores=[0.9, 0.3]), at(B, scores=[0.4]), at(), at(B, scores=[0.2])]
    first, second = search.join_slices(slices)
    assert (first.slices, first.score, first.box.tolist()) == ((0, 1), 0.9, A_SHIFTED)
    assert (second.slices, second.score) == ((1, 4), 0.4)  # one slice may be missed


def test_two_slices_without_it_end_a_finding():
    assert [f.slices for f in search.join_slices([at(A), at(), at(), at(A)])] == [(0, 0), (3, 3)]
    assert search.join_slices([at(), at()]) == []


def test_two_boxes_of_a_slice_do_not_go_to_the_same_finding():
    found = search.join_slices([at(A), at(A, A_SHIFTED)])
    assert sorted(f.slices for f in found) == [(0, 1), (1, 1)]


# --- files -------------------------------------------------------------------------------------------------------


def test_pictures_and_arrays(tmp_path):
    from PIL import Image

    Image.new("L", (50, 40), 51).save(tmp_path / "a.png")
    scene = search.read(tmp_path / "a.png")
    assert scene.images.shape == (1, 40, 50, 1) and not scene.volume
    np.testing.assert_allclose(scene.images, 0.2, rtol=1e-6)
    np.savez(tmp_path / "a.npz", test_images=np.zeros((3, 40, 50), np.uint8))
    assert search.read(tmp_path / "a.npz").names[2].endswith("a.npz[2]")
    np.save(tmp_path / "volume.npy", np.zeros((5, 32, 40), np.float32))
    scene = search.read(tmp_path / "volume.npy")
    assert scene.images.shape == (5, 32, 40, 1) and scene.volume and len(scene.names) == 1
    np.save(tmp_path / "hu.npy", np.full((32, 40), -300, np.int16))
    np.testing.assert_allclose(search.read(tmp_path / "hu.npy").images, 0.5)


def test_what_cannot_be_searched(tmp_path):
    np.savez(tmp_path / "a.npz", pictures=np.zeros((3, 40, 50)))
    np.save(tmp_path / "four.npy", np.zeros((2, 3, 4, 5)))
    np.save(tmp_path / "bright.npy", np.full((32, 32), 7.0))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.txt").write_text("no image")
    for name, words in (
        ("a.npz", "no array 'images' or 'test_images'"),
        ("four.npy", r"one image \(H, W\) or a volume"),
        ("bright.npy", r"pixels must lie in \[0, 1\]"),
        ("text.npy", "no array that can be read"),
        ("text.txt", "no volume that can be read"),
        ("nothing.npy", "no such file"),
    ):
        with pytest.raises(ValueError, match=words):
            search.read(tmp_path / name)


def test_a_ct_is_windowed_and_resampled(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    hu = np.full((4, 20, 30), -1000, np.int16)  # slices, rows, columns
    hu[1, 5:10, 20:25] = 400
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((1.4, 2.1, 5.0))
    sitk.WriteImage(image, str(tmp_path / "ct.mha"))
    scene = search.read(tmp_path / "ct.mha")
    assert scene.images.shape == (4, 60, 60, 1)
    np.testing.assert_allclose(scene.scale, (1 / 3, 1 / 2))
    assert scene.images[1, 22, 45, 0] == 1 and scene.images[0].max() == 0
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 20, 30), np.int16)), str(tmp_path / "mr.mha"))
    with pytest.raises(ValueError, match="no CT of a chest in HU"):
        search.read(tmp_path / "mr.mha")


def test_real_data_can_be_read(data_folder):
    patch = search.read(data_folder / "luna16_patches" / "positive_patch.npy")
    assert patch.images.shape == (64, 64, 64, 1)
    pytest.importorskip("SimpleITK")
    ct = search.read(data_folder / "registration" / "elastix_misc" / "3DCT_lung_baseline_small.mha")
    assert len(ct.images) == 64 and ct.images.shape[1] > 200
    assert 0 <= ct.images.min() < 0.1 and ct.images.max() <= 1
