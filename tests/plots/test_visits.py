"""Patients over time, and errors by group."""

import numpy as np
import pytest

from tinymed import plots


def test_trajectories(tmp_path):
    patient = ("p1", [0, 3, 9], [10.0, np.nan, 14.0], [11.0, 13.0])
    figure = plots.trajectories([patient] * 4, path=tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert [ax.get_title(loc="left") for ax in figure.axes[:4]] == ["p1"] * 4
    measured, predicted, *errors = figure.axes[0].get_lines()
    assert measured.get_xdata().tolist() == [0, 9] and predicted.get_ydata().tolist() == [11, 13]
    assert len(errors) == 1 and list(errors[0].get_ydata()) == [14, 13]  # only where both are known
    with pytest.raises(ValueError, match="at least one patient"):
        plots.trajectories([])


def test_errors_by(tmp_path):
    errors = {"network": np.array([1.0, 3.0, 2.0]), "last value": np.array([2.0, 2.0, 5.0])}
    figure = plots.errors_by(errors, [1, 1, 2], path=tmp_path / "e.png", by="visits", unit="points")
    (ax,) = figure.axes
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[2, 2], [2, 5]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("visits", "mean absolute error (points)")
    with pytest.raises(ValueError, match="network has 3 errors for 2 groups"):
        plots.errors_by(errors, [1, 2])
