"""Initial values and penalties against Keras: constants exactly, random ones by their moments and limits."""

import inspect

import numpy as np
import pytest

from tests.peers.compare import GRADIENTS, Row, assert_close, check_arguments, generator, host
from tinymed import initializers, regularizers

SHAPES = [(200, 120), (3, 3, 40, 50), (2, 3, 4, 20, 30)]


def row(cls, **kwargs):
    return Row(cls, kwargs)


EXACT = [
    row("Zeros"),
    row("Ones"),
    row("Constant", value=0.3),
    row("Identity"),
    row("Identity", gain=0.5),
]
RANDOM = [
    row("RandomNormal"),
    row("RandomNormal", mean=1.0, stddev=0.2),
    row("TruncatedNormal"),
    row("TruncatedNormal", mean=-1.0, stddev=2.0),
    row("RandomUniform"),
    row("RandomUniform", minval=1.0, maxval=3.0),
    *(row(name) for name in ("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal")),
    *(
        row("VarianceScaling", scale=1.5, mode=mode, distribution=distribution)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("truncated_normal", "untruncated_normal", "uniform")
    ),
]
ORTHOGONAL = [row("Orthogonal"), row("Orthogonal", gain=1.7)]
PENALTIES = [
    row("L1"),
    row("L1", l1=0.3),
    row("L2"),
    row("L2", l2=0.3),
    row("L1L2", l1=0.1, l2=0.2),
]


@pytest.mark.parametrize("row", EXACT, ids=str)
def test_constants_are_keras_s(row, keras):
    shape = (4, 3) if row.cls == "Identity" else (2, 3, 4)
    ours, theirs = getattr(initializers, row.cls)(**row.kwargs), getattr(keras.initializers, row.cls)(**row.kwargs)
    assert np.array_equal(ours(shape), host(theirs(shape)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("row", RANDOM, ids=str)
def test_random_values_are_distributed_as_keras_s(row, shape, keras):
    ours = getattr(initializers, row.cls)(**row.kwargs, seed=1)(shape).reshape(-1).astype("float64")
    theirs = host(getattr(keras.initializers, row.cls)(**row.kwargs, seed=1)(shape)).reshape(-1).astype("float64")
    n, sigma = len(theirs), theirs.std()
    # Five standard errors of a difference of two means, and of two standard deviations (kurtosis at most 3).
    assert abs(ours.mean() - theirs.mean()) < 5 * sigma * np.sqrt(2 / n)
    assert abs(ours.std() - sigma) < 5 * sigma / np.sqrt(n)
    # The whole distribution: Kolmogorov and Smirnov's largest distance, passed by chance once in a million.
    places = np.sort(np.concatenate([ours, theirs]))
    share = [np.searchsorted(np.sort(values), places, side="right") / n for values in (ours, theirs)]
    assert np.max(np.abs(share[0] - share[1])) < 2.7 * np.sqrt(2 / n)
    if "Normal" not in row.cls.replace("TruncatedNormal", "") and "untruncated" not in str(row):
        limits = [np.max(np.abs(values - values.mean())) for values in (ours, theirs)]
        assert limits[0] == pytest.approx(limits[1], rel=0.02)


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8), (3, 3, 2, 5), (2, 2, 30)], ids=str)
@pytest.mark.parametrize("row", ORTHOGONAL, ids=str)
def test_orthogonal_matrices_are_as_keras_s(row, shape, keras):
    products = []
    for module in (initializers, keras.initializers):
        matrix = host(getattr(module, row.cls)(**row.kwargs, seed=3)(shape)).reshape(-1, shape[-1])
        products.append(matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix)
    assert_close(products[0], products[1], 1e-5, "product with its transpose")
    gain = row.kwargs.get("gain", 1.0)
    assert_close(products[0], gain**2 * np.eye(len(products[0]), dtype="float32"), 1e-5, "product with its transpose")


@pytest.mark.parametrize("row", PENALTIES, ids=str)
def test_penalties_and_their_gradients_are_keras_s(row, keras, tf):
    weights = generator(row).standard_normal((5, 4)).astype("float32")
    ours, theirs = getattr(regularizers, row.cls)(**row.kwargs), getattr(keras.regularizers, row.cls)(**row.kwargs)
    tensor = tf.constant(weights)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        expected = theirs(tensor)
    penalty, cache = ours.forward(weights)
    assert_close(penalty, expected, 1e-6, "penalty")
    assert_close(ours.backward(cache), tape.gradient(expected, tensor), GRADIENTS, "gradient")
    config, wanted = ours.get_config(), theirs.get_config()
    assert config.keys() == wanted.keys()
    assert all(config[key] == pytest.approx(wanted[key]) for key in config)


@pytest.mark.parametrize("name", sorted({row.cls for row in (*EXACT, *RANDOM, *ORTHOGONAL)}))
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(initializers, name), getattr(keras.initializers, name), ())


@pytest.mark.parametrize("name", sorted({row.cls for row in PENALTIES}))
def test_arguments_of_penalties_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(regularizers, name), getattr(keras.regularizers, name), ())


@pytest.mark.parametrize("shape", [(), (7,), (7, 5), (3, 7, 5), (3, 3, 7, 5), (2, 3, 3, 7, 5)], ids=str)
def test_fans_are_keras_s(shape, keras):
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.compute_fans(shape) == compute_fans(shape)


def test_every_initializer_and_penalty_is_compared():
    for module, base, rows in (
        (initializers, initializers.Initializer, [*EXACT, *RANDOM, *ORTHOGONAL]),
        (regularizers, regularizers.Regularizer, PENALTIES),
    ):
        offered = {
            item.__name__
            for item in vars(module).values()
            if inspect.isclass(item) and issubclass(item, base) and not item.__name__.startswith("_")
        }
        assert offered - {base.__name__} == {row.cls for row in rows}
