"""How exactly a GPU multiplies matrices (floor 0).

Since 2020 NVIDIA's tensor cores multiply float32 matrices several times as fast if they may round every factor to 11
binary digits first (TF32). tinymed does not do that unasked: results on CPU and GPU then agree to float32's rounding.
"""

from __future__ import annotations

PRECISIONS = ("float32", "tf32")

_current = ["float32"]


def set_precision(name: str) -> None:
    """Choose how matrix products of float32 arrays are computed on a GPU.

    >>> set_precision("tf32")
    >>> get_precision()
    'tf32'
    >>> set_precision("float32")

    Arguments:
        name: ``"float32"``, as every program starts; or ``"tf32"``, factors rounded to 11 binary digits (three decimal
            ones) and sums in float32, for speed. Other dtypes, and the CPU, are not touched.

    Raises:
        ValueError: For another name.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision must be 'float32' or 'tf32', got {name!r}")
    _current[0] = name


def get_precision() -> str:
    """Return how matrix products of float32 arrays are computed on a GPU: ``"float32"`` or ``"tf32"``."""
    return _current[0]
