"""Pictures from files, in the shape that a model takes: ``.png``, ``.jpg`` and ``.npz``.

What a model takes is written in its file, so that a picture of another size is an error and not a wrong answer;
only ``resize=True`` scales it: cropped to the middle, then resampled, as MedMNIST's own images were made.
"""

from __future__ import annotations

import os
import pathlib

import numpy as np

from tinymed.datasets.medmnist import can_be_read, read_npz, unit_range

Shape = tuple[int, int, int]
"""Height, width and channels of one image."""

_PIXELS_AT_MOST = 200_000_000
"""Pictures larger than this are refused: a damaged or hostile header could ask for any amount of memory."""


def load(path: str | os.PathLike[str], shape: Shape, resize: bool = False) -> tuple[np.ndarray, list[str]]:
    """Read the images of one file.

    Args:
        path: A ``.png`` or ``.jpg`` picture, or an ``.npz`` file with one image or a batch (an array called
            ``images`` or ``test_images``, or the only array of the file).
        shape: Height, width and channels that the model takes.
        resize: Whether to crop and resample images of another size.

    Returns:
        Images (N, H, W, C), float32 in [0, 1], and a name for each.

    Raises:
        ValueError: If the file is missing, no picture, damaged, or of another shape; the message names the fix.
    """
    if pathlib.Path(path).suffix.lower() == ".npz":
        return _from_npz(path, shape, resize)
    return _from_picture(path, shape, resize), [str(path)]


def _from_npz(path: str | os.PathLike[str], shape: Shape, resize: bool) -> tuple[np.ndarray, list[str]]:
    arrays = read_npz(path)
    key = next(name for name in ("images", "test_images", *arrays) if name in arrays)
    if key not in ("images", "test_images") and len(arrays) > 1:
        raise ValueError(
            f"{path} has several arrays ({', '.join(sorted(arrays))}) and none is called 'images'; "
            "save the images under that name"
        )
    array, where = arrays[key], f"{path}, {key}"
    if array.shape == shape or (array.ndim == 2 and shape[2] == 1):
        array = array[np.newaxis]  # one image
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4:
        raise ValueError(f"{where}: expected images (N, {_words(shape)}) but found an array {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{where}: no images in it (shape {array.shape})")
    if array.shape[3] != shape[2] and array.shape[1] == shape[2]:
        raise ValueError(
            f"{where}: expected images ({_words(shape)}) but found {array.shape[1:]}: channels seem to be first; "
            "move them last with np.moveaxis(x, 1, -1)"
        )
    pixels = unit_range(array, where)
    fitted = np.stack([_fit(image, shape, resize, where) for image in pixels])
    return fitted, [f"{path}[{i}]" for i in range(len(fitted))]


def _from_picture(path: str | os.PathLike[str], shape: Shape, resize: bool) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    can_be_read(path)
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _PIXELS_AT_MOST:
                raise ValueError(f"{path}: {picture.width} x {picture.height} pixels are too many; scale it down first")
            picture.load()
            pixels = _pixels(picture, shape[2], path)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no image that can be read here; use .png, .jpg or .npz") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is a damaged image ({error}); fetch or write it again") from error
    return _fit(pixels, shape, resize, str(path))[np.newaxis]


def _pixels(picture: object, channels: int, path: str | os.PathLike[str]) -> np.ndarray:
    """Return a picture's pixels (H, W, C) in [0, 1] with as many channels as the model takes."""
    from PIL import Image

    if not isinstance(picture, Image.Image):
        raise TypeError(f"expected an opened picture, got {type(picture).__name__}")
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits for each pixel
        deep = np.asarray(picture)
        if picture.mode == "F" or deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"{path}: pixels of mode {picture.mode} are not supported; save it with 8 or 16 bits")
        grey = deep.astype(np.uint16)[..., np.newaxis]
    else:
        grey = None
    if channels == 1:
        pixels = grey if grey is not None else np.asarray(picture.convert("L"))[..., np.newaxis]
    elif channels == 3:
        if grey is not None or picture.mode in ("1", "L", "LA"):
            raise ValueError(
                f"{path}: expected 3 channels but found a grey image with one; "
                "put the three channels (for the nodule task: three neighbouring slices) into red, green and blue"
            )
        pixels = np.asarray(picture.convert("RGB"))
    else:
        raise ValueError(f"{path}: the model takes {channels} channels, which no picture has; use an .npz file")
    return unit_range(pixels, str(path))


def _fit(image: np.ndarray, shape: Shape, resize: bool, where: str) -> np.ndarray:
    """Return the image if it has the model's shape; crop its middle and resample it if that is wished."""
    if image.shape == shape:
        return image
    if image.shape[2] != shape[2]:
        raise ValueError(
            f"{where}: expected an image of {_words(shape)} (height, width, channels) but found {_words(image.shape)}; "
            "the number of channels must fit"
        )
    if not resize:
        raise ValueError(
            f"{where}: expected an image of {_words(shape)} (height, width, channels) but found {_words(image.shape)}; "
            "scale it to that size, or let it be cropped and scaled with --resize (resize=True)"
        )
    from PIL import Image

    height, width = image.shape[:2]
    scale = min(height / shape[0], width / shape[1])
    keep_height, keep_width = max(1, round(scale * shape[0])), max(1, round(scale * shape[1]))
    top, left = (height - keep_height) // 2, (width - keep_width) // 2
    middle = image[top : top + keep_height, left : left + keep_width]
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(middle[..., c])).resize(shape[1::-1], Image.Resampling.BICUBIC))
        for c in range(shape[2])
    ]
    return np.clip(np.stack(planes, axis=-1), 0, 1)


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)
