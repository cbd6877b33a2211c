"""Pictures on disk become arrays and come back; what is no picture is named."""

import io

import array_api_strict as strict
import numpy as np
import pytest
from PIL import Image

from tinymed import utils
from tinymed.preprocessing.image import array_to_img, img_to_array, load_img, save_img, smart_resize

X = np.random.default_rng(0).integers(0, 256, (10, 16, 3)).astype(np.uint8)


@pytest.fixture
def png(tmp_path):
    Image.fromarray(X).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def test_png_keeps_every_pixel(png):
    for path in (png, str(png), str(png).encode(), io.BytesIO(png.read_bytes())):
        array = img_to_array(load_img(path))
        assert array.dtype == np.float32
        assert np.array_equal(array, X)


def test_jpeg_is_close(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 32, dtype=np.float32)[:, None, None], (32, 32, 3))
    save_img(tmp_path / "x.jpg", smooth, quality=95)
    assert (tmp_path / "x.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert np.abs(img_to_array(load_img(tmp_path / "x.jpg")) - smooth).max() < 6


def test_colours(png, tmp_path):
    grey = img_to_array(load_img(png, color_mode="grayscale"))
    assert np.abs(grey[..., 0] - X @ [0.299, 0.587, 0.114]).max() <= 1
    assert img_to_array(load_img(png, color_mode="rgba"))[..., 3].min() == 255
    Image.fromarray(X[..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(img_to_array(load_img(tmp_path / "grey.png")), np.repeat(X[..., :1], 3, axis=2))


def test_sixteen_bits(tmp_path):
    deep = np.array([[0, 257, 40 * 257, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert img_to_array(load_img(tmp_path / "deep.png", color_mode="grayscale"))[0, :, 0].tolist() == deep[0].tolist()
    assert img_to_array(load_img(tmp_path / "deep.png"))[0, :, 1].tolist() == [0, 1, 40, 255]
    Image.fromarray(deep // 257).save(tmp_path / "shallow.png")  # 16 bits of which 8 are used
    assert img_to_array(load_img(tmp_path / "shallow.png"))[0, :, 1].tolist() == [0, 1, 40, 255]


def test_target_size(png):
    assert load_img(png, target_size=(10, 16)).size == (16, 10)
    small = img_to_array(load_img(png, target_size=(5, 8), interpolation="box"))
    assert np.abs(small - X.reshape(5, 2, 8, 2, 3).mean(axis=(1, 3))).max() <= 1
    square = img_to_array(load_img(png, target_size=(5, 5), interpolation="box", keep_aspect_ratio=True))
    assert np.abs(square - X[:, 3:13].reshape(5, 2, 5, 2, 3).mean(axis=(1, 3))).max() <= 1


def test_array_to_img_spreads_values_if_asked():
    values = np.array([[[-1.0], [0.0], [3.0]]])
    assert np.asarray(array_to_img(values)).tolist() == [[0, 63, 255]]
    assert np.asarray(array_to_img(values * 20 + 20, scale=False)).tolist() == [[0, 20, 80]]
    assert np.asarray(array_to_img(np.full((1, 1, 3), 7.0))).tolist() == [[[0, 0, 0]]]
    assert array_to_img(np.full((1, 1, 1), 1000.0), scale=False).getpixel((0, 0)) == 1000
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        assert array_to_img(np.ones((2, 2, channels))).mode == mode


def test_save_img(tmp_path):
    save_img(tmp_path / "x.png", X, scale=False)
    assert np.array_equal(img_to_array(load_img(tmp_path / "x.png")), X)
    stream = io.BytesIO()
    save_img(stream, X, file_format="png", scale=False)
    assert np.array_equal(img_to_array(load_img(stream)), X)
    with pytest.warns(UserWarning, match="no transparency"):
        save_img(tmp_path / "x.jpg", np.ones((4, 4, 4)))


def test_smart_resize():
    wide = np.broadcast_to(np.arange(8.0), (4, 8))[..., None]
    assert smart_resize(wide, (4, 4))[0, :, 0].tolist() == [2, 3, 4, 5]  # the middle, nothing distorted
    assert smart_resize(wide, (2, 2))[0, :, 0].tolist() == [2.5, 4.5]
    assert smart_resize(wide, (8, 16))[0, :4, 0].tolist() == [0, 0.25, 0.75, 1.25]
    assert smart_resize(wide, (8, 16), interpolation="nearest")[0, :4, 0].tolist() == [0, 0, 1, 1]
    batch = np.random.default_rng(0).random((3, 9, 7, 2), dtype=np.float32)
    found = smart_resize(batch, (5, 6))
    assert found.shape == (3, 5, 6, 2) and found.dtype == np.float32
    assert np.allclose(found[1], smart_resize(batch[1], (5, 6)))
    device = strict.Device("device1")
    assert smart_resize(strict.asarray(batch, device=device), (5, 6)).device == device
    assert smart_resize(X, (5, 5)).dtype == np.float32


def test_keras_s_other_paths():
    import tinymed as tf

    assert tf.keras.preprocessing.image.load_img is tf.keras.utils.load_img is load_img
    assert utils.img_to_array is img_to_array and utils.array_to_img is array_to_img and utils.save_img is save_img
    with pytest.raises(AttributeError, match=r"'tinymed\.utils' has no attribute 'load_image'"):
        _ = utils.load_image


def test_what_is_no_picture_is_named(png, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_img(tmp_path / "nowhere.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"text\.png is no image"):
        load_img(tmp_path / "text.png")
    (tmp_path / "half.png").write_bytes(png.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"half\.png is a damaged image"):
        load_img(tmp_path / "half.png")
    with pytest.raises(ValueError, match="is a folder"):
        load_img(tmp_path)
    with pytest.raises(TypeError, match="not int"):
        load_img(3)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda path: load_img(path, color_mode="grey"), "color_mode must be 'grayscale', 'rgb' or 'rgba', got 'grey'"),
        (
            lambda path: load_img(path, target_size=(4, 4), interpolation="cubic"),
            "interpolation must be one of nearest",
        ),
        (lambda path: load_img(path, target_size=224), r"target_size must be \(height, width\) or None, got 224"),
        (lambda path: img_to_array(np.zeros(3)), r"got shape \(3,\)"),
        (lambda path: img_to_array(X, data_format="channels_first"), "data_format='channels_last' only"),
        (lambda path: array_to_img(np.zeros((4, 4))), r"a grey image needs a last axis: x\[\.\.\., None\]"),
        (lambda path: array_to_img(np.zeros((4, 4, 2))), "1, 3 or 4 channels"),
        (lambda path: smart_resize(X, (4, 4), interpolation="lanczos5"), "'bilinear' or 'nearest', got 'lanczos5'"),
        (lambda path: smart_resize(X, 4), r"size must be \(height, width\), got 4"),
        (lambda path: smart_resize(X[0], (4, 4)), r"got shape \(16, 3\)"),
    ],
)
def test_wrong_arguments(png, call, words):
    with pytest.raises(ValueError, match=words):
        call(png)
