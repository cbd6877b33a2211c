"""Compilation: kept on disk where possible, said once, and not needed at all."""

import os
import subprocess
import sys

import pytest

from tinymed.kernels.cpu.compiling import jit

POOL = "import numpy as np; from tinymed.ops import average_pool1d; print(average_pool1d(np.ones((1, 4, 2)))[0].sum())"
CONVOLVE = """
import numpy as np
from tinymed.ops import *
x, kernel = np.arange(50.0).reshape(1, 5, 5, 2), np.arange(36.0).reshape(3, 3, 2, 2)
y, cache = conv2d(x, kernel, np.ones(2), strides=2, padding="same")
z, pool_cache = max_pool2d(y)
dx, dkernel, dbias = conv2d_backward(max_pool2d_backward(z, pool_cache), cache)
a, average_cache = average_pool2d(x, 2, 1, "same")
columns, windows = im2col(x, 2, 1, "same")
parts = [y, z, dx, dkernel, dbias, average_pool2d_backward(a, average_cache), im2col_backward(columns, windows)]
parts.append(dense(x, kernel[0, 0])[0])
print([float(np.sum(part * np.arange(part.size).reshape(part.shape))) for part in parts])
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )


def test_no_folder_to_keep_the_code_in():
    namespace = {}
    exec(compile("def double(x):\n    return 2 * x", "<nowhere>", "exec"), namespace)
    assert jit(namespace["double"])(21) == 42  # Numba finds no place for a function without a source file


def test_compiling_is_said_once_and_only_when_it_happens(tmp_path):
    first = run(POOL, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0")
    assert first.stdout.strip() == "4.0"
    assert first.stderr.splitlines() == ["tinymed: compiling its kernels for this processor (once; some seconds)"]
    assert list(tmp_path.rglob("*.nbc"))
    assert run(POOL, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="0").stderr == ""


def test_importing_compiles_nothing(tmp_path):
    assert run("import tinymed.kernels.cpu", NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""
    assert not list(tmp_path.rglob("*.nbc"))


@pytest.fixture(scope="module")
def usual():
    return run(CONVOLVE, TINYMED_NUM_THREADS="2").stdout


@pytest.mark.parametrize("environment", [{"NUMBA_DISABLE_JIT": "1"}, {"TINYMED_NUM_THREADS": "1"}])
def test_without_compiler_and_with_one_thread(environment, usual):
    assert run(CONVOLVE, **environment).stdout == usual


def test_without_kernels(usual):
    assert run("from tinymed.ops.registry import _KERNELS; _KERNELS.clear()\n" + CONVOLVE).stdout == usual


LOOPS = """
from tinymed.kernels.cpu import compiling
import helper
from helper import double
@compiling.jit
def work(x):
    return double(x) + 1
compiling.contains(work, helper.__file__)
print(work(20))
"""


def test_a_kernel_is_compiled_again_when_a_function_of_another_file_changes(tmp_path):
    helper, loops = tmp_path / "helper.py", tmp_path / "loops.py"
    body = "from tinymed.kernels.cpu.compiling import jit\n@jit\ndef double(x):\n    return {} * x\n"
    loops.write_text(LOOPS)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    for factor, wanted in ((2, "41"), (3, "61"), (2, "41")):
        helper.write_text(body.format(factor))
        assert run("import loops", **environment).stdout.strip() == wanted
