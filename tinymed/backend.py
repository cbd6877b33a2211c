"""Which array library holds the numbers, and on which device (floor 0).

Nothing above this file names NumPy as the library that computes. An operation asks
:func:`array_namespace` which library its arrays come from; code that *creates* arrays
(weights, batches) asks this module to put them on the current backend:

>>> import numpy as np
>>> get_backend()
'numpy'
>>> to_host(asarray(np.arange(3.0, dtype=np.float32)))
array([0., 1., 2.], dtype=float32)

Host means NumPy arrays in main memory. Copies between host and device happen here and nowhere else,
so that they can be counted.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Array = Any
"""An array of whichever library is in use; the array API standard has no common base class."""

_ALIASES = {"np": "numpy", "cpu": "numpy", "gpu": "cupy", "cuda": "cupy"}

_state: dict[str, Any] = {"name": None, "xp": None, "device": None, "floatx": "float32"}


def set_backend(name: str, device: Any = None) -> None:
    """Choose the array library that holds weights and batches from now on.

    Args:
        name: ``"numpy"``, ``"cupy"``, or the module name of any library that follows the array API standard.
        device: A device of that library; its default device if omitted.

    Raises:
        ValueError: If the library cannot be imported, or has no device to compute on; the message says why, and what
            to do about it. There is no silent change to another library.
    """
    name = _ALIASES.get(name, name)
    if name == "cupy":
        from tinymed import cuda

        cuda.require()
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        hint = f"pip install {name}"
        raise ValueError(f"backend {name!r} is not available ({error}); to install it: {hint}") from error
    if not hasattr(module, "asarray"):
        raise ValueError(f"{name!r} is no array library; use 'numpy', 'cupy' or a library with the array API standard")
    xp = array_namespace(module.asarray(0.0))
    _state.update(name=name, xp=xp, device=device)


def _current() -> dict[str, Any]:
    if _state["name"] is None:
        set_backend(os.environ.get("TINYMED_BACKEND", "numpy"))
    return _state


def get_backend() -> str:
    """Return the name of the current array library, ``"numpy"`` unless set otherwise."""
    return str(_current()["name"])


@contextlib.contextmanager
def use_backend(name: str, device: Any = None) -> Iterator[None]:
    """Use another backend inside a ``with`` block, and the former one again after it."""
    before = dict(_current())
    set_backend(name, device)
    try:
        yield
    finally:
        _state.update({key: before[key] for key in ("name", "xp", "device")})


def array_namespace(*arrays: Array) -> Any:
    """Return the array API namespace of the given arrays (``None`` entries are passed over)."""
    given = [a for a in arrays if a is not None]
    if given and all(type(a) is np.ndarray for a in given):
        return _numpy_namespace()
    import array_api_compat

    return array_api_compat.array_namespace(*given)


@functools.cache
def _numpy_namespace() -> Any:
    import array_api_compat

    return array_api_compat.array_namespace(np.empty(0))


def device_of(x: Array) -> Any:
    """Return the device on which ``x`` lies."""
    import array_api_compat

    return array_api_compat.device(x)


def asarray(x: Any, dtype: str | None = None) -> Array:
    """Put ``x`` on the current backend and device; copies only where it must.

    Args:
        x: Anything that NumPy turns into an array, or an array of the current backend.
        dtype: A dtype name such as ``"float32"``; unchanged if omitted.
    """
    current = _current()
    xp = current["xp"]
    if current["name"] != "numpy" and is_host(x):
        x = np.ascontiguousarray(x) if dtype is None else np.ascontiguousarray(x, dtype=dtype)
    return xp.asarray(x, dtype=getattr(xp, dtype) if dtype else None, device=current["device"])


def constant(values: Sequence[float], like: Array, dtype: str | None = None) -> Array:
    """Return a few numbers as a vector beside ``like``; they are copied to its device only once.

    All who ask for the same numbers get the same array: nobody may change it.

    Args:
        values: The numbers.
        like: An array, whose library and device the result gets.
        dtype: A dtype name; that of ``like`` if omitted.

    >>> constant((0.25, 0.75), np.zeros(3, dtype="float32"))
    array([0.25, 0.75], dtype=float32)
    """
    xp, device = array_namespace(like), device_of(like)
    kind = like.dtype if dtype is None else getattr(xp, dtype)
    key = xp.__name__, str(device), str(kind), tuple(values)
    if key not in _constants:
        _constants[key] = xp.asarray(list(values), dtype=kind, device=device)
    return _constants[key]


_constants: dict[tuple, Array] = {}


def is_host(x: Any) -> bool:
    """Tell whether ``x`` is a NumPy array or plain Python data, and no array of another library."""
    if isinstance(x, np.ndarray | np.generic):
        return True
    return not hasattr(x, "__array_namespace__") and not hasattr(x, "__cuda_array_interface__")


def to_host(x: Any) -> np.ndarray:
    """Return ``x`` as a NumPy array in main memory (the array itself where it is one already)."""
    if is_host(x):
        return np.asarray(x)
    if hasattr(x, "get"):  # cupy.ndarray
        return x.get()
    return np.array(np.from_dlpack(x))


class LazyArray:
    """Samples that are read from disk when a batch asks for them; ``fit``, ``evaluate`` and ``predict`` take one as x.

    A subclass sets ``shape`` and ``dtype`` and defines :meth:`read`.

    >>> class Squares(LazyArray):
    ...     shape, dtype = (1000, 1), np.dtype("float32")
    ...     def read(self, places):
    ...         return places[:, None].astype("float32") ** 2
    >>> squares = Squares()
    >>> len(squares), squares[2:5].tolist(), squares[np.array([9, 1])].tolist(), squares.rows(10, 1000)[:1].tolist()
    (1000, [[4.0], [9.0], [16.0]], [[81.0], [1.0]], [[100.0]])
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, places: np.ndarray) -> np.ndarray:
        """Return the samples at these places, stacked."""
        raise NotImplementedError(f"{type(self).__name__} must define read(places)")

    def rows(self, start: int, stop: int) -> LazyArray:
        """Return a part of the samples without reading them."""
        return _LazyRows(self, range(len(self))[start:stop])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: Any) -> np.ndarray:
        if isinstance(places, tuple):  # x[a:b, ...]
            rest = (slice(None), *places[1:])
            return self[places[0]][rest]
        chosen = np.arange(len(self))[places]
        return self.read(chosen) if chosen.ndim else self.read(chosen[None])[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)


