"""Where the first NaN or infinity comes from.

Inside ``with tinymed.debug():`` every layer's and loss's forward and backward is watched. The first value that is
not finite raises an error that names the layer and the tensor, instead of a loss that is NaN fifty steps later:

>>> import numpy as np, tinymed
>>> from tinymed.layers import Dense
>>> layer = Dense(2, name="head")
>>> with tinymed.debug():
...     layer.forward(np.array([[1.0, 2.0], [np.inf, 0.0]], "float32"))  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
tinymed.debugging.NotFiniteError: head, forward: the input x holds 1 infinity; the first is at (1, 0), sample 1 of ...

Outside the block nothing is watched and nothing costs anything: the methods are the layers' own.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import array_namespace


class NotFiniteError(FloatingPointError):
    """A NaN or an infinity has appeared.

    Arguments:
        layer: Name of the layer or loss.
        moment: ``"forward"`` or ``"backward"``.
        tensor: What holds it, in words.
        index: Place of the first one; ``index[0]`` is the sample, for inputs, outputs and their gradients.
        message: What is known about it.
    """

    def __init__(self, layer: str, moment: str, tensor: str, index: tuple[int, ...], message: str) -> None:
        super().__init__(message)
        self.layer, self.moment, self.tensor, self.index = layer, moment, tensor, index


_active = False


@contextlib.contextmanager
def debug() -> Iterator[None]:
    """Watch all layers and losses inside the ``with`` block, and raise where the first NaN or infinity appears.

    Raises:
        NotFiniteError: Naming the layer, forward or backward, the tensor, the batch index, and its statistics.
    """
    global _active
    if _active:
        yield
        return
    from tinymed.layers.base import Layer
    from tinymed.losses.base import Loss

    replaced: list[tuple[type, str, Any]] = []
    watchers: dict[str, Callable[[Callable], Callable]] = {"forward": _watched_forward, "backward": _watched_backward}
    for base in (Layer, Loss):
        for cls in _family(base):
            for name, watch in watchers.items():
                if name in vars(cls):
                    replaced.append((cls, name, vars(cls)[name]))
                    setattr(cls, name, watch(vars(cls)[name]))
    _active = True
    try:
        with np.errstate(all="ignore"):  # a warning would only say that it happened, not where
            yield
    finally:
        _active = False
        for cls, name, method in replaced:
            setattr(cls, name, method)


def _family(cls: Any) -> Iterator[type]:
    yield cls
    for child in cls.__subclasses__():
        yield from _family(child)


def _watched_forward(method: Callable) -> Callable:
    @functools.wraps(method)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        names = ("the targets y_true", "the predictions y_pred") if _is_loss(self) else ("the input x",)
        for name, value in zip(names, args, strict=False):
            _inspect(self, "forward", name, value, "It came in so: look at what computed it, or at the data.")
        for name, value in getattr(self, "params", {}).items():
            _inspect(self, "forward", f"the weight {name}", value, "The last update made it so: is the step too large?")
        y, cache = method(self, *args, **kwargs)
        what = "the loss" if _is_loss(self) else "the output y"
        _inspect(self, "forward", what, y, f"What came in was finite{_sizes(args)}: it was made here.")
        return y, cache

    return forward


def _watched_backward(method: Callable) -> Callable:
    @functools.wraps(method)
    def backward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_loss(self) and args:
            hint = "It came in so: look at the layer or loss behind this one."
            _inspect(self, "backward", "the upstream gradient dy", args[0], hint)
        found = method(self, *args, **kwargs)
        hint = "What came in was finite: it was made here."
        if _is_loss(self):
            _inspect(self, "backward", "the gradient of the predictions", found, hint)
            return found
        dx, grads = found
        _inspect(self, "backward", "the gradient dx", dx, hint)
        for name, value in grads.items():
            _inspect(self, "backward", f"the gradient of {name}", value, hint)
        return found

    return backward


def _is_loss(thing: Any) -> bool:
    return not hasattr(thing, "params")


def _inspect(owner: Any, moment: str, tensor: str, value: Any, hint: str) -> None:
    """Raise NotFiniteError if an array, or one of a list, holds NaN or infinity."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _inspect(owner, moment, f"{tensor}[{i}]", item, hint)
        return
    if value is None or isinstance(value, Mapping) or "float" not in str(getattr(value, "dtype", "")):
        return
    xp = array_namespace(value)
    if bool(xp.all(xp.isfinite(value))):
        return
    host = np.asarray(backend.to_host(value))
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(host))[0])
    batch = f", sample {index[0]} of the batch" if index and "weight" not in tensor and "of " not in tensor else ""
    place = f"; the first is at {index}{batch}" if index else ""
    message = f"{owner.name}, {moment}: {tensor} holds {_count(host)}{place}. {_statistics(host)} {hint}"
    raise NotFiniteError(owner.name, moment, tensor, index, message)


def _count(host: np.ndarray) -> str:
    nans, infinities = int(np.isnan(host).sum()), int(np.isinf(host).sum())
    parts = [f"{nans} NaN"] if nans else []
    if infinities:
        parts.append(f"{infinities} infinity" if infinities == 1 else f"{infinities} infinities")
    return " and ".join(parts)


def _statistics(host: np.ndarray) -> str:
    finite = host[np.isfinite(host)]
    if not finite.size:
        return f"None of its {host.size} values is finite." if host.size > 1 else ""
    return (
        f"The {finite.size} finite ones of its {host.size} values lie between "
        f"{float(finite.min()):.6g} and {float(finite.max()):.6g}."
    )


def _sizes(args: tuple) -> str:
    """Say how large the values of the (last) input were: a large input often explains an infinite output."""
    arrays = [a for a in args if hasattr(a, "dtype") and "float" in str(a.dtype) and 0 not in a.shape]
    if not arrays:
        return ""
    host = backend.to_host(arrays[-1])
    return f" (from {float(np.min(host)):.6g} to {float(np.max(host)):.6g})"
