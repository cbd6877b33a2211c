"""What all tests share: where the real data lie, one seed, a host backend at the start of each test, and the GPU.

Tests with a device as a parameter (see tests/devices.py) also run on CuPy, with ``python -m pytest -m gpu``: an
ordinary run leaves these out, and without a card they are skipped for a reason that is said once, at the end.
"""

import os
import pathlib

import pytest

from tinymed import backend, cuda

NOTE = pytest.StashKey[str]()
"""What is said of the GPU's tests at the end."""


@pytest.hookimpl(trylast=True)  # when -m has been obeyed
def pytest_collection_modifyitems(config, items):
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    if "gpu" not in (config.option.markexpr or ""):
        _note(config, f"{len(on_gpu)} tests on a GPU left out; with a card: python -m pytest -m gpu")
        left_out = set(on_gpu)
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=on_gpu)
        return
    failure = cuda.probe()
    if failure:
        trouble = cuda.trouble(cuda.facts(failure))
        reason = failure if trouble is None else trouble.line()
        _note(config, f"No test ran on a GPU: {reason}")
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason=reason))


def _note(config, text):
    config.stash[NOTE] = text
    if hasattr(config, "workeroutput"):  # a process of pytest-xdist, which only its controller hears
        config.workeroutput["gpu"] = text


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    text = getattr(node, "workeroutput", {}).get("gpu")
    if text:
        node.config.stash[NOTE] = text


def pytest_terminal_summary(terminalreporter, config):
    if NOTE in config.stash:
        terminalreporter.write_line(config.stash[NOTE])


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
