"""The driver that runs CUDA kernels on this computer's processor, for the tests of this folder."""

from pathlib import Path

import pytest

from tests.kernels.gpu.host import HostDriver, compiler
from tinymed.kernels.gpu import drivers


@pytest.fixture(scope="session")
def library_folder(request, tmp_path_factory) -> Path:
    """Where compiled kernels are kept: from run to run where pytest keeps anything, their names being their texts'."""
    cache = getattr(request.config, "cache", None)
    return cache.mkdir("tinymed-kernels") if cache else tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="session")
def host_driver(library_folder) -> HostDriver:
    """The driver itself; it counts its launches."""
    if compiler() is None:
        pytest.skip("no C++ compiler: the CUDA kernels are not run on the processor (install g++)")
    return HostDriver(library_folder)


@pytest.fixture
def on_host(host_driver):
    """Run the kernels that a test launches on the processor."""
    with drivers.use_driver(host_driver):
        yield host_driver
