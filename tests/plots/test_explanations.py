"""Maps over images: one panel for each, the truth as an outline, signs in two colours."""

import numpy as np
import pytest

from tinymed.plots.explanations import _coloured, explanation


def test_a_panel_for_each_map(tmp_path):
    image = np.random.default_rng(0).random((10, 12, 3))
    maps = {"one": np.abs(image[..., 0]), "two": image[..., 1] - 0.5}
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:5, 3:6] = True
    figure = explanation(image, maps, tmp_path / "e.png", "why?", mask)
    assert [ax.get_title() for ax in figure.axes] == ["image", "one", "two", ""]
    words = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert words == ["speaks against the class", "does not matter", "speaks for it (maps without signs: matters)"]
    unsigned = explanation(image, {"one": maps["one"]}).axes[-1]
    assert [label.get_text() for label in unsigned.get_xticklabels()] == [
        "does not matter",
        "speaks for it (maps without signs: matters)",
    ]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), image[..., 1])
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


def test_signs_have_colours_of_their_own_and_nothing_is_clear():
    colours = _coloured(np.array([[1.0, -1.0, 0.0, 0.5]]))
    red, blue = colours[0, 0], colours[0, 1]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert colours[0, 2, 3] == 0
    assert 0 < colours[0, 3, 3] < colours[0, 0, 3]
    assert np.all(_coloured(np.zeros((2, 2)))[..., 3] == 0)


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match=r"the map 'm' has shape \(3, 3\) but the image \(4, 4\)"):
        explanation(np.zeros((4, 4)), {"m": np.zeros((3, 3))})
    with pytest.raises(ValueError, match="needs an image"):
        explanation(np.zeros(4), {})
