"""Proof without a GPU: NVIDIA's own compiler takes every source, for two generations of GPUs, and what it makes fits.

Compiled is exactly what CuPy would be handed: the texts and options of real launches of the bodies, recorded. What the
compiler says of each text is kept from run to run, under a name that changes with the text.
"""

import hashlib
import json
import os
import re

import numpy as np
import pytest

from tests.kernels.gpu import proofs
from tinymed.kernels.gpu import convolution, drivers, launching, products, random, reading

ARCHITECTURES = ("sm_80", "sm_90")
REGISTERS = 65536  # of a multiprocessor
SHARED = {"sm_80": 163 * 1024, "sm_90": 227 * 1024}  # bytes that a block may have


def _record():
    """Launch everything, without computing anything."""
    recorder = proofs.Recorder()
    with drivers.use_driver(recorder), pytest.MonkeyPatch.context() as patch:
        for dtype in ("float32", "float64"):
            for busy in (convolution.BUSY, 1):
                patch.setattr(convolution, "BUSY", busy)
                for call in proofs.large_calls(dtype):
                    proofs.outcome(call, bodies=True)
            for name, arrays in proofs.weights_of_a_model(dtype).items():
                proofs.BODY[name](*arrays)
            a, b = (np.ones((3, n, n), dtype) for n in (70, 70))
            for turned in (a, a.swapaxes(1, 2)):
                for other in (b, b.swapaxes(1, 2)):
                    products.tiled(turned, other)
            random._bernoulli(a, (9,), 1, 0, 0.5)
    return recorder.launched


LAUNCHED = _record()
PROGRAMS = sorted({(one.source.name, one.options) for one in LAUNCHED})


@pytest.fixture(scope="session")
def nvrtc():
    """The compiler, from NVIDIA's wheel or the CUDA toolkit; it needs no GPU and no driver."""
    library = pytest.importorskip(
        "cupy_backends.cuda.libs.nvrtc", reason="no CuPy: the CUDA sources are not compiled", exc_type=ImportError
    )
    try:
        library.getVersion()
    except Exception as error:  # whatever CuPy says where the library is missing
        pytest.skip(f"no NVRTC: the CUDA sources are not compiled ({error}); pip install nvidia-cuda-nvrtc-cu12")
    return library


def _compiled(nvrtc, text, name, options, folder):
    """Return what the compiler says of each kernel, and its messages; kept in ``folder``."""
    options = (*options, "--ptxas-options=-v")
    key = hashlib.sha256(repr((text, options, nvrtc.getVersion())).encode()).hexdigest()[:16]
    kept = folder / f"nvrtc-{name}-{key}.json"
    if not kept.exists():
        program = nvrtc.createProgram(text, f"{name}.cu", [], [])
        try:
            nvrtc.compileProgram(program, options)
            log, size = nvrtc.getProgramLog(program), len(nvrtc.getCUBIN(program))
        except nvrtc.NVRTCError:
            pytest.fail(f"{name}.cu with {options}: {nvrtc.getProgramLog(program)}")
        finally:
            nvrtc.destroyProgram(program)
        written = kept.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps({"log": log, "size": size}))
        written.replace(kept)
    return json.loads(kept.read_text())


def _resources(log):
    """Read what ptxas says of each kernel: registers, bytes of shared memory, bytes spilled."""
    found = {}
    for part in re.split(r"Compiling entry function '", log)[1:]:
        numbers = {
            "registers": re.search(r"Used (\d+) registers", part),
            "shared": re.search(r"(\d+) bytes smem", part),
            "spilled": re.search(r"(\d+) bytes spill stores", part),
        }
        found[part.partition("'")[0]] = {key: int(m[1]) if m else 0 for key, m in numbers.items()}
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("name", "options"), PROGRAMS, ids=lambda v: v if isinstance(v, str) else "".join(v[1:]))
def test_nvidias_compiler_takes_every_source(name, options, architecture, nvrtc, library_folder):
    source = reading.load(name)
    made = _compiled(nvrtc, source.text, name, (*options, f"-arch={architecture}"), library_folder)
    assert made["size"] > 1000
    assert "warning" not in made["log"], made["log"]
    resources = _resources(made["log"])
    assert set(source.kernels) == set(resources)
    for kernel, used in resources.items():
        assert used["spilled"] == 0, f"{kernel} has not enough registers: {used}"
        assert used["shared"] <= 48 * 1024, f"{kernel} takes more shared memory than a kernel may without asking"
        launches = [one for one in LAUNCHED if one.kernel == kernel and one.options == options]
        for one in launches:
            threads = int(np.prod(one.block))
            assert -(-used["registers"] // 8) * 8 * threads <= REGISTERS, f"{kernel} with {threads} threads: {used}"
            assert used["shared"] + one.shared_bytes <= SHARED[architecture], f"{kernel}: {used}, {one.shared_bytes}"


def test_every_source_is_compiled_for_both_precisions():
    """Fails for a source that nothing launches."""
    files = {path.stem for path in reading.SOURCES.glob("*.cu")}
    for real in ("float", "double"):
        assert {name for name, options in PROGRAMS if f"-DREAL={real}" in options} >= files - {"random"}
    assert {name for name, _ in PROGRAMS} == files


@pytest.mark.parametrize("architecture", ARCHITECTURES[1:])
@pytest.mark.parametrize("name", ["columns", "elements", "pooling"])
def test_indices_of_64_bits_are_compiled_too(name, architecture, nvrtc, library_folder):
    """As they are for arrays of 2^30 values and more."""
    options = launching.compile_options("float", wide=True)
    assert "-DWIDE" in options
    source = reading.load(name)
    made = _compiled(nvrtc, source.text, name, (*options, f"-arch={architecture}"), library_folder)
    assert set(_resources(made["log"])) == set(source.kernels)


def test_a_mistake_in_a_source_is_reported(nvrtc, tmp_path):
    with pytest.raises(pytest.fail.Exception, match="identifier"):
        _compiled(nvrtc, "__global__ void f() { unknown(); }", "broken", ("-arch=sm_80",), tmp_path)
