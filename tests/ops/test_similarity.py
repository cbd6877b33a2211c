import numpy as np
import pytest

from tinymed.ops import local_correlation, local_correlation_backward, mutual_information, mutual_information_backward

RNG = np.random.default_rng(0)


def images(shape=(2, 8, 7, 1)):
    return RNG.uniform(size=shape), RNG.uniform(size=shape)


def naive_correlation(f, g, window, epsilon):
    half, total = window // 2, []
    for h in range(f.shape[0]):
        for w in range(f.shape[1]):
            part = np.s_[max(h - half, 0) : h + half + 1, max(w - half, 0) : w + half + 1]
            a, b = f[part] - f[part].mean(), g[part] - g[part].mean()
            total.append(np.mean(a * b) ** 2 / (np.mean(a * a) * np.mean(b * b) + epsilon))
    return 1 - np.mean(total)


@pytest.mark.parametrize("window", [1, 3, 5, 15])
def test_the_local_correlation_is_the_mean_over_windows(window):
    f, g = images()
    loss, _ = local_correlation(f, g, window=window, epsilon=1e-4)
    for n in range(2):
        assert loss[n] == pytest.approx(naive_correlation(f[n, ..., 0], g[n, ..., 0], window, 1e-4), abs=1e-12)


def test_brightness_and_contrast_do_not_matter():
    f, _ = images((1, 20, 20, 1))
    ramp = np.linspace(1, 2, 20)[:, None, None]
    for g in (f, 3 - 2 * f, 0.5 * f + 0.2):
        assert abs(local_correlation(f, g)[0].item()) < 0.01
    assert local_correlation(f, ramp * f)[0].item() < 0.1  # contrast that changes slowly
    assert local_correlation(f, RNG.uniform(size=f.shape))[0].item() > 0.9


def test_flat_images_have_no_slope():
    f, g = images()
    loss, cache = local_correlation(f, np.full_like(g, 0.7))
    np.testing.assert_allclose(loss, 1)
    assert not local_correlation_backward(np.ones(2), cache).any()


def test_hounsfield_units_in_single_precision():
    f, g = images()
    wanted, _ = local_correlation(f, g)
    found, _ = local_correlation(f.astype("float32"), (g - 1000).astype("float32"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_windows_and_shapes_that_make_no_sense():
    f, g = images()
    for window in (0, 4, 2.5):
        with pytest.raises(ValueError, match="window of odd size"):
            local_correlation(f, g, window=window)
    with pytest.raises(ValueError, match=r"images \(N, H, W, C\)"):
        local_correlation(f[0], g[0])
    with pytest.raises(ValueError, match="one shape"):
        local_correlation(f, g[:, 1:])


def test_mutual_information_of_what_is_known():
    f = RNG.integers(4, size=(1, 4000)) / 3
    counts = np.bincount((f[0] * 3).astype(int)) / 4000
    entropy = -np.sum(counts * np.log(counts))
    # Grey values given other names say as much as before.
    renamed = np.array([2, 0, 3, 1])[(f * 3).astype(int)] / 3
    for g in (f, 1 - f, renamed):
        assert mutual_information(f, g, bins=32)[0].item() == pytest.approx(-entropy, abs=1e-4)
    merged = np.array([0, 0, 1, 1])[(f * 3).astype(int)].astype(float)
    halves = np.array([counts[:2].sum(), counts[2:].sum()])
    wanted = np.sum(halves * np.log(halves))
    assert mutual_information(f, merged, bins=32)[0].item() == pytest.approx(wanted, abs=1e-4)
    assert abs(mutual_information(f, RNG.permuted(f, axis=1), bins=16)[0].item()) < 0.01


def test_mutual_information_is_symmetric():
    f, g = images()
    np.testing.assert_allclose(mutual_information(f, g)[0], mutual_information(g, f)[0], rtol=1e-10)


def test_values_beyond_the_bins_count_as_the_outermost():
    f, g = images()
    wide = np.where(g > 0.5, 1e30, -1e30)
    loss, cache = mutual_information(f, wide)
    np.testing.assert_array_equal(loss, mutual_information(f, (g > 0.5).astype(float))[0])
    assert not mutual_information_backward(np.ones(2), cache).any()


def test_bins_that_make_no_sense():
    f, g = images()
    for bins in (3, 8.5):
        with pytest.raises(ValueError, match="four bins or more"):
            mutual_information(f, g, bins=bins)
