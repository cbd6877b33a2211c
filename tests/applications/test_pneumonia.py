"""The same network on real X-rays."""

import pytest

from tinymed.applications import pneumonia


def test_needs_a_file():
    with pytest.raises(ValueError, match=r"needs --data FILE\.npz"):
        pneumonia.train(verbose=0)


def test_reads_class_names(xrays):
    assert pneumonia.read(xrays).classes == ("normal", "pneumonia")


def test_learns_from_real_xrays(data_folder, tmp_path):
    """One epoch on the real file; the full run is what benchmarks/results records."""
    result = pneumonia.train(
        data=data_folder / "medmnist" / "pneumoniamnist.npz", epochs=1, out=tmp_path / "run", verbose=0
    )
    assert result.metrics["images"] == {"train": 4708, "val": 524, "test": 624}
    assert result.metrics["best_validation_auc"] > 0.9
    assert result.metrics["auc"] > 0.85
