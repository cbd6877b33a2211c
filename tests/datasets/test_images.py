"""Pictures for prediction: every form that is taken, and one clear error for each that is not."""

import numpy as np
import pytest
from PIL import Image

from tinymed.datasets import images

GREY, COLOUR = (6, 5, 1), (6, 5, 3)


@pytest.fixture
def save(tmp_path):
    def save_picture(array, name="x.png"):
        Image.fromarray(array).save(tmp_path / name)
        return tmp_path / name

    return save_picture


def ramp(*shape):
    return (np.arange(np.prod(shape)) % 251).astype(np.uint8).reshape(shape)


def test_grey_png(save):
    x, names = images.load(save(ramp(6, 5)), GREY)
    assert x.shape == (1, 6, 5, 1)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, ..., 0], ramp(6, 5) / 255, rtol=1e-6)
    assert names[0].endswith("x.png")


def test_colour_png_for_both_kinds_of_model(save):
    path = save(ramp(6, 5, 3))
    np.testing.assert_allclose(images.load(path, COLOUR)[0][0], ramp(6, 5, 3) / 255, rtol=1e-6)
    assert images.load(path, GREY)[0].shape == (1, 6, 5, 1)


def test_sixteen_bit_png(save):
    deep = np.full((6, 5), 65535, np.uint16)
    assert images.load(save(deep), GREY)[0].max() == 1


def test_jpg(save):
    x, _ = images.load(save(np.full((6, 5), 128, np.uint8), "x.jpg"), GREY)
    assert abs(x.mean() - 128 / 255) < 0.02


def test_transparent_and_palette_pictures(tmp_path):
    Image.fromarray(ramp(6, 5, 4)).save(tmp_path / "a.png")
    assert images.load(tmp_path / "a.png", COLOUR)[0].shape == (1, 6, 5, 3)
    Image.fromarray(ramp(6, 5, 3)).quantize(16).save(tmp_path / "p.png")
    assert images.load(tmp_path / "p.png", COLOUR)[0].shape == (1, 6, 5, 3)


@pytest.mark.parametrize(
    "array, shape, n",
    [
        (ramp(6, 5), GREY, 1),
        (ramp(6, 5, 1), GREY, 1),
        (ramp(6, 5, 3), COLOUR, 1),
        (ramp(4, 6, 5), GREY, 4),
        (ramp(4, 6, 5, 1), GREY, 4),
        (ramp(4, 6, 5, 3), COLOUR, 4),
    ],
)
@pytest.mark.parametrize("key", ["images", "test_images", "other"])
def test_npz(tmp_path, array, shape, n, key):
    np.savez(tmp_path / "x.npz", **{key: array})
    x, names = images.load(tmp_path / "x.npz", shape)
    assert x.shape == (n, *shape)
    assert len(names) == n
    np.testing.assert_allclose(x.ravel(), array.ravel() / 255, rtol=1e-6)


def test_resize_crops_the_middle_and_keeps_brightness(save):
    wide = np.zeros((60, 100), np.uint8)
    wide[:, 25:75] = 200  # with 6 x 5 wanted, the middle 50 columns are kept
    x, _ = images.load(save(wide), GREY, resize=True)
    assert x.shape == (1, 6, 5, 1)
    np.testing.assert_allclose(x, 200 / 255, atol=0.01)


def test_resize_leaves_fitting_images_alone(save):
    path = save(ramp(6, 5))
    assert np.array_equal(images.load(path, GREY)[0], images.load(path, GREY, resize=True)[0])


# --- errors ---------------------------------------------------------------------------------------------------


def refused(path, shape, *words):
    with pytest.raises(ValueError) as caught:
        images.load(path, shape)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    for word in words:
        assert word in message, message


def test_missing_folder_and_no_image(tmp_path):
    refused(tmp_path / "none.png", GREY, "no such file")
    refused(tmp_path / "none.npz", GREY, "no such file")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", GREY, "is a folder")
    (tmp_path / "x.png").write_text("no picture at all")
    refused(tmp_path / "x.png", GREY, "is no image", ".jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    refused(tmp_path / "empty.jpg", GREY, "is no image")


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_cut_off_picture(save, name):
    path = save(np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, (60, 50, 1), "damaged image")


def test_damaged_png(save):
    path = save(np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8))
    raw = bytearray(path.read_bytes())
    raw[100:140] = bytes(40)
    path.write_bytes(bytes(raw))
    refused(path, (60, 50, 1), "damaged image")


def test_wrong_size_says_expected_found_and_fix(save):
    refused(save(ramp(10, 10)), GREY, "expected an image of 6 x 5 x 1", "found 10 x 10 x 1", "--resize")


def test_grey_for_a_model_of_three_channels(save):
    refused(save(ramp(6, 5)), COLOUR, "expected 3 channels", "three neighbouring slices")


def test_npz_with_wrong_arrays(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=ramp(6, 5), b=ramp(6, 5))
    refused(path, GREY, "several arrays (a, b)", "'images'")
    np.savez(path, images=ramp(6))
    refused(path, GREY, "found an array (6,)")
    np.savez(path, images=ramp(2, 6, 5, 2))
    refused(path, GREY, "number of channels")
    np.savez(path, images=ramp(2, 3, 6, 5))
    refused(path, COLOUR, "channels seem to be first")
    np.savez(path, images=np.zeros((0, 6, 5, 1), np.uint8))
    refused(path, GREY, "no images")
    np.savez(path, images=np.full((6, 5), np.nan))
    refused(path, GREY, "NaN")
    np.savez(path, images=np.full((6, 5), -900.0))
    refused(path, GREY, "[0, 1]")
    np.savez(path, images=np.array([{}], dtype=object))
    refused(path, GREY, "pickle", "refused")


def test_many_channels_need_an_npz(save):
    refused(save(ramp(6, 5)), (6, 5, 4), "4 channels", ".npz")
