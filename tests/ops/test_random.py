"""Counter-based random numbers: the same on every library, uniform, independent."""

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from tinymed.ops.random import _mix, bernoulli, normal, random_bits, uniform

LIKE = np.zeros(1)
HOST, DEVICE = array_api_strict.Device("CPU_DEVICE"), array_api_strict.Device("device1")


def test_the_hash_is_splitmix64():
    # The published sequence for the seed 1234567.
    step = 0x9E3779B97F4A7C15
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [_mix((1234567 + i * step) % 2**64) for i in (1, 2, 3)] == expected


def test_the_arrays_hash_as_the_host_does():
    start = _mix((_mix(77) + 5 * 0x9E3779B97F4A7C15) % 2**64)
    expected = [_mix((start + i * 0x9E3779B97F4A7C15) % 2**64) for i in range(1, 6)]
    bits = random_bits(LIKE, 5, key=77, counter=5)
    assert bits.dtype == np.uint64
    assert [int(b) for b in bits] == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (5, 7, 3)])
def test_every_library_and_device_draws_the_same(dtype, shape):
    like = np.zeros(2, dtype)
    strict_like = array_api_strict.asarray(like, device=DEVICE)
    for draw in (uniform, lambda *a: bernoulli(*a, 0.3), normal):
        host, strict = draw(like, shape, 2**63 - 1, 12), draw(strict_like, shape, 2**63 - 1, 12)
        assert strict.device == DEVICE
        assert host.shape == tuple(strict.shape) == shape
        np.testing.assert_array_equal(np.asarray(array_api_strict.asarray(strict, device=HOST)), host)


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("float32", 24), ("float64", 53)])
def test_uniform_stays_below_one_and_on_the_grid(dtype, digits):
    u = uniform(np.zeros(1, dtype), (100_000,), key=3, counter=0)
    assert u.dtype == dtype
    assert 0 <= u.min() < 1e-3
    assert 0.999 < u.max() < 1
    on_grid = u.astype(np.float64) * 2.0**digits
    np.testing.assert_array_equal(on_grid, np.round(on_grid))


def test_uniform_is_uniform_and_independent():
    u = np.concatenate([uniform(LIKE, (50_000,), key=11, counter=t) for t in range(4)])
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    cells = np.histogram2d(u[:-1], u[1:], bins=16)[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-3
    for lag in (1, 2, 3, 64, 50_000):
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 4 / np.sqrt(u.size - lag)


def test_calls_keys_and_bits_are_independent():
    draws = [uniform(LIKE, (20_000,), key=key, counter=t) for key in (0, 1, 2**62) for t in (0, 1, 1000)]
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 4.5 / np.sqrt(20_000)
    bits = random_bits(LIKE, 20_000, key=5, counter=9)
    ones = np.array([np.count_nonzero(bits >> np.uint64(b) & np.uint64(1)) for b in range(64)])
    assert np.abs(ones - 10_000).max() < 4.5 * np.sqrt(20_000 / 4)


@pytest.mark.parametrize("probability", [0.0, 1e-3, 0.25, 0.9, 1.0])
def test_bernoulli_has_its_probability_whatever_the_dtype(probability):
    mask = bernoulli(np.zeros(1, np.float32), (100, 1000), 4, 2, probability)
    assert mask.dtype == np.bool_
    assert abs(mask.mean() - probability) <= 4 * np.sqrt(probability * (1 - probability) / mask.size)
    np.testing.assert_array_equal(mask, bernoulli(np.zeros(1, np.float16), (100, 1000), 4, 2, probability))


def test_normal_is_normal():
    z = normal(LIKE, (99_999,), key=8, counter=1)
    assert z.shape == (99_999,)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(z[: z.size // 2], z[-(z.size // 2) :])[0, 1]) < 0.02
    assert np.isfinite(normal(np.zeros(1, np.float32), (100_000,), 8, 1)).all()


def test_a_key_counts_from_zero():
    with pytest.raises(ValueError, match="must not be negative, got -1 and 0"):
        uniform(LIKE, (1,), key=-1, counter=0)
