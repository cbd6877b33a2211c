"""Pictures from files, as arrays and back, with Keras's names (floor 3).

>>> import tempfile, pathlib
>>> path = pathlib.Path(tempfile.mkdtemp()) / "x.png"
>>> save_img(path, np.arange(12.0).reshape(2, 2, 3))
>>> img_to_array(load_img(path, target_size=(4, 6))).shape
(4, 6, 3)
"""

from __future__ import annotations

import io
import os
import pathlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_COLOR_MODES = ("grayscale", "rgb", "rgba")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_GREY_MODES = ("L", "I;16", "I")
"""Pillow's modes of grey pictures with 8, 16 and 32 bits."""


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Picture:
    """Read a picture from a file.

    With ``interpolation="nearest"``, the default, a picture that is scaled down keeps one pixel of many and loses the
    others; ``"bilinear"``, ``"box"`` and the rest take all into account.

    Arguments:
        path: A ``.png``, ``.jpg`` or other picture that Pillow can read, or an open ``io.BytesIO``.
        color_mode: ``"rgb"``, ``"grayscale"`` or ``"rgba"``. A grey picture with 16 bits keeps them as
            ``"grayscale"``; as colours it is brought to 8 bits (Keras cuts it at 255, so that nearly all is white).
        target_size: Height and width to scale to; as it is if None.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"hamming"``, ``"box"`` or ``"lanczos"``.
        keep_aspect_ratio: Whether to cut out the middle with the shape of the target first, so that nothing is
            distorted.

    Returns:
        A Pillow picture; :func:`img_to_array` makes an array of it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no picture or damaged, or for an unknown mode or interpolation.
    """
    if color_mode not in _COLOR_MODES:
        raise ValueError(f"load_img: color_mode must be 'grayscale', 'rgb' or 'rgba', got {color_mode!r}")
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"load_img: interpolation must be one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}")
    picture = _coloured(_opened(path), color_mode)
    if target_size is None:
        return picture
    if np.shape(target_size) != (2,) or min(target_size) < 1:
        raise ValueError(f"load_img: target_size must be (height, width) or None, got {target_size!r}")
    height, width = (int(side) for side in target_size)
    if picture.size == (width, height):
        return picture
    from PIL.Image import Resampling

    box = _middle(picture.height, picture.width, height, width) if keep_aspect_ratio else None
    return picture.resize((width, height), Resampling[interpolation.upper()], box=box)


