import numpy as np
import pytest

from tinymed.ops import displacement_smoothness


def field(function, size=(6, 5)):
    h, w = np.mgrid[: size[0], : size[1]].astype(float)
    return np.stack(function(h, w), axis=-1)[None]


def test_against_numpy():
    u = np.random.default_rng(0).standard_normal((2, 5, 6, 2))
    first, _ = displacement_smoothness(np.zeros_like(u), u)
    second, _ = displacement_smoothness(np.zeros_like(u), u, order=2)
    for n in range(2):
        h, w = np.diff(u[n], axis=0), np.diff(u[n], axis=1)
        assert first[n] == pytest.approx(((h**2).sum() + (w**2).sum()) / 30)
        bends = [np.diff(h, axis=0), np.diff(h, axis=1), np.diff(h, axis=1), np.diff(w, axis=1)]
        assert second[n] == pytest.approx(sum((bend**2).sum() for bend in bends) / 30)


def test_what_costs_nothing():
    constant = field(lambda h, w: (0 * h + 3, 0 * w - 2))
    affine = field(lambda h, w: (0.2 * h - 0.1 * w, 0.3 * w + 1))
    for order, u in ((1, constant), (2, constant), (2, affine)):
        assert displacement_smoothness(0 * u, u, order)[0].item() == pytest.approx(0, abs=1e-25)
    assert displacement_smoothness(0 * affine, affine, 1)[0].item() > 0.01
    assert displacement_smoothness(affine, affine, 1)[0].item() == 0  # as expected, so not rough


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1)])
def test_too_small_for_differences(size):
    u = field(lambda h, w: (h, w), size)
    assert displacement_smoothness(0 * u, u, 2)[0].item() == 0


def test_mistakes():
    u = field(lambda h, w: (h, w))
    with pytest.raises(ValueError, match="order 1 and 2 but got 3"):
        displacement_smoothness(u, u, 3)
    with pytest.raises(ValueError, match="one shape"):
        displacement_smoothness(u[:, 1:], u)
    with pytest.raises(ValueError, match=r"fields \(N, H, W, 2\)"):
        displacement_smoothness(u[0], u[0])
