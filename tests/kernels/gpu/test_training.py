"""Whole networks, trained by the bodies for GPUs: layers, losses, optimizers and bodies fit together."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.kernels.gpu.host import compiler

ROOT = Path(__file__).parents[3]


def test_networks_train_as_by_the_textbook(library_folder):
    if compiler() is None:
        pytest.skip("no C++ compiler: the CUDA kernels are not run on the processor (install g++)")
    command = [sys.executable, "-m", "tests.kernels.gpu.training", str(library_folder)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    for textbook, bodies in found["losses"].values():
        np.testing.assert_allclose(bodies, textbook, rtol=1e-4)
    launches = found["launches"]
    for kernel, steps in {"adam": 6, "rmsprop": 4, "sgd": 6}.items():  # all of a step's weights at once
        assert launches[kernel] == steps
    for kernel in ("channel_moments", "lstm_backward", "simple_rnn_backward", "embedding_backward", "log_softmax"):
        assert launches[kernel] == 6, launches
