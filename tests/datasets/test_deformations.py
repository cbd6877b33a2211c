import numpy as np
import pytest

from tinymed import metrics
from tinymed.datasets import deformations
from tinymed.ops import warp


def test_fields_have_the_length_that_was_asked_for_and_do_not_fold():
    fields = deformations.smooth_field(np.random.default_rng(0), (40, 50), 3, mean=3.0, sigma=8.0)
    assert fields.shape == (3, 40, 50, 2) and fields.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(fields, axis=-1).mean(axis=(1, 2)), 3, rtol=1e-5)
    assert not metrics.folding(fields).any()
    assert not deformations.smooth_field(np.random.default_rng(0), (9, 9), mean=0).any()
    with pytest.raises(ValueError, match="sigma > 0"):
        deformations.smooth_field(np.random.default_rng(0), (9, 9), sigma=0)


def test_composed_fields_deform_as_one_after_the_other():
    rng = np.random.default_rng(0)
    first, second = (deformations.smooth_field(rng, (48, 48), 1, 2.0, 9.0) for _ in range(2))
    h, w = np.mgrid[:48, :48] / 8
    image = (np.sin(h) + np.cos(w))[None, ..., None].astype(np.float32)  # smooth: interpolation hardly matters
    twice = warp(warp(image, first)[0], second)[0]
    once = warp(image, deformations.compose(first, second))[0]
    np.testing.assert_allclose(once[:, 8:-8, 8:-8], twice[:, 8:-8, 8:-8], atol=0.02)


def test_the_inverse_undoes():
    field = deformations.smooth_field(np.random.default_rng(1), (64, 64), 2, 3.0, 9.0)
    inverse = deformations.invert(field)
    for rest in (deformations.compose(field, inverse), deformations.compose(inverse, field)):
        assert np.linalg.norm(rest, axis=-1)[:, 10:-10, 10:-10].mean() < 0.02


def test_pairs_know_their_displacement():
    moving, fixed, truth, inside = deformations.pairs(3, size=48, seed=4, noise=0.0)
    np.testing.assert_allclose(warp(moving, truth)[0], fixed, atol=1e-6)
    assert 0.2 < inside.mean() < 0.7 and (moving.min(), moving.max() <= 1) == (0, True)
    assert fixed[..., 0][inside].mean() > 5 * fixed[..., 0][~inside].mean()


def test_pairs_repeat_and_differ():
    few, many = deformations.pairs(2, size=32, seed=0), deformations.pairs(20, size=32, seed=0)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:2])
    assert not np.array_equal(few[0], deformations.pairs(2, size=32, seed=1)[0])
    assert len({image.tobytes() for image in many[0]}) == 20


def test_two_modalities_of_the_same_brain():
    moving, fixed, truth, inside = deformations.pairs(
        2, size=64, seed=0, modalities=(deformations.T1, deformations.T2), noise=0.0
    )
    plain = deformations.pairs(2, size=64, seed=0, noise=0.0)
    np.testing.assert_array_equal(moving, plain[0])
    np.testing.assert_array_equal(truth, plain[2])
    white = (plain[1][..., 0] > 0.7) & inside
    assert fixed[..., 0][white].mean() < 0.6 < plain[1][..., 0][white].mean()


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="count >= 1 and size >= 16"):
        deformations.pairs(0)
