import numpy as np
import pytest

from tinymed.metrics import endpoint_error, folding, jacobian_determinant


def field(function, size=8):
    h, w = np.mgrid[:size, :size].astype(float)
    return np.stack(function(h, w), axis=-1)[None]


def test_endpoint_error_counts_what_is_inside():
    truth = np.zeros((2, 4, 4, 2))
    found = truth.copy()
    found[0, :2] = (3, 4)
    np.testing.assert_allclose(endpoint_error(truth, found), [2.5, 0])
    inside = np.zeros((2, 4, 4), bool)
    inside[:, :1] = True
    np.testing.assert_allclose(endpoint_error(truth, found, inside), [5, 0])
    assert endpoint_error(truth, found, inside & False).tolist() == [0, 0]
    with pytest.raises(ValueError, match="two fields"):
        endpoint_error(truth, found[:, 1:])


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0])
def test_rotations_keep_areas_and_scaling_changes_them(angle):
    c, s = np.cos(angle), np.sin(angle)
    turned = field(lambda h, w: (c * h - s * w - h, s * h + c * w - w))
    np.testing.assert_allclose(jacobian_determinant(turned), np.ones((1, 7, 7)))
    np.testing.assert_allclose(jacobian_determinant(field(lambda h, w: (0.5 * h, -0.2 * w))), 1.5 * 0.8)


def test_folding_is_a_mirrored_part():
    assert folding(field(lambda h, w: (0 * h, 0.3 * w))).tolist() == [0]
    assert folding(field(lambda h, w: (0 * h, -2 * w))).tolist() == [1]
    half = field(lambda h, w: (0 * h, np.where(w > 3, -2 * (w - 3), 0.0)), 8)
    assert folding(half)[0] == pytest.approx(4 / 7)
    with pytest.raises(ValueError, match=r"fields \(N, H, W, 2\)"):
        jacobian_determinant(np.zeros((4, 4, 2)))
