"""The short benchmark: the ways agree before they are timed, and a picture comes out."""

import numpy as np
import pytest

from tinymed import bench as module
from tinymed.bench import bench, rows
from tinymed.layers import Dense
from tinymed.models import Sequential


@pytest.fixture
def small(monkeypatch):
    """Put one small network in the place of the articles'."""
    made = []

    def network():
        model = Sequential([Dense(3, activation="relu", input_shape=(4,)), Dense(1)])
        model.compile(optimizer="adam", loss="mean_squared_error")
        made.append(model)
        return model, (4,), lambda draw: draw.random((module.BATCH, 1))

    monkeypatch.setattr(module, "NETWORKS", {"small": network})
    return made


def test_times_every_way_and_draws_them(small, tmp_path):
    results = bench(seconds=0.05, path=tmp_path / "bench.png")
    times = results["small"]
    assert list(times)[:2] == ["textbook", "kernels, 1 thread"]
    assert all(value > 0 for value in times.values())
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    head, line = rows(results)
    assert head[-1] == "times faster"
    assert float(line[-1]) == pytest.approx(times["textbook"] / list(times.values())[-1], abs=0.06)


def test_refuses_to_time_ways_that_disagree(small, monkeypatch):
    train = Sequential.train_on_batch
    monkeypatch.setattr(
        Sequential, "train_on_batch", lambda self, x, y: train(self, x, y) * (1.001 if self is not small[0] else 1)
    )
    with pytest.raises(ArithmeticError, match=r"small: losses .* 'kernels, 1 thread' .*not timed"):
        bench(seconds=0.01)


def test_all_networks_are_the_articles_own():
    shapes = {name: make()[1] for name, make in module.NETWORKS.items()}
    assert shapes == {"P0": (64, 64, 3), "P3": (28, 28, 1), "P4b": (200, 1)}
    model, shape, targets = module.NETWORKS["P4b"]()
    assert np.shape(model.predict_on_batch(np.zeros((2, *shape), "float32"))) == (2, 1)
    assert targets(np.random.default_rng(0)).shape == (module.BATCH, 1)


def test_unknown_network():
    with pytest.raises(ValueError, match="unknown network 'P1'"):
        bench(["P1"])
