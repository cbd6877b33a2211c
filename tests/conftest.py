"""What all tests share: where the real data lie, one seed, and a host backend at the start of each test."""

import os
import pathlib

import pytest

from tinymed import backend


@pytest.fixture(autouse=True)
def _fresh_engine():
    """Start every test from the same seed, NumPy and float32, whatever the test before it did."""
    backend.set_seed(0)
    with backend.use_backend("numpy"):
        yield
    backend.set_floatx("float32")


@pytest.fixture(scope="session")
def data_folder():
    """Return the folder with real data: ``TINYMED_TEST_DATA``, or ``../shared/data`` beside the checkout."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("TINYMED_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist; set TINYMED_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def documents_folder(data_folder):
    """Return the folder with the five articles, which lies beside the data."""
    folder = data_folder.parent / "documents"
    if not folder.is_dir():
        pytest.skip(f"the articles are not at {folder}")
    return folder
