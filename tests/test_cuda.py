"""Why CuPy cannot run: every cause that can be told apart gets its own words, and a line that mends it."""

import ctypes
import pathlib
import sys

import pytest

from tinymed import backend, cuda
from tinymed.cuda import Card, Driver, Facts, trouble

H200 = Card("NVIDIA H200", 141 * 2**30, (9, 0))
P100 = Card("Tesla P100-PCIE-16GB", 16 * 2**30, (6, 0))
GOOD = Driver((12, 4), "550.54.15", (H200,))
NEW = Driver((13, 0), "580.65.06", (H200,))
RIGHT = {"cupy-cuda12x": "14.2.0"}


def told(driver=GOOD, wheels=RIGHT, failure="", visible=None, system="linux"):
    return trouble(Facts(driver, wheels, failure, visible, system))


@pytest.mark.parametrize(
    ("given", "reason", "remedy"),
    [
        ({"system": "darwin"}, "no CUDA for macOS", "numpy"),
        ({"driver": None}, "no NVIDIA driver is installed", "pip cannot bring it"),
        ({"driver": None, "wheels": {}}, "no NVIDIA driver", 'and then: {pip} install "cupy-cuda12x[ctk]>=14"'),
        ({"driver": Driver((12, 4), error=100), "visible": ""}, "CUDA_VISIBLE_DEVICES='' hides every card", "unset"),
        ({"driver": Driver((12, 4)), "visible": "-1"}, "CUDA_VISIBLE_DEVICES='-1' hides", "unset"),
        ({"driver": Driver((12, 4), error=100)}, "sees no NVIDIA card", "nvidia-smi"),
        ({"driver": Driver((12, 4), error=34)}, "the toolkit's stub", "LD_LIBRARY_PATH"),
        ({"driver": Driver((12, 4), error=803)}, "the old one is still loaded", "restart"),
        ({"driver": Driver((12, 4), error=999, words="unknown error")}, "does not start: unknown error (999)", "smi"),
        (
            {"driver": Driver((11, 4), cards=(H200,))},
            "too old: it runs CUDA up to 11.4, CuPy needs 12.0",
            "newer driver",
        ),
        ({"wheels": {}}, "CuPy is not installed", '{pip} install "cupy-cuda12x[ctk]>=14"'),
        ({"wheels": {}, "driver": NEW}, "CuPy is not installed", '{pip} install "cupy-cuda13x[ctk]>=14"'),
        ({"wheels": {}, "driver": Driver((13, 0), cards=(P100,))}, "not installed", "cupy-cuda12x"),
        (
            {"wheels": {"cupy-cuda11x": "13.4.0", **RIGHT}},
            "2 CuPy wheels are installed over each other: cupy-cuda11x, cupy-cuda12x",
            '{pip} uninstall -y cupy-cuda11x cupy-cuda12x && {pip} install "cupy-cuda12x[ctk]>=14"',
        ),
        (
            {"wheels": {"cupy-cuda13x": "14.2.0"}},
            "cupy-cuda13x needs a driver of CUDA 13, this one runs up to 12.4",
            '{pip} uninstall -y cupy-cuda13x && {pip} install "cupy-cuda12x[ctk]>=14"',
        ),
        ({"wheels": {"cupy-cuda11x": "13.6.0"}}, "cupy-cuda11x 13.6.0 is too old", "uninstall -y cupy-cuda11x"),
        (
            {"wheels": {"cupy-cuda13x": "14.2.0"}, "driver": Driver((13, 0), cards=(P100,))},
            "CUDA 13 no longer supports the card: Tesla P100-PCIE-16GB, 16 GB, compute capability 6.0",
            'install "cupy-cuda12x[ctk]>=14"',
        ),
        (
            {"failure": "CompileException: vector_types.h: cannot open source file"},
            "its compiler NVRTC, its headers, cuBLAS",
            '{pip} install --upgrade "cupy-cuda12x[ctk]>=14"',
        ),
        (
            {"failure": "ImportError: libcublas.so.13: no such file", "wheels": {"cupy-cuda13x": "1"}, "driver": NEW},
            "is missing or broken: ImportError",
            '{pip} install --upgrade "cupy-cuda13x[ctk]>=14"',
        ),
        ({"failure": "OutOfMemoryError: out of memory"}, "CuPy fails: OutOfMemoryError", "cupy.show_config()"),
    ],
)
def test_each_cause_has_its_words_and_its_line(given, reason, remedy):
    found = told(**given)
    assert reason in found.reason
    assert remedy.replace("{pip}", cuda.pip()) in found.remedy


def test_nothing_is_wrong_where_nothing_is():
    assert told() is None
    assert told(driver=NEW) is None, "a driver runs the CUDA versions before its own"
    assert told(driver=NEW, wheels={"cupy-cuda13x": "14.2.0"}) is None
    assert told(wheels={"cupy": "14.2.0"}) is None, "built here: no wheel, no version in its name"
    assert told(visible="0") is None