def _opened(path: Any) -> Picture:
    """Read a file into memory and close it."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str | os.PathLike | io.BytesIO):
        raise TypeError(f"load_img takes the path of a file or an io.BytesIO, not {type(path).__name__}")
    if not isinstance(path, io.BytesIO) and pathlib.Path(path).is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.copy()
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no image that can be read here; use .png or .jpg") from error
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is a damaged image ({error}); fetch or write it again") from error


def _coloured(picture: Picture, mode: str) -> Picture:
    if mode == "grayscale":
        return picture if picture.mode in _GREY_MODES else picture.convert("L")
    wanted = mode.upper()
    if picture.mode == wanted:
        return picture
    if picture.mode.startswith("I"):  # 16 bits for each pixel
        from PIL import Image

        deep = np.asarray(picture).astype(np.int64)
        if deep.max(initial=0) > 255:
            picture = Image.fromarray((np.clip(deep, 0, 65535) // 257).astype(np.uint8))
    return picture.convert(wanted)


def _middle(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int, int, int]:
    """Return the largest part in the middle with the target's shape: left, top, right, bottom."""
    tall = min(height, width * target_height // target_width)
    wide = min(width, height * target_width // target_height)
    top, left = (height - tall) // 2, (width - wide) // 2
    return left, top, left + wide, top + tall


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Return a picture as an array (H, W, C) of numbers from 0 to 255.

    Arguments:
        img: A Pillow picture, or an array (H, W) or (H, W, C).
        data_format: ``"channels_last"``, the only layout here, or None.
        dtype: dtype of the array; that of new weights (float32) if None.
    """
    _channels_last("img_to_array", data_format)
    array = np.array(img, dtype=backend.floatx() if dtype is None else dtype)
    if array.ndim not in (2, 3):
        raise ValueError(f"img_to_array takes a picture or an array (H, W) or (H, W, C), got shape {array.shape}")
    return array[..., np.newaxis] if array.ndim == 2 else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Picture:
    """Return an array as a picture.

    Arguments:
        x: (H, W, C) with 1, 3 or 4 channels.
        data_format: ``"channels_last"``, the only layout here, or None.
        scale: Whether values are spread so that the smallest becomes 0 and the largest 255; if not they must lie
            in that range. Spread pictures cannot be compared with each other.
        dtype: dtype to compute in; that of new weights (float32) if None.
    """
    from PIL import Image

    _channels_last("array_to_img", data_format)
    array = np.array(backend.to_host(x), dtype=backend.floatx() if dtype is None else dtype)
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"array_to_img takes one image (H, W, C) with 1, 3 or 4 channels, got shape {array.shape}"
            + ("; a grey image needs a last axis: x[..., None]" if array.ndim == 2 else "")
        )
    if scale:
        array = array - array.min()
        largest = array.max()
        if largest != 0:
            array = array / largest * 255
    if array.shape[2] == 1:
        plane = array[:, :, 0]
        return Image.fromarray(plane.astype(np.int32 if plane.max() > 255 else np.uint8))
    return Image.fromarray(array.astype(np.uint8))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array as a picture.

    Arguments:
        path: The file, whose ending says the format, or an open file.
        x: (H, W, C) with 1, 3 or 4 channels.
        data_format: ``"channels_last"``, the only layout here, or None.
        file_format: Such as ``"png"``; by the ending of ``path`` if None.
        scale: As in :func:`array_to_img`.
        kwargs: For Pillow's ``save``, such as ``quality=95``.
    """
    if file_format is None and isinstance(path, str | os.PathLike):
        file_format = pathlib.Path(path).suffix[1:]
    if file_format and file_format.lower() == "jpg":
        file_format = "jpeg"
    picture = array_to_img(x, data_format=data_format, scale=scale)
    if picture.mode == "RGBA" and file_format and file_format.lower() == "jpeg":
        warnings.warn("JPEG knows no transparency; the fourth channel is dropped", stacklevel=2)
        picture = picture.convert("RGB")
    picture.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Array, size: tuple[int, int], interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Array:
    """Cut out the middle with the shape of the target, and scale it: nothing is distorted.

    Each new pixel is interpolated between its neighbours alone. Images that become much smaller should be smoothed
    first, or read with ``load_img(..., interpolation="box", keep_aspect_ratio=True)``.

    Arguments:
        x: Images (H, W, C) or (N, H, W, C), on the device where they are.
        size: Height and width of the result.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        data_format: ``"channels_last"``, the only layout here.

    Returns:
        (height, width, C) or (N, height, width, C).
    """
    _channels_last("smart_resize", data_format)
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(f"smart_resize: interpolation must be 'bilinear' or 'nearest', got {interpolation!r}")
    if np.shape(size) != (2,) or min(size) < 1:
        raise ValueError(f"smart_resize: size must be (height, width), got {size!r}")
    x = np.asarray(x) if backend.is_host(x) else x
    if x.ndim not in (3, 4):
        raise ValueError(f"smart_resize takes (H, W, C) or (N, H, W, C), got shape {tuple(x.shape)}")
    xp = backend.array_namespace(x)
    if not xp.isdtype(x.dtype, "real floating"):
        x = xp.astype(x, xp.float32)
    left, top, right, bottom = _middle(x.shape[-3], x.shape[-2], *size)
    x = x[..., top : max(bottom, top + 1), left : max(right, left + 1), :]
    for axis, side in ((-3, int(size[0])), (-2, int(size[1]))):
        weights = _weights(x.shape[axis], side, interpolation)
        w = xp.asarray(weights, dtype=x.dtype, device=backend.device_of(x))
        # (side, old) @ (..., old, rest)
        x = xp.moveaxis(w @ xp.moveaxis(x, axis, -2), -2, axis)
    return x


def _weights(old: int, new: int, interpolation: str) -> np.ndarray:
    """Return the matrix (new, old) that resamples a line of pixels."""
    places = (np.arange(new) + 0.5) * (old / new)
    if interpolation == "nearest":
        return np.eye(old)[np.minimum(places.astype(int), old - 1)]
    places = np.clip(places - 0.5, 0, old - 1)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(old)), 0)


def _channels_last(owner: str, data_format: str | None) -> None:
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"{owner} supports data_format='channels_last' only, got {data_format!r}; "
            "move the channels last with np.moveaxis(x, 0, -1)"
        )
