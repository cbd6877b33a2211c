"""Mean squared and mean absolute errors on the GPU: one launch each, forward and backward."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array
from tinymed.kernels.gpu.launching import THREADS, blocks, contiguous, empty, launch, load, on_gpu, supported
from tinymed.kernels.gpu.losses import by_rows, sizes, usual
from tinymed.ops.losses import (
    mean_absolute_error,
    mean_absolute_error_backward,
    mean_squared_error,
    mean_squared_error_backward,
)

load("regression")


def _enter(forward: Any, backward: Any, squared: bool) -> None:
    @on_gpu(forward)
    def mean_error(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        if not usual(y_true, y_pred):
            return forward.textbook(y_true, y_pred)
        errors, loss = empty(y_pred.shape, y_pred), empty(y_pred.shape[:-1], y_pred)
        by_rows("mean_error", (y_true, y_pred, errors, loss), *sizes(y_pred), squared)
        return loss, errors

    @on_gpu(backward)
    def mean_error_backward(dy: Array, cache: Array) -> Array:
        if not supported(dy, cache) or dy.shape != cache.shape[:-1]:
            return backward.textbook(dy, cache)
        dx = empty(cache.shape, dy)
        arguments = (contiguous(dy), contiguous(cache), dx, cache.shape[-1], squared, dx.size)
        launch("mean_error_backward", blocks(dx.size), THREADS, arguments)
        return dx


_enter(mean_squared_error, mean_squared_error_backward, squared=True)
_enter(mean_absolute_error, mean_absolute_error_backward, squared=False)
