import numpy as np
import pytest

from tinymed import plots


def shown(figure):
    return [ax for ax in figure.axes if ax.images]


def test_rows_of_images_with_their_names(tmp_path):
    rows = {"original": np.full((3, 4, 4, 1), 0.25), "8 numbers": np.full((3, 4, 4), 0.5)}
    figure = plots.image_rows(rows, tmp_path / "rows.png", title="Reconstructions")
    axes = shown(figure)
    assert [ax.get_ylabel() for ax in axes] == ["original", "", "", "8 numbers", "", ""]
    assert [float(ax.images[0].get_array().mean()) for ax in axes] == [0.25] * 3 + [0.5] * 3
    assert axes[0].images[0].get_clim() == (0, 1)
    assert (tmp_path / "rows.png").read_bytes().startswith(b"\x89PNG")


def test_components_have_white_at_zero():
    (axes,) = shown(plots.image_rows({"one": np.array([[[-3.0, 1.0]]])}, signed=True))
    assert axes.images[0].get_clim() == (-3, 3)


def test_codes_by_class():
    figure = plots.code_scatter(np.arange(12.0).reshape(4, 3), np.array([0, 1, 1, 1]), ["normal", "pneumonia"])
    points = [collection.get_offsets().data for collection in figure.axes[0].collections]
    np.testing.assert_array_equal(points[0], [[0, 1]])
    np.testing.assert_array_equal(points[1], [[3, 4], [6, 7], [9, 10]])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["normal (1)", "pneumonia (3)"]


def test_angle_and_error_curves():
    ax = plots.angle_curve([80.0, 5.0, 0.4]).axes[0]
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 80], [2, 5], [3, 0.4]])
    ax = plots.error_by_code_size({1: 0.1, 2: 0.05}, {"linear": {2: 0.06}}).axes[0]
    assert [line.get_label() for line in ax.lines] == ["principal components", "linear"]
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[2, 0.06]])


def test_panels_of_curves():
    panels = {"Losses": {"one": [3, 2.0], "other": [1, 1.0]}, "AUC": {"judge": [1, 0.8]}, "Distance": {"d": [2.0, 0.1]}}
    figure = plots.curve_panels(panels, goals={"AUC": 0.9}, logarithmic=["Distance"])
    losses, auc, distance, unused = figure.axes
    assert [ax.get_title(loc="left") for ax in (losses, auc, distance)] == list(panels)
    np.testing.assert_array_equal(losses.lines[0].get_xydata(), [[1, 3], [2, 2]])
    assert len(losses.lines) == 2
    assert [line.get_label() for line in auc.lines] == ["judge", "0.9"]
    assert distance.get_yscale() == "log"
    assert distance.get_legend() is None
    assert not unused.axison


def test_real_beside_generated():
    figure = plots.samples_beside_real(np.zeros((6, 4, 4, 1)), np.full((6, 4, 4, 1), 0.5), columns=3)
    real, generated = shown(figure)
    assert [ax.get_title(loc="left") for ax in (real, generated)] == ["Real", "Generated"]
    assert real.images[0].get_array().shape == (9, 14)
    assert generated.images[0].get_array()[0, 0] == 0.5
    assert generated.images[0].get_array()[4, 0] == 1  # the white line between two rows


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: plots.image_rows({"a": np.zeros((2, 4, 4)), "b": np.zeros((3, 4, 4))}), "as many images each"),
        (lambda: plots.image_rows({}), "no rows"),
        (lambda: plots.image_rows({"a": np.zeros((2, 4, 4, 3))}), r"grey images .* got \(2, 4, 4, 3\)"),
        (lambda: plots.code_scatter(np.zeros((4, 1)), np.zeros(4), ["a"]), r"codes \(N, 2\)"),
    ],
)
def test_messages(call, words):
    with pytest.raises(ValueError, match=words):
        call()
