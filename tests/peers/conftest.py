"""Keras and PyTorch as oracles: imported once a session, quietly, on two threads; skipped where they are missing."""

import os
import pathlib
import warnings

import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# What the peers warn of is theirs to mend; a warning from tinymed itself stays an error.
THEIRS = r"ignore:::(keras|tensorflow|tf_keras|torch|google|h5py|absl|ml_dtypes|flatbuffers|gast|astunparse)\b.*"


def pytest_collection_modifyitems(items):
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.peers)
            item.add_marker(pytest.mark.filterwarnings(THEIRS))


@pytest.fixture(scope="session")
def tf():
    """Return TensorFlow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensorflow = pytest.importorskip("tensorflow", reason="the extra `peers` is not installed")
    tensorflow.config.threading.set_intra_op_parallelism_threads(2)
    tensorflow.config.threading.set_inter_op_parallelism_threads(2)
    return tensorflow


@pytest.fixture(scope="session")
def keras(tf):
    """Return Keras 3 on TensorFlow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("keras", reason="the extra `peers` is not installed")
    if found.backend.backend() != "tensorflow":
        pytest.skip(f"Keras runs on {found.backend.backend()}; set KERAS_BACKEND=tensorflow")
    return found


@pytest.fixture(scope="session")
def torch():
    """Return PyTorch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("torch", reason="the extra `peers` is not installed")
    found.set_num_threads(2)
    return found
