"""What the driver for GPUs asks of CuPy, with a stand-in for CuPy that notes it."""

import sys
import time
import types

import numpy as np
import pytest

from tinymed.kernels.gpu import drivers, reading
from tinymed.kernels.gpu.drivers import CudaDriver


class Kernel:
    def __init__(self, name):
        self.name, self.calls, self.allowed = name, [], []

    def __call__(self, grid, block, args, *, shared_mem):
        self.calls.append((grid, block, args, shared_mem))

    def __setattr__(self, name, value):
        if name == "max_dynamic_shared_size_bytes":
            self.allowed.append(value)
        else:
            super().__setattr__(name, value)


class Module:
    def __init__(self, code, options):
        self.code, self.options, self.kernels = code, options, {}

    def get_function(self, name):
        return self.kernels.setdefault(name, Kernel(name))


@pytest.fixture
def modules(monkeypatch):
    """The modules that were compiled. CuPy is only what the driver uses of it; there is one device."""
    made = []
    device = types.SimpleNamespace(get_device_id=lambda: 0)

    def compile_module(code, options):
        made.append(Module(code, options))
        return made[-1]

    stand_in = types.SimpleNamespace(RawModule=compile_module, cuda=types.SimpleNamespace(device=device))
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    return made


class OnDevice:
    def __init__(self, address):
        self.data = types.SimpleNamespace(ptr=address)


def test_a_source_is_compiled_once_for_its_options(modules):
    driver, source = CudaDriver(), reading.load("columns")
    for options in (("-a",), ("-a",), ("-b",)):
        for kernel in ("im2col", "col2im"):
            driver.launch(source, kernel, options, (1, 1, 1), (32, 1, 1), [np.int32(5)], 0)
    assert [(module.code, module.options) for module in modules] == [(source.text, ("-a",)), (source.text, ("-b",))]
    assert modules[0].kernels["im2col"].calls == [((1, 1, 1), (32, 1, 1), (np.int32(5),), 0)] * 2


def test_lists_of_arrays_go_as_addresses(modules):
    driver = CudaDriver()
    driver.launch(reading.load("updates"), "sgd", (), (1, 1, 1), (1, 1, 1), [[OnDevice(16), OnDevice(48)], []], 0)
    (_, _, (first, second), _) = modules[0].kernels["sgd"].calls[0]
    assert first.size == 1 and first.nbytes == 8 * reading.ARRAYS
    assert first["at"][0, :3].tolist() == [16, 48, 0] and not second["at"].any()


def test_much_shared_memory_is_asked_for_once(modules):
    driver, source = CudaDriver(), reading.load("columns")
    for size in (1000, 60_000, 60_000, 50_000, 70_000):
        driver.launch(source, "im2col", (), (1, 1, 1), (1, 1, 1), [], size)
    assert modules[0].kernels["im2col"].allowed == [60_000, 70_000]


def test_compiling_says_so_once(modules, monkeypatch, capsys):
    """Finding compiled code on disk does not."""
    monkeypatch.setattr(drivers, "_LONG", 0.01)
    driver, source = CudaDriver(), reading.load("columns")
    driver.launch(source, "im2col", (), (1, 1, 1), (1, 1, 1), [], 0)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Kernel, "__call__", lambda self, *args, **kwargs: time.sleep(0.2))
    for options in ("-a", "-b"):
        driver.launch(source, "im2col", (options,), (1, 1, 1), (1, 1, 1), [], 0)
    assert capsys.readouterr().err == "tinymed: compiling its kernels for this GPU (once; some seconds)\n"


def test_the_last_driver_runs_the_kernels():
    before, own = drivers.DRIVERS[-1], object()
    with pytest.raises(RuntimeError), drivers.use_driver(own):
        assert drivers.DRIVERS[-1] is own
        raise RuntimeError
    assert drivers.DRIVERS[-1] is before
