"""Outlines that lie where the masks end, and the points of all cases."""

import numpy as np
import pytest

from tinymed.plots import segmentation


def volume(shift=0):
    image = np.random.default_rng(0).random((6, 9, 8), dtype=np.float32)
    true = np.zeros((6, 9, 8), np.uint8)
    true[1:5, 2:6, 2:5] = 1
    true[2:4, 6:8, 2:5] = 2
    return image, true, np.roll(true, shift, axis=1)


def test_outlines_follow_the_edges_of_the_pixels():
    from matplotlib.figure import Figure

    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:4] = True
    mask[3, 0] = True
    ax = Figure().subplots()
    segmentation._outline(ax, mask, "red", "-", 1)
    segments = ax.collections[0].get_segments()
    assert len(segments) == 2 and all(np.array_equal(line[0], line[-1]) for line in segments)
    points = {tuple(point) for line in segments for point in np.asarray(line).tolist()}
    assert points == {
        (x - 0.5, y - 0.5)
        for x, y in [(2, 1), (3, 1), (4, 1), (4, 2), (4, 3), (3, 3), (2, 3), (2, 2), (0, 3), (1, 3), (1, 4), (0, 4)]
    }


def test_slices_are_spread_over_what_is_shown():
    _, true, _ = volume()
    assert segmentation._spread(true, true * 0, 2) == [2, 3]
    assert segmentation._spread(true * 0, true * 0, 1) == [2]


def test_contours(tmp_path):
    figure = segmentation.contours(
        [("best: a", *volume()), ("worst: b", *volume(1))],
        ["front", "back"],
        (1.0, 2.0),
        path=tmp_path / "contours.png",
        columns=3,
    )
    assert (tmp_path / "contours.png").stat().st_size > 5000
    assert len(figure.subfigs) == 2
    axes = figure.subfigs[1].axes
    assert len(axes) == 3
    assert axes[1].images[0].get_array().shape == (8, 9)  # the first axis runs to the right
    assert len(axes[1].collections) == 4  # two labels, each predicted and true
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["front, predicted", "back, predicted", "true (white, dashed)"]
    with pytest.raises(ValueError, match="at least one volume"):
        segmentation.contours([], ["a"])
    image, true, _ = volume()
    with pytest.raises(ValueError, match=r"odd: image and labels must be \(slices, H, W\)"):
        segmentation.contours([("odd", image, true[1:], true)], ["a", "b"])


def test_dice_by_case(tmp_path):
    scores = {"liver": [0.9, 0.7, 0.95], "lesion": [0.5, 0.0, 0.8]}
    figure = segmentation.dice_by_case(scores, ["a", "b", "c"], path=tmp_path / "dice.png")
    assert (tmp_path / "dice.png").exists()
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b", "a", "c"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.7, 0.9, 0.95])
    assert figure.legends[0].get_texts()[1].get_text() == "lesion: mean 0.433"
    many = {"x": np.linspace(0.5, 0.9, 30).tolist()}
    assert len(segmentation.dice_by_case(many, [f"case {i}" for i in range(30)]).axes[0].get_xticks()) == 2
    with pytest.raises(ValueError, match="one value for each of 2 cases"):
        segmentation.dice_by_case(scores, ["a", "b"])
