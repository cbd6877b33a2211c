"""The steps of PyTorch that ``benchmarks.cpu_gpu`` times on a card, here on the processor: tinymed's losses."""

import numpy as np
import pytest

from benchmarks.card_programs import TinymedSteps, TorchSteps
from benchmarks.cpu_gpu import started

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("name", "channels_last"),
    [("P0", False), ("P0", True), ("P3", False), ("P3", True), ("P4b tanh 7", False), ("P4b relu 7", False)],
)
def test_the_first_losses_are_those_of_tinymed(name, channels_last):
    ours, theirs = TinymedSteps("numpy"), TorchSteps(torch, channels_last=channels_last, device="cpu")
    with started(name) as (path, _):
        ours.open(name, path)
        theirs.open(name, path)
        np.testing.assert_allclose(theirs.losses(4, 3), ours.losses(4, 3), rtol=1e-4)
        found = theirs.measure(4, 0.01)
    assert found["step"] > 0 and found["compile"] >= 0 and found["to the card"] > 0


def test_the_compiler_refuses_recurrent_networks():
    compiled = TorchSteps(torch, compiled=True, device="cpu")
    assert compiled.refuses("P3") is None
    assert "cuDNN" in compiled.refuses("P4b tanh 200")
