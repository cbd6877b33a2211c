"""Single operations of the articles' networks, for tinymed (kernels or textbook) and PyTorch, in the same axes."""

from __future__ import annotations

import contextlib
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.programs import installed


@dataclass(frozen=True)
class Row:
    """An operation with the shapes of its differentiable inputs, its options, and PyTorch's words for it.

    Arguments:
        op: Its name in ``tinymed.ops``.
        shapes: Shape of each input.
        torch: Function of ``torch`` and the inputs, in tinymed's axes.
        options: Further arguments in tinymed.
        flops: Multiplications and additions of forward; 0 for an operation that only moves memory.
    """

    op: str
    shapes: tuple[tuple[int, ...], ...]
    torch: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    flops: int = 0

    def inputs(self) -> list[np.ndarray]:
        """Return the inputs, the same in every process."""
        draw = np.random.default_rng(zlib.crc32(repr(self.shapes).encode()))
        return [draw.standard_normal(shape, dtype=np.float32) for shape in self.shapes]

    def upstream(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return a random gradient for an output of this shape."""
        return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def conv2d(n: int, side: int, channels: int, filters: int) -> Row:
    """Return a 3x3 convolution with bias."""

    def spelled(torch: Any, x: Any, kernel: Any, bias: Any) -> Any:
        y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias)
        return y.permute(0, 2, 3, 1)

    shapes = ((n, side, side, channels), (3, 3, channels, filters), (filters,))
    return Row("conv2d", shapes, spelled, flops=2 * n * (side - 2) ** 2 * 9 * channels * filters)


def max_pool2d(n: int, side: int, channels: int) -> Row:
    """Return a 2x2 maximum pooling."""

    def spelled(torch: Any, x: Any) -> Any:
        return torch.nn.functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)

    return Row("max_pool2d", ((n, side, side, channels),), spelled, {"pool_size": (2, 2)})


def dense(n: int, features: int, units: int) -> Row:
    """Return a fully connected layer."""

    def spelled(torch: Any, x: Any, kernel: Any, bias: Any) -> Any:
        return torch.nn.functional.linear(x, kernel.T, bias)

    return Row("dense", ((n, features), (features, units), (units,)), spelled, flops=2 * n * features * units)


def elementwise(op: str, torch_name: str, *shape: int) -> Row:
    """Return an activation."""
    return Row(op, (shape,), lambda torch, x: getattr(torch.nn.functional, torch_name)(x))


def batch_norm(*shape: int) -> Row:
    """Return batch normalisation as in training."""

    def spelled(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
        images = x.permute(0, 3, 1, 2)
        y = torch.nn.functional.batch_norm(images, None, None, gamma, beta, training=True, eps=1e-3)
        return y.permute(0, 2, 3, 1)

    return Row("batch_norm", (shape, shape[-1:], shape[-1:]), spelled, {"epsilon": 1e-3})


ROWS: dict[str, Row] = {
    "conv2d 64x64x3 to 32 (P0)": conv2d(32, 64, 3, 32),
    "conv2d 31x31x32 to 64 (P0)": conv2d(32, 31, 32, 64),
    "conv2d 111x111x32 to 64 (P4a, 8 images)": conv2d(8, 111, 32, 64),
    "conv2d 54x54x64 to 128 (P4a, 8 images)": conv2d(8, 54, 64, 128),
    "max_pool2d 62x62x32 (P0)": max_pool2d(32, 62, 32),
    "relu 62x62x32 (P0)": elementwise("relu", "relu", 32, 62, 62, 32),
    "dense 12544 to 128 (P0)": dense(32, 12544, 128),
    "batch_norm 62x62x32": batch_norm(32, 62, 62, 32),
    "gelu 62x62x32": elementwise("gelu", "gelu", 32, 62, 62, 32),
}
QUICK = ("conv2d 31x31x32 to 64 (P0)", "relu 62x62x32 (P0)")


def resized(op: str, sizes: list[int]) -> Row:
    """Return a row of a family with other sizes."""
    return {"conv2d": conv2d, "max_pool2d": max_pool2d, "dense": dense}[op](*sizes)


class Operations:
    """Runs rows forward and backward; the parts of a row are made when it is first asked for.

    Arguments:
        prepare: From a row to ``(forward, backward, arrays)``: two functions without arguments, and one that returns
            output and gradients as NumPy arrays.
    """

    def __init__(self, prepare: Callable[[Row], tuple]) -> None:
        self._prepare = prepare
        self._current: tuple[Any, tuple] = (None, ())

    def _parts(self, name: Any) -> tuple:
        if self._current[0] != name:
            self._current = (None, ())
            self._current = (name, self._prepare(ROWS[name] if isinstance(name, str) else resized(*name)))
        return self._current[1]

    def forward(self, name: Any) -> None:
        """Run a row's forward."""
        self._parts(name)[0]()

    def backward(self, name: Any) -> None:
        """Run a row's backward."""
        self._parts(name)[1]()

    def save(self, name: Any, path: str) -> None:
        """Write a row's output and gradients to a file, for comparison."""
        np.savez(path, *self._parts(name)[2]())


def tinymed_operations(textbook: bool = False) -> Operations:
    """Return the operations as tinymed runs them, with its kernels or by its textbook bodies alone."""
    from tinymed import ops
    from tinymed.ops.registry import REGISTRY

    mode = ops.textbook if textbook else contextlib.nullcontext

    def prepare(row: Row) -> tuple:
        operation, inputs = REGISTRY[row.op], row.inputs()

        def forward() -> tuple:
            with mode():
                return operation.forward(*inputs, **row.options)

        y, cache = forward()
        dy = row.upstream(y.shape)

        def backward() -> Any:
            with mode():
                return operation.backward(dy, cache)

        def arrays() -> list[np.ndarray]:
            gradients = backward()
            return [y, *(gradients if isinstance(gradients, tuple) else [gradients])]

        return forward, backward, arrays

    return Operations(prepare)


def torch_operations() -> Operations:
    """Return the operations as PyTorch runs them; images lie in memory as tinymed's do, channels last."""
    torch = installed("torch")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def prepare(row: Row) -> tuple:
        inputs = [torch.from_numpy(x).requires_grad_() for x in row.inputs()]

        def forward() -> Any:
            with torch.no_grad():
                return row.torch(torch, *inputs)

        y = row.torch(torch, *inputs)
        dy = torch.from_numpy(row.upstream(tuple(y.shape)))

        def backward() -> Any:
            return torch.autograd.grad(y, inputs, dy, retain_graph=True)

        return forward, backward, lambda: [y.detach().numpy(), *(g.numpy() for g in backward())]

    return Operations(prepare)


def traffic(row: Row) -> int:
    """Return the bytes that a forward moves at least: every input read and the output, as large as the first, written.

    Pooling writes a quarter.
    """
    read = sum(math.prod(shape) for shape in row.shapes)
    written = math.prod(row.shapes[0]) // (4 if row.op == "max_pool2d" else 1)
    return 4 * (read + written)
