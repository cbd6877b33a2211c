"""The backend: which library, which device, copies at the edge, and seeds."""

import os
import subprocess
import sys

import array_api_strict
import numpy as np
import pytest

from tests.devices import DEVICES, is_on, on
from tinymed import backend


def test_numpy_is_the_default_and_a_no_copy():
    assert backend.get_backend() == "numpy"
    x = np.ones((2, 3), "float32")
    assert backend.asarray(x) is x or np.shares_memory(backend.asarray(x), x)
    assert backend.to_host(x) is x


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_go_to_the_device_and_come_back(device):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    with on(device):
        assert backend.get_backend() == device
        there = backend.asarray(x[:, ::-1], dtype="float64")
        assert is_on(device, there)
        assert there.dtype == backend.array_namespace(there).float64
        assert not backend.is_host(there)
        np.testing.assert_array_equal(backend.to_host(there), x[:, ::-1])
    assert backend.get_backend() == "numpy"


def test_the_former_backend_returns_after_an_error():
    with pytest.raises(KeyError), backend.use_backend("array_api_strict"):
        raise KeyError
    assert backend.get_backend() == "numpy"


def test_aliases_and_unknown_backends():
    backend.set_backend("cpu")
    assert backend.get_backend() == "numpy"
    with pytest.raises(ValueError, match=r"'no_such_library' is not available.*pip install"):
        backend.set_backend("no_such_library")
    with pytest.raises(ValueError, match="no array library"):
        backend.set_backend("json")
    assert backend.get_backend() == "numpy"


def test_the_environment_variable_chooses():
    code = "import tinymed; print(tinymed.get_backend())"
    environment = {**os.environ, "TINYMED_BACKEND": "array_api_strict"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "array_api_strict"


def test_namespace_passes_over_none():
    assert backend.array_namespace(None, array_api_strict.ones(2)) is array_api_strict
    with pytest.raises(TypeError):
        backend.array_namespace(np.ones(2), array_api_strict.ones(2))


def test_seeds_repeat_and_differ():
    def draw():
        return backend.new_generator().random(), backend.new_generator().random(), backend.new_key()

    backend.set_seed(5)
    first = draw()
    backend.set_seed(5)
    assert draw() == first
    assert first[0] != first[1]
    backend.set_seed(6)
    assert draw() != first
    assert 0 <= first[2] < 2**63
    for bad in (-1, 1.5, "7"):
        with pytest.raises(ValueError, match="non-negative integer"):
            backend.set_seed(bad)


def test_floatx():
    backend.set_floatx("float64")
    assert backend.floatx() == "float64"
    with pytest.raises(ValueError, match="'float16', 'float32' or 'float64'"):
        backend.set_floatx("int8")


def test_lazy_arrays_read_what_is_asked_for():
    class Rows(backend.LazyArray):
        shape, dtype = (10, 2), np.dtype("float32")

        def __init__(self):
            self.seen = []

        def read(self, places):
            self.seen.append(places.tolist())
            return np.stack([places, -places], axis=1).astype("float32")

    rows = Rows()
    assert len(rows) == 10 and rows.ndim == 2 and rows.seen == []
    assert rows[3].tolist() == [3, -3] and rows[-1].tolist() == [9, -9]
    assert rows[2:4, ...].tolist() == [[2, -2], [3, -3]] and rows[:2, 1].tolist() == [0, -1]
    assert rows[np.array([5, 1])].tolist() == [[5, -5], [1, -1]]
    part = rows.rows(6, 10)
    assert part.shape == (4, 2) and part[1:3].tolist() == [[7, -7], [8, -8]] and part.rows(1, 9)[0].tolist() == [7, -7]
    assert rows.seen == [[3], [9], [2, 3], [0, 1], [5, 1], [7, 8], [7]]
    assert np.asarray(rows).shape == (10, 2) and np.asarray(rows, dtype="float64").dtype == np.float64
    with pytest.raises(IndexError):
        rows[10]
    with pytest.raises(NotImplementedError, match="Bare must define read"):
        type("Bare", (backend.LazyArray,), {"shape": (1,)})()[0]
