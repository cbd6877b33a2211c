import numpy as np
import pytest

from tinymed.datasets import deformations
from tinymed.ops import warp
from tinymed.plots import registration


@pytest.fixture(scope="module")
def some():
    moving, fixed, truth, _ = deformations.pairs(2, size=32, seed=0)
    return moving, fixed, warp(moving, truth)[0], truth


def test_a_row_for_each_pair(some, tmp_path):
    figure = registration.registration_sheet(*some, names=("a", "b"), path=tmp_path / "sheet.png")
    titles = [ax.get_title(loc="center") for ax in figure.axes]
    assert [title for title in titles if title] == list(registration.COLUMNS)
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert labels.count("0.00% folded") == 2 and sum("rms" in label for label in labels) == 4
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_folds_are_marked(some):
    moving, fixed, warped, truth = (array[:1] for array in some)
    folded = truth.copy()
    folded[:, 10:20, 10:20, 1] = -3 * np.arange(10)
    figure = registration.registration_sheet(moving, fixed, warped, folded)
    assert any("folded" in ax.get_xlabel() and "0.00%" not in ax.get_xlabel() for ax in figure.axes)


def test_checkerboards_of_equal_images_are_the_image(some, tmp_path):
    moving, fixed, warped, _ = some
    figure = registration.checkerboards(moving, fixed, fixed, names=("a", "b"), path=tmp_path / "board.png")
    before, after = figure.axes[0].images[0].get_array(), figure.axes[2].images[0].get_array()
    np.testing.assert_array_equal(after, fixed[0, ..., 0])
    assert not np.array_equal(before, fixed[0, ..., 0])
    with pytest.raises(ValueError, match="grey images"):
        registration.checkerboards(moving[0, 0], fixed, warped)
