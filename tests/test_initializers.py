"""Initial values: distributions, fans, seeds, names."""

import numpy as np
import pytest

from tinymed import backend, initializers

RANDOM = {name: cls for name, cls in initializers._NAMES.items() if "seed" in cls._argument_names()}


def test_constants():
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3), "float32"))
    np.testing.assert_array_equal(initializers.Ones()((2,)), [1, 1])
    np.testing.assert_array_equal(initializers.Constant(2.5)((1, 2)), [[2.5, 2.5]])
    np.testing.assert_array_equal(initializers.Identity(gain=3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])


def test_constant_from_an_array_keeps_its_values_and_checks_the_shape():
    values = np.arange(6.0).reshape(2, 3)
    made = initializers.get(values)
    np.testing.assert_array_equal(made((2, 3)), values)
    copy = initializers.get({"class_name": "Constant", "config": made.get_config()})
    np.testing.assert_array_equal(copy((2, 3)), values)
    with pytest.raises(ValueError, match=r"initial values have shape \(2, 3\) but the weight has shape \(3, 2\)"):
        made((3, 2))


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((7,), (7, 7)), ((20, 10), (20, 10)), ((5, 3, 4), (15, 20)), ((3, 3, 16, 32), (144, 288))],
)
def test_compute_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


def test_fans_from_axes():
    assert initializers.compute_fans((2, 3, 5, 7), input_axes=(0, 1), output_axes=(3,)) == (6, 7)
    narrow = initializers.HeUniform(seed=1, input_axes=(0,), output_axes=(1,))((4, 100, 100))
    assert 1.0 < np.abs(narrow).max() <= np.sqrt(6 / 4)


# Standard deviation and largest size that a (40, 60) matrix may have.
@pytest.mark.parametrize(
    ("name", "stddev", "limit"),
    [
        ("glorot_uniform", np.sqrt(2 / 100), np.sqrt(6 / 100)),
        ("glorot_normal", np.sqrt(2 / 100), 2 * np.sqrt(2 / 100) / 0.8796256610342398),
        ("he_uniform", np.sqrt(2 / 40), np.sqrt(6 / 40)),
        ("he_normal", np.sqrt(2 / 40), 2 * np.sqrt(2 / 40) / 0.8796256610342398),
        ("lecun_uniform", np.sqrt(1 / 40), np.sqrt(3 / 40)),
        ("lecun_normal", np.sqrt(1 / 40), 2 * np.sqrt(1 / 40) / 0.8796256610342398),
        ("random_uniform", 0.05 / np.sqrt(3), 0.05),
        ("truncated_normal", 0.05 * 0.8796256610342398, 0.1),
        ("random_normal", 0.05, np.inf),
        ("orthogonal", np.sqrt(1 / 60), 1.0),
    ],
)
def test_spread(name, stddev, limit):
    values = initializers._NAMES[name](seed=3)((40, 60), dtype="float64")
    assert np.std(values) == pytest.approx(stddev, rel=0.05)
    assert np.mean(values) == pytest.approx(0, abs=4 * stddev / np.sqrt(values.size))
    assert np.abs(values).max() <= limit
    if limit < 1:
        assert np.abs(values).max() > 0.9 * limit


def test_mean_and_bounds_are_used():
    assert np.mean(initializers.RandomNormal(mean=5.0, seed=1)((1000,))) == pytest.approx(5, abs=0.01)
    assert np.mean(initializers.TruncatedNormal(mean=-5.0, seed=1)((1000,))) == pytest.approx(-5, abs=0.01)
    uniform = initializers.RandomUniform(2.0, 3.0, seed=1)((1000,))
    assert 2 <= uniform.min() < 2.01
    assert 2.99 < uniform.max() <= 3


def test_variance_scaling_modes_and_distributions():
    for mode, n in [("fan_in", 40), ("fan_out", 60), ("fan_avg", 50)]:
        for distribution in ("normal", "truncated_normal", "untruncated_normal", "uniform"):
            made = initializers.VarianceScaling(3.0, mode, distribution, seed=2)
            assert np.std(made((40, 60))) == pytest.approx(np.sqrt(3 / n), rel=0.05)
    untruncated = initializers.VarianceScaling(distribution="untruncated_normal", seed=2)((100, 100))
    assert np.abs(untruncated).max() > 0.3  # beyond two of its standard deviations, which are 0.1


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 3, 2, 4), (2, 2, 2, 30)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    matrix = initializers.Orthogonal(gain=2.0, seed=4)(shape, dtype="float64").reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    first, second = RANDOM[name](seed=5), RANDOM[name](seed=6)
    values = first((8, 4))
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    np.testing.assert_array_equal(first((8, 4)), values)
    assert not np.array_equal(second((8, 4)), values)
    np.testing.assert_array_equal(first((8, 4), dtype="float64").astype("float32"), values)

    free = RANDOM[name]()
    backend.set_seed(11)
    one, two = free((8, 4)), free((8, 4))
    assert not np.array_equal(one, two)
    backend.set_seed(11)
    np.testing.assert_array_equal(free((8, 4)), one)


@pytest.mark.parametrize("name", initializers._NAMES)
def test_names_and_configurations(name):
    cls = initializers._NAMES[name]
    assert type(initializers.get(name)) is cls
    assert type(initializers.get(cls.__name__)) is cls
    assert type(initializers.get(cls)) is cls
    made = cls(seed=3) if name in RANDOM else cls()
    copy = initializers.get({"class_name": cls.__name__, "config": made.get_config()})
    assert copy.get_config() == made.get_config()
    np.testing.assert_array_equal(copy((3, 2)), made((3, 2)))


def test_get_passes_functions_and_gives_the_default():
    assert isinstance(initializers.get(None), initializers.GlorotUniform)
    assert initializers.get(np.zeros) is np.zeros
    assert isinstance(initializers.get("uniform"), initializers.RandomUniform)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.get("he_norml"), "unknown initializer 'he_norml'; did you mean 'he_normal'"),
        (lambda: initializers.get(3), "an initializer is a name"),
        (lambda: initializers.VarianceScaling(scale=0), "positive scale"),
        (lambda: initializers.VarianceScaling(mode="fanin"), "did you mean 'fan_in'"),
        (lambda: initializers.VarianceScaling(distribution="unifrom"), "did you mean 'uniform'"),
        (lambda: initializers.Orthogonal()((3,)), "two axes or more"),
        (lambda: initializers.Identity()((3, 3, 3)), "makes matrices"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_floatx_is_the_default_dtype():
    backend.set_floatx("float64")
    try:
        assert initializers.Ones()((2,)).dtype == np.float64
    finally:
        backend.set_floatx("float32")
