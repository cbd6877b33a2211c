import numpy as np
import pytest

import tinymed
from benchmarks.networks import NETWORKS, batches, find, keras_model, load, prepared, step_flops


def test_p0_is_the_articles_network():
    model = keras_model(tinymed, NETWORKS["P0"])
    assert model.count_params() == 896 + 18496 + 12544 * 128 + 128 + 129
    convolutions = 62 * 62 * 32 * 27 * 2 + 29 * 29 * 64 * 288 * 2
    train, predict = step_flops(model)
    assert predict == pytest.approx(32 * (convolutions + 12544 * 128 * 2), rel=0.02)
    assert train == pytest.approx(3 * predict - 32 * 62 * 62 * 32 * 27 * 2, rel=0.001)


def test_sequences_of_any_length():
    assert find("P4b relu 37").shape == (37, 1)
    assert find("P0") is NETWORKS["P0"]
    with pytest.raises(KeyError):
        find("P9")


@pytest.mark.parametrize("name", ["P0", "P3", "P4b tanh 200"])
def test_batches_fit_the_loss_and_repeat(name):
    (x, y), _ = batches(NETWORKS[name], 2)
    assert x.shape == (32, *NETWORKS[name].shape) and x.dtype == np.float32
    assert y.shape == ((32,) if name == "P3" else (32, 1))
    assert np.array_equal(x, batches(NETWORKS[name], 1)[0][0])


def test_all_libraries_read_the_same_start():
    with prepared("P3") as (path, flops):
        weights, data = load(str(path))
    assert [w.shape for w in weights] == [(3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (1600, 10), (10,)]
    assert len(data) == 3 and flops[0] > flops[1] > 0
    with prepared("P3") as (path, _):
        assert all(np.array_equal(a, b) for a, b in zip(weights, load(str(path))[0], strict=True))
