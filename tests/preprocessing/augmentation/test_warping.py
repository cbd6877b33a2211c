"""Warps: places, borders, types, and points that follow their pixels."""

import sys
import types

import numpy as np
import pytest
from scipy import ndimage

from tinymed.preprocessing.augmentation import Elastic, Rotation, Zoom, warping
from tinymed.preprocessing.augmentation.warping import Warp, identity

X = np.random.default_rng(0).random((5, 12, 9), dtype=np.float32)


def shifted(y, x, **options):
    matrices = identity(5)
    matrices[:, :, 2] = y, x
    return Warp(matrices, (12, 9), **options)


def test_nothing_moves():
    for images in (X, X[..., None], (X * 255).astype(np.uint8), X.astype(np.float64), X > 0.5, X.astype(np.float16)):
        same = Warp(identity(5), (12, 9)).sample(images)
        assert same.dtype == images.dtype and same is not images
        assert np.array_equal(same, images)


@pytest.mark.parametrize("border, mode", [("nearest", "edge"), ("reflect", "symmetric"), (0.25, "constant")])
def test_borders(border, mode):
    wanted = np.pad(X, ((0, 0), (0, 3), (2, 0)), mode=mode, **({"constant_values": 0.25} if mode == "constant" else {}))
    assert np.array_equal(shifted(3, -2, border=border).sample(X), wanted[:, 3:, :9])
    far = shifted(40, -31, border=border).sample(X)  # many times the image's own size
    if border == "reflect":
        assert np.array_equal(far, np.pad(X, ((0, 0), (0, 40), (31, 0)), mode=mode)[:, 40:, :9])


def test_masks_show_class_0_beyond_a_fixed_border():
    mask = shifted(3, 0, border=0.7).sample(np.ones((5, 12, 9), np.int32), nearest=True)
    assert mask[:, :9].all() and not mask[:, 9:].any()


def test_linear_and_nearest_are_scipys():
    matrix = np.array([[0.91, -0.317], [0.213, 1.103]])
    warp = Warp(np.tile(np.concatenate([matrix, [[0.7], [-1.3]]], axis=1), (5, 1, 1)), (12, 9))
    offset = matrix @ [0.5, 0.5] + [0.7, -1.3] - 0.5
    for nearest in (False, True):
        found = warp.sample(X, nearest=nearest)
        for image, wanted in zip(found, X, strict=True):
            wanted = ndimage.affine_transform(wanted, matrix, offset, order=0 if nearest else 1, mode="nearest")
            assert np.allclose(image, wanted, atol=1e-6)


def test_whole_numbers_are_rounded_not_cut():
    images = np.array([[[10, 21]]], np.uint8)
    matrices = identity(1)
    matrices[:, 1, 2] = 0.5
    assert Warp(matrices, (1, 2)).sample(images).tolist() == [[[16, 21]]]  # 15.5, and the border
    mask = Warp(matrices * 1.01, (1, 2)).sample(images, nearest=True)
    assert set(mask.ravel().tolist()) <= {10, 21}


def test_blocks_do_not_show(monkeypatch):
    warp = Elastic(2, 5).warp(5, (12, 9), np.random.default_rng(1))
    whole = warp.sample(X)
    monkeypatch.setattr(warping, "_PIXELS", 12 * 9 * 2)
    assert np.array_equal(warp.sample(X), whole)
    assert np.array_equal(
        warp.sample(X)[3], Warp(warp.matrices[3:4], (12, 9), "nearest", warp.control[3:4], 5).sample(X[3:4])[0]
    )


def test_images_do_not_see_each_other():
    images = np.zeros((3, 8, 8), np.float32)
    images[1] = 1
    for seed in range(5):
        warp = Zoom(0.5, 0.6).warp(3, (8, 8), np.random.default_rng(seed))
        found = warp.then(Elastic(2, 5).warp(3, (8, 8), np.random.default_rng(seed))).sample(images)
        assert not found[[0, 2]].any() and (found[1] == 1).all()


def test_splines_sum_to_one_everywhere():
    for side, spacing in ((12, 5.0), (28, 8.0), (7, 30.0), (16, 4.0)):
        weights = Warp(identity(1), (side, side), control=np.zeros(1), spacing=spacing)._basis(
            np.linspace(0, side, 50), 0
        )
        assert np.allclose(weights.sum(axis=1), 1)


def test_control_points_that_move_together_shift_the_image():
    grid = [warping.control_points(side, 4.0) for side in (12, 9)]
    control = np.zeros((5, 2, *grid))
    control[:, 0], control[:, 1] = 2, -1
    assert np.allclose(Warp(identity(5), (12, 9), control=control, spacing=4.0).sample(X), shifted(2, -1).sample(X))


def test_points_follow_their_pixels():
    """A blob is found again where the warp says that its middle goes."""
    rng = np.random.default_rng(2)
    size, n = (40, 50), 8
    warp = (
        Rotation(20).warp(n, size, rng).then(Zoom(0.9, 1.1).warp(n, size, rng)).then(Elastic(3, 10).warp(n, size, rng))
    )
    middle = rng.uniform(15, 25, (n, 1, 2))
    y, x = np.arange(40)[:, None] + 0.5, np.arange(50)[None] + 0.5
    blobs = np.exp(-((y - middle[..., :1]) ** 2 + (x - middle[..., 1:]) ** 2) / 4)
    moved = warp.sample(blobs)
    goal = warp.push(middle, np.arange(n))[:, 0]
    weight = moved.sum(axis=(1, 2))
    found = np.stack([(moved * y).sum(axis=(1, 2)) / weight, (moved * x).sum(axis=(1, 2)) / weight], axis=-1)
    assert np.abs(found - goal).max() < 0.3
    assert np.abs(goal - middle[:, 0]).max() > 1


def test_the_limit_of_elastic_does_not_fold():
    """At the largest strength that is allowed, and in the worst of many draws, the determinant stays positive."""
    size, spacing = (30, 30), 5.0
    warp = Elastic(0.48 * spacing, spacing).warp(200, size, np.random.default_rng(0))
    warp.control[:] = np.sign(warp.control) * 0.48 * spacing
    grid = np.stack(np.meshgrid(np.linspace(6, 24, 91), np.linspace(6, 24, 91), indexing="ij"), axis=-1)
    for control in warp.control:
        places = grid + warp._displacement(grid.reshape(1, -1, 2), control[None]).reshape(grid.shape)
        (yy, xy), (yx, xx) = (np.gradient(places[..., k], 0.2, 0.2) for k in (0, 1))
        assert (yy * xx - xy * yx)[1:-1, 1:-1].min() > 0


def test_the_library_of_the_array_is_used(monkeypatch):
    twin = types.ModuleType("cupyx.scipy.ndimage")
    monkeypatch.setitem(sys.modules, "cupyx", types.ModuleType("cupyx"))
    monkeypatch.setitem(sys.modules, "cupyx.scipy", types.SimpleNamespace(ndimage=twin))
    on_gpu = type("ndarray", (), {"__module__": "cupy"})()
    assert warping._ndimage(on_gpu) is twin
    assert warping._ndimage(X) is ndimage


def test_other_libraries_are_refused():
    import array_api_strict

    with pytest.raises(TypeError, match=r"moves NumPy and CuPy arrays, not array_api_strict.*augment before moving"):
        Rotation(5)(array_api_strict.asarray(X))


def test_wrong_border():
    with pytest.raises(ValueError, match="border must be 'nearest', 'reflect' or a number, got 'wrap'"):
        Rotation(5, border="wrap")(X)
