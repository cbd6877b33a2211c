"""A small file in PneumoniaMNIST's form whose classes differ by a bright square, and a model trained on it."""

import pathlib

import numpy as np
import pytest

from tinymed import metrics
from tinymed.applications import pneumonia


def draw(n, rng):
    labels = np.arange(n) % 2
    images = rng.integers(0, 120, (n, 28, 28), dtype=np.uint8)
    images[labels == 1, 8:20, 8:20] += 100
    return images, labels.astype(np.uint8)[:, None]


@pytest.fixture
def in_full():
    """Ask for what small runs leave out: pictures that are drawn, and intervals of a thousand draws."""


@pytest.fixture(autouse=True)
def _in_short(request, monkeypatch):
    """Compose pictures but do not draw them, leave out sheets of many, and resample less: most of a small run's time.

    Each task does all of it once: in the fixtures that a whole file shares, or where a test asks for ``in_full``.
    """
    if "in_full" not in request.fixturenames:

        def not_drawn(*_, path, **__):
            pathlib.Path(path).write_bytes(b"not drawn")

        monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path, **_: not_drawn(path=path))
        monkeypatch.setattr("tinymed.plots.prediction_sheet", not_drawn)
        monkeypatch.setitem(metrics.bootstrap.__kwdefaults__, "samples", 100)


@pytest.fixture(scope="session")
def xrays(tmp_path_factory):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 64), ("val", 24), ("test", 20)):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = draw(n, rng)
    path = tmp_path_factory.mktemp("data") / "xrays.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def trained(xrays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return pneumonia.train(data=xrays, epochs=3, out=folder, verbose=0)