class Library:
    """Answers as NVIDIA's driver does."""

    def __init__(self, version=12040, error=0, cards=(H200, P100)):
        self.version, self.error, self.cards = version, error, cards

    def cuInit(self, flags):
        return self.error

    def cuDriverGetVersion(self, place):
        place._obj.value = self.version

    def cuDeviceGetCount(self, place):
        place._obj.value = len(self.cards)

    def cuDeviceGet(self, place, number):
        place._obj.value = number

    def cuDeviceGetName(self, place, length, device):
        place.value = self.cards[device.value].name.encode()

    def cuDeviceTotalMem_v2(self, place, device):
        place._obj.value = self.cards[device.value].memory

    def cuDeviceGetAttribute(self, place, attribute, device):
        place._obj.value = self.cards[device.value].capability[{75: 0, 76: 1}[attribute]]

    def cuGetErrorString(self, error, place):
        place._obj.value = b"no CUDA-capable device is detected"


def test_the_driver_is_asked():
    found = cuda.driver(lambda name: Library())
    assert found.cuda == (12, 4) and found.cards == (H200, P100) and not found.error
    assert "runs CUDA up to 12.4" in str(found)
    assert str(found.cards[0]) == "NVIDIA H200, 141 GB, compute capability 9.0"
    found = cuda.driver(lambda name: Library(13000, 100))
    assert (found.cuda, found.error, found.cards) == ((13, 0), 100, ())
    assert found.words == "no CUDA-capable device is detected"


def test_no_driver():
    def missing(name):
        raise OSError(name)

    assert cuda.driver(missing) is None
    tried = []
    cuda.driver(lambda name: tried.append(name) or missing(name))
    assert tried == list(cuda._LIBRARIES)


def test_installed_wheels_are_listed(monkeypatch):
    class Found:
        def __init__(self, name):
            self.metadata, self.version = {"Name": name}, "14.2.0"

    names = ["cupy-cuda12x", "numpy", "cupy-cuda11x", "cupyx-extra", "cupy-helper"]
    monkeypatch.setattr(cuda.importlib.metadata, "distributions", lambda: map(Found, names))
    assert list(cuda.wheels()) == ["cupy-cuda11x", "cupy-cuda12x"]


def test_parts_of_cuda_are_listed(monkeypatch):
    class Found:
        def __init__(self, name):
            self.metadata, self.version = {"Name": name}, "12.9"

    names = ["nvidia-cuda-nvrtc-cu12", "nvidia-ml-py", "cuda-toolkit", "nvidia-nvjitlink-cu12", "numpy"]
    monkeypatch.setattr(cuda.importlib.metadata, "distributions", lambda: map(Found, names))
    assert list(cuda.parts()) == ["cuda-toolkit", "nvidia-cuda-nvrtc-cu12", "nvidia-nvjitlink-cu12"]


def test_without_cupy_there_is_no_runtime_and_no_compiler(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy_backends", None)
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.api.runtime", None)
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.nvrtc", None)
    assert cuda.runtime() == cuda.compiler() == ""


def test_a_broken_cupy_is_noticed(monkeypatch):
    class Fake:
        @staticmethod
        def ones(shape, dtype):
            return ctypes.c_int  # no array: whatever is done with it fails

    monkeypatch.setitem(sys.modules, "cupy", Fake)
    assert cuda.probe().startswith("TypeError: ")
    monkeypatch.setattr(Fake, "ones", staticmethod(lambda shape, dtype: 1 + 0 * backend.np.ones(shape)))
    assert cuda.probe() == ""
    monkeypatch.setattr(Fake, "ones", staticmethod(lambda shape, dtype: 2 + 0 * backend.np.ones(shape)))
    assert cuda.probe() == "a sum of ones came out wrong"


def test_cupy_is_tried_until_it_has_computed_once(monkeypatch):
    tried = []
    monkeypatch.setattr(cuda, "_computes", False)
    monkeypatch.setattr(cuda, "probe", lambda: tried.append(1) or "")
    cuda.require()
    cuda.require()
    assert tried == [1]


def test_asking_for_cupy_fails_at_once_with_reason_and_remedy(monkeypatch):
    monkeypatch.setattr(cuda, "_computes", False)
    monkeypatch.setattr(cuda, "probe", lambda: "CUDARuntimeError: cudaErrorNoDevice")
    monkeypatch.setattr(cuda, "driver", lambda: Driver((12, 4), error=100))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ValueError, match=r"'cupy' cannot run here: CUDA_VISIBLE_DEVICES='' hides.*; to mend it: unset"):
        backend.set_backend("gpu")
    assert backend.get_backend() == "numpy"
    monkeypatch.setattr(cuda, "driver", lambda: GOOD)
    monkeypatch.setattr(cuda, "wheels", lambda: RIGHT)
    with pytest.raises(ValueError, match="CuPy fails: CUDARuntimeError: cudaErrorNoDevice"):
        backend.set_backend("cupy")


def test_the_pip_line_is_that_of_the_running_python(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    assert cuda.pip("install", "a[b]>=1", "c") == f'{pathlib.Path(".venv/bin/python")} -m pip install "a[b]>=1" c'
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cuda.pip("list") == f"{tmp_path / '.venv' / 'bin' / 'python'} -m pip list"


def test_facts_are_collected_without_a_gpu(monkeypatch):
    monkeypatch.setattr(cuda, "driver", lambda: None)
    monkeypatch.setattr(cuda, "probe", lambda: pytest.fail("without a driver CuPy need not be tried"))
    found = cuda.facts()
    assert found.driver is None and found.failure == ""
    assert cuda.trouble(found) is not None