class _LazyRows(LazyArray):
    def __init__(self, whole: LazyArray, places: range) -> None:
        self.whole, self.places = whole, places
        self.shape, self.dtype = (len(places), *whole.shape[1:]), whole.dtype

    def read(self, places: np.ndarray) -> np.ndarray:
        return self.whole.read(places + self.places.start)


def floatx() -> str:
    """Return the dtype name of new weights, ``"float32"`` unless set otherwise."""
    return str(_state["floatx"])


def set_floatx(dtype: str) -> None:
    """Set the dtype of new weights and of model inputs: ``"float32"`` or ``"float64"``."""
    if dtype not in ("float16", "float32", "float64"):
        raise ValueError(f"floatx must be 'float16', 'float32' or 'float64', got {dtype!r}")
    _state["floatx"] = dtype


class _Seeds:
    """One root seed, from which every generator and key of a program is derived in order."""

    def __init__(self) -> None:
        self.sequence = np.random.SeedSequence()


_seeds = _Seeds()


def set_seed(seed: int) -> None:
    """Make everything random that follows repeatable: weights, shuffling, dropout masks, phantoms.

    >>> set_seed(7); a = new_generator().random()
    >>> set_seed(7); a == new_generator().random()
    True
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"a seed is a non-negative integer, got {seed!r}")
    _seeds.sequence = np.random.SeedSequence(int(seed))


def new_generator(seed: int | None = None) -> np.random.Generator:
    """Return a fresh host generator: the next of the root seed's children, or one of its own ``seed``."""
    if seed is not None:
        return np.random.default_rng(seed)
    return np.random.default_rng(_seeds.sequence.spawn(1)[0])


def new_key(seed: int | None = None) -> int:
    """Return a 63-bit key for counter-based random numbers on the device (see ``ops.random``)."""
    return int(new_generator(seed).integers(2**63))
