import numpy as np
import pytest

from tinymed import plots


def shown(figure):
    return [ax for ax in figure.axes if ax.images]


def test_sheet_spreads_grey_values_over_all_images():
    images = np.stack([np.full((4, 4), -1000.0), np.full((4, 4), 0.0), np.full((4, 4), 1000.0)])
    figure = plots.sheet(images, titles=["air", "water", "bone"], columns=2, title="HU")
    axes = shown(figure)
    assert [ax.images[0].get_array().mean() for ax in axes] == [0, 0.5, 1]
    assert [ax.get_title() for ax in axes] == ["air", "water", "bone"]
    assert len(figure.axes) == 4


def test_colours_keep_their_brightness():
    images = np.full((1, 4, 4, 3), 51, dtype="uint8")
    for given in (images, images / 255):
        np.testing.assert_allclose(shown(plots.sheet(given))[0].images[0].get_array(), 0.2, rtol=1e-6)


def test_neighbouring_slices_show_the_middle_one():
    images = np.zeros((2, 4, 4, 3))
    images[1, :, :, 1] = 5
    first, second = (ax.images[0].get_array() for ax in shown(plots.sheet(images, rgb=False)))
    assert first.shape == (4, 4)
    assert (first.max(), second.min()) == (0, 1)
    assert shown(plots.sheet(np.zeros((1, 4, 4, 5))))[0].images[0].get_array().shape == (4, 4)


def test_nan_and_constant_images_can_be_shown():
    assert shown(plots.sheet(np.full((1, 4, 4), np.nan)))
    assert shown(plots.sheet(np.full((1, 4, 4), 7.0)))


def sheet_of(labels, scores, **options):
    return plots.prediction_sheet(np.zeros((len(labels), 4, 4, 1)), np.asarray(labels), np.asarray(scores), **options)


def headings(figure):
    return [part._suptitle.get_text() for part in figure.subfigs]


def test_right_and_wrong_with_class_and_probability():
    figure = sheet_of([[0], [1], [1], [0]], [[0.1], [0.9], [0.2], [0.97]], class_names=["normal", "pneumonia"])
    assert headings(figure) == ["Right: 2 of 4 (50.0%)", "Wrong: 2 of 4 (50.0%)"]
    assert [ax.get_title() for ax in shown(figure)] == [
        "normal 90%",
        "pneumonia 90%",
        "pneumonia 97%\ntrue: normal",  # the surest mistake first
        "normal 80%\ntrue: pneumonia",
    ]


def test_several_classes_and_long_names():
    figure = sheet_of([0, 2], [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]], class_names=["a melanocytic naevus", "b", "c"])
    assert [ax.get_title() for ax in shown(figure)] == [
        "a melanocytic\nnaevus 70%",
        "a melanocytic\nnaevus 50%\ntrue: c",
    ]


def test_only_some_are_shown_and_classes_take_turns():
    figure = sheet_of([0] * 20 + [1] * 20, [0.1] * 18 + [0.8] * 2 + [0.9] * 20, columns=3, rows=1)
    titles = [ax.get_title() for ax in shown(figure)]
    assert titles[:3] == ["class 0 90%", "class 1 90%", "class 0 90%"]
    assert headings(figure)[1] == "Wrong: 2 of 40 (5.0%)"
    figure = sheet_of([1] * 20, [0.1] * 20, columns=3, rows=1)
    assert headings(figure) == ["Wrong: 20 of 20 (100.0%), the 3 surest shown"]


def test_all_right():
    assert headings(sheet_of([1], [0.9])) == ["Right: 1 of 1 (100.0%)"]


def test_messages():
    with pytest.raises(ValueError, match="got 2 images, 2 labels and 1 scores"):
        sheet_of([0, 1], [0.5])
    with pytest.raises(ValueError, match="1 class names but found class 1"):
        sheet_of([0, 1], [0.1, 0.9], class_names=["normal"])
    with pytest.raises(ValueError, match=r"images of shape .* are needed, got \(4, 4\)"):
        plots.sheet(np.zeros((4, 4)))
