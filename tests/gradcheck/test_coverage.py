import pytest

from tinymed import layers, losses
from tinymed.gradcheck import coverage
from tinymed.ops import REGISTRY


@pytest.mark.parametrize("kind", coverage.required())
def test_nothing_is_released_unchecked(kind):
    missing = coverage.required()[kind] - coverage.covered()[kind]
    assert not missing, f"no case in gradcheck/cases (or formula in gradcheck/updates.py) for the {kind} {missing}"


def test_every_operation_has_a_backward():
    assert all(hasattr(REGISTRY[name], "backward") for name in coverage.operations())


def test_a_missing_case_is_a_finding(monkeypatch):
    monkeypatch.setattr(coverage, "op_cases", lambda: [])
    bad = [row for row in coverage.check_coverage() if not row.ok]
    assert [row.tensor for row in bad] == ["each operation"]
    assert "conv2d" in bad[0].note


def test_layers_and_losses_are_found_in_the_package():
    assert coverage.layer_classes()["Dense"] is layers.Dense
    assert coverage.loss_classes()["Dice"] is losses.Dice
    assert "Layer" not in coverage.layer_classes()
