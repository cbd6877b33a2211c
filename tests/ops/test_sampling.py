import numpy as np
import pytest
from scipy import ndimage

from tinymed.ops import textbook, warp, warp_backward
from tinymed.ops.sampling import sum_by_index


@pytest.fixture(params=["textbook", "fast"])
def body(request):
    if request.param == "fast":
        yield
    else:
        with textbook():
            yield


def problem(seed=0, shape=(2, 7, 9, 3), far=3.0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape).astype(dtype), (far * rng.standard_normal((*shape[:3], 2))).astype(dtype)


@pytest.mark.parametrize(("border", "mode"), [("clamp", "nearest"), ("zeros", "constant")])
def test_agrees_with_scipy(body, border, mode):
    x, u = problem()
    y, _ = warp(x, u, border)
    h, w = np.mgrid[:7, :9]
    for n in range(2):
        for c in range(3):
            where = [h + u[n, ..., 0], w + u[n, ..., 1]]
            if border == "zeros":  # SciPy drops to zero at once outside the outermost pixels; here it takes a pixel
                padded = np.pad(x[n, ..., c], 8)
                wanted = ndimage.map_coordinates(padded, [place + 8 for place in where], order=1, mode=mode)
            else:
                wanted = ndimage.map_coordinates(x[n, ..., c], where, order=1, mode=mode)
            np.testing.assert_allclose(y[n, ..., c], wanted, atol=1e-12)


def test_no_displacement_changes_nothing(body):
    x, u = problem()
    for border in ("clamp", "zeros"):
        np.testing.assert_array_equal(warp(x, 0 * u, border)[0], x)


def test_whole_pixels_move_the_image(body):
    x, u = problem()
    u[...] = (0, 1)
    y, _ = warp(x, u)
    np.testing.assert_array_equal(y[:, :, :-1], x[:, :, 1:])
    np.testing.assert_array_equal(y[:, :, -1], x[:, :, -1])
    assert not warp(x, u, "zeros")[0][:, :, -1].any()


@pytest.mark.parametrize("border", ["clamp", "zeros"])
def test_the_image_s_gradient_is_the_adjoint(body, border):
    x, u = problem(far=4.0)
    y, cache = warp(x, u, border)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx, _ = warp_backward(dy, cache)
    assert np.vdot(y, dy) == pytest.approx(np.vdot(x, dx), rel=1e-12)


def test_no_slope_outside_the_image(body):
    x, u = problem()
    u[0, 0, 0] = (-3, 0.5)
    u[0, 0, 1] = (0.5, 50)
    _, du = warp_backward(np.ones_like(x), warp(x, u)[1])
    assert du[0, 0, 0, 0] == 0 and du[0, 0, 0, 1] != 0
    assert du[0, 0, 1, 1] == 0 and du[0, 0, 1, 0] != 0


def test_only_what_is_asked_for(body):
    x, u = problem()
    y, cache = warp(x, u)
    dx, du = warp_backward(y, cache, input_gradient=False)
    assert dx is None
    np.testing.assert_array_equal(du, warp_backward(y, cache)[1])


def test_nan_stays_where_it_is(body):
    x, u = problem(far=0.4)
    u[0, 3, 3, 0] = np.nan
    y, cache = warp(x, u)
    assert np.isnan(y[0, 3, 3]).all() and np.isnan(y).sum() == 3
    dy = np.zeros_like(x)
    dy[1, 2, 2, 1] = np.nan
    dx, du = warp_backward(dy, cache)
    assert np.isnan(dx[1]).any() and not np.isnan(dx[1, ..., 0]).any()
    assert np.isnan(du[1, 2, 2]).all() and np.isnan(du[1]).sum() == 2


def test_infinitely_far(body):
    x, u = problem()
    u[...] = np.inf
    np.testing.assert_array_equal(warp(x, u)[0][:, 2, 3], x[:, -1, -1])
    assert not warp(x, -u, "zeros")[0].any()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 4, 2), (0, 3, 3, 1)])
def test_small_images(body, shape):
    x, u = problem(shape=shape)
    y, cache = warp(x, u)
    dx, du = warp_backward(y, cache)
    assert dx.shape == x.shape and du.shape == u.shape
    if shape[1] == 1:
        assert not du[..., 0].any()


def test_what_does_not_fit_is_refused(body):
    x, u = problem()
    with pytest.raises(ValueError, match=r"displacements \(2, 7, 9, 2\)"):
        warp(x, u[:, :-1])
    with pytest.raises(ValueError, match="each pixel needs one displacement"):
        warp(x[0], u)
    with pytest.raises(ValueError, match="'clamp' and 'zeros' but got 'wrap'"):
        warp(x, u, "wrap")


def test_sums_by_index():
    rng = np.random.default_rng(0)
    for count, size in ((0, 3), (1, 1), (200, 7), (37, 100)):
        index, values = rng.integers(size, size=count), rng.standard_normal((count, 2))
        wanted = np.zeros((size, 2))
        np.add.at(wanted, index, values)
        np.testing.assert_allclose(sum_by_index(values, index, size), wanted, atol=1e-13)
