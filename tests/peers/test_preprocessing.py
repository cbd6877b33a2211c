"""Preparation of data against Keras."""

import inspect
import itertools

import numpy as np
import pytest

from tests.peers.compare import assert_close
from tinymed.preprocessing import image
from tinymed.preprocessing.sequence import pad_sequences

OPTIONS = list(itertools.product((None, 2, 5), ("pre", "post"), ("pre", "post"), ("int32", "float32"), (0.0, -7)))


@pytest.mark.parametrize(("maxlen", "padding", "truncating", "dtype", "value"), OPTIONS)
def test_padding(maxlen, padding, truncating, dtype, value, keras):
    rng = np.random.default_rng(0)
    for steps in ((), (2,)):
        sequences = [rng.standard_normal((length, *steps)) * 9 for length in (3, 1, 4, 2)]
        options = {"maxlen": maxlen, "padding": padding, "truncating": truncating, "dtype": dtype, "value": value}
        wanted = keras.utils.pad_sequences(sequences, **options)
        found = pad_sequences(sequences, **options)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


# --- pictures ----------------------------------------------------------------------------------------------------

IMAGE = ("array_to_img", "img_to_array", "load_img", "save_img", "smart_resize")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Write pictures of several kinds and return their paths."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    colours = rng.integers(0, 256, (37, 52, 4)).astype(np.uint8)
    Image.fromarray(colours[..., :3]).save(folder / "colours.png")
    Image.fromarray(colours).save(folder / "transparent.png")
    Image.fromarray(colours[..., :3]).save(folder / "colours.jpg", quality=80)
    Image.fromarray(colours[..., 0]).save(folder / "grey.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", IMAGE)
def test_arguments_of_picture_functions(name, keras):
    ours, theirs = (inspect.signature(getattr(m, name)) for m in (image, keras.preprocessing.image))
    kinds = (inspect.Parameter.VAR_KEYWORD,)
    mine, wanted = (
        [(p.name, p.default) for p in signature.parameters.values() if p.kind not in kinds]
        for signature in (ours, theirs)
    )
    assert mine == wanted


@pytest.mark.parametrize("mode", ["rgb", "grayscale", "rgba"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"])
@pytest.mark.parametrize(
    ("size", "keep"), [(None, False), ((37, 52), False), ((20, 20), False), ((20, 20), True), ((50, 90), True)]
)
def test_load_img(mode, interpolation, size, keep, pictures, keras):
    options = {"color_mode": mode, "interpolation": interpolation, "target_size": size, "keep_aspect_ratio": keep}
    for path in pictures:
        wanted, found = keras.utils.load_img(path, **options), image.load_img(path, **options)
        assert found.mode == wanted.mode
        wanted, found = keras.utils.img_to_array(wanted), image.img_to_array(found)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
def test_array_to_img_and_save_img(channels, scale, keras, tmp_path):
    x = np.random.default_rng(0).uniform(0, 255, (9, 7, channels))
    for values in (x, np.zeros_like(x), *([x * 9] if channels == 1 else [])):
        wanted, found = (f(values, scale=scale) for f in (keras.utils.array_to_img, image.array_to_img))
        assert found.mode == wanted.mode
        # Computed in another order, a value may lie on the other side of a whole number.
        assert np.abs(np.asarray(found).astype(int) - np.asarray(wanted).astype(int)).max() <= 1
    for module, name in ((keras.utils, "theirs.png"), (image, "ours.png")):
        module.save_img(tmp_path / name, x, scale=scale)
    ours, theirs = (keras.utils.img_to_array(keras.utils.load_img(tmp_path / n)) for n in ("ours.png", "theirs.png"))
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("shape", [(11, 17, 3), (2, 16, 9, 1)])
@pytest.mark.parametrize("size", [(11, 17), (5, 5), (24, 13), (30, 7)])
def test_smart_resize(interpolation, shape, size, keras):
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    wanted = keras.preprocessing.image.smart_resize(x, size, interpolation=interpolation)
    assert_close(image.smart_resize(x, size, interpolation=interpolation), wanted, 1e-5, "smart_resize")
