"""The same training program for tinymed, Keras and PyTorch: ``losses``, ``train`` (one step), ``predict`` (one batch).

Each library gets what is fastest for it: its own tensors, fused losses and optimizers. All compute in float32, with
Adam, and report loss and accuracy of each step, as the articles' programs do.
"""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.networks import Network, find, keras_model, load
from benchmarks.workers import AbsentError

BETA_2, EPSILON = 0.999, 1e-7


def installed(name: str) -> Any:
    """Import a library, or raise AbsentError."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise AbsentError(f"{error.name} is not installed") from None


class KerasProgram:
    """A network with Keras's words; ``tensor`` turns an array into what the library likes best."""

    def __init__(self, library: Any, network: Network, path: str, tensor: Any, **options: Any) -> None:
        weights, data = load(path)
        self.model = keras_model(library, network)
        self.model.set_weights(weights)
        adam = library.optimizers.Adam(0.001, beta_2=BETA_2, epsilon=EPSILON)
        metrics = [network.metric] if network.metric else []
        self.model.compile(optimizer=adam, loss=network.loss, metrics=metrics, **options)
        self.data = [(tensor(x), tensor(y)) for x, y in data]
        self.turns = itertools.cycle(self.data)

    def losses(self) -> list[float]:
        """Take the steps that must agree and return their losses."""
        found = []
        for x, y in self.data:
            if hasattr(self.model, "reset_metrics"):  # or Keras returns the mean of all steps so far
                self.model.reset_metrics()
            found.append(float(self.model.train_on_batch(x, y, return_dict=True)["loss"]))
        return found

    def train(self) -> None:
        """Take a training step on the next batch."""
        self.model.train_on_batch(*next(self.turns))

    def predict(self) -> None:
        """Predict the next batch."""
        self.model.predict_on_batch(next(self.turns)[0])


def tinymed_program(network: str, path: str) -> KerasProgram:
    """Return the program for tinymed."""
    import tinymed

    return KerasProgram(tinymed, find(network), path, tensor=np.asarray)


def keras_program(network: str, path: str, backend: str, xla: bool = False) -> KerasProgram:
    """Return the program for Keras on ``tensorflow`` or ``jax``."""
    os.environ["KERAS_BACKEND"] = backend
    installed(backend)
    keras = installed("keras")
    options = {"jit_compile": xla} if backend == "tensorflow" else {}
    return KerasProgram(keras, find(network), path, tensor=keras.ops.convert_to_tensor, **options)


def torch_program(network: str, path: str, channels_last: bool = False) -> TorchProgram:
    """Return the program for PyTorch in one of its two memory layouts."""
    torch = installed("torch")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return TorchProgram(torch, find(network), path, channels_last)


class TorchProgram:
    """A network with PyTorch's words and Keras's initial weights."""

    def __init__(self, torch: Any, network: Network, path: str, channels_last: bool) -> None:
        self.torch = torch
        self.binary = network.classes == 2
        weights, data = load(path)
        self.model = torch_module(torch, network, weights)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        if len(network.shape) == 3:
            self.model = self.model.to(memory_format=layout)
        functional = torch.nn.functional
        self.loss = {
            "binary_crossentropy": functional.binary_cross_entropy_with_logits,
            "mean_squared_error": functional.mse_loss,
        }.get(network.loss, functional.cross_entropy)
        self.reports_accuracy = bool(network.metric)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(learning, 0.001, betas=(0.9, BETA_2), eps=EPSILON, fused=True)
        self.data = [(self._input(x, layout), torch.from_numpy(_index(y, network))) for x, y in data]
        self.turns = itertools.cycle(self.data)

    def _input(self, x: np.ndarray, layout: Any) -> Any:
        tensor = self.torch.from_numpy(x)
        return tensor.permute(0, 3, 1, 2).contiguous(memory_format=layout) if x.ndim == 4 else tensor

    def _step(self, x: Any, y: Any) -> float:
        self.adam.zero_grad(set_to_none=True)
        z = self.model(x)
        loss = self.loss(z, y)
        loss.backward()
        self.adam.step()
        if self.reports_accuracy:
            hits = (z > 0) == (y > 0.5) if self.binary else z.argmax(dim=1) == y
            hits.float().mean().item()
        return loss.item()

    def losses(self) -> list[float]:
        """Take the steps that must agree and return their losses.

        PyTorch adds Adam's epsilon after its correction of the bias, Keras before; this makes up for it.
        """
        found = []
        for step, (x, y) in enumerate(self.data, start=1):
            self.adam.param_groups[0]["eps"] = EPSILON / (1 - BETA_2**step) ** 0.5
            found.append(self._step(x, y))
        return found

    def train(self) -> None:
        """Take a training step on the next batch."""
        self.model.train()
        self._step(*next(self.turns))

    def predict(self) -> None:
        """Predict the next batch."""
        self.model.eval()
        with self.torch.inference_mode():
            z = self.model(next(self.turns)[0])
            if self.reports_accuracy:
                z = z.sigmoid() if self.binary else z.softmax(dim=1)
            z.numpy()


def torch_module(torch: Any, network: Network, weights: list[np.ndarray]) -> Any:
    """Build the network in PyTorch, without its last activation, and give it weights in Keras's order and axes."""
    nn = torch.nn
    given = iter(weights)
    shape: tuple[int, ...] = network.shape
    flattened: tuple[int, ...] | None = None
    modules: list[Any] = []
    for place, (kind, *arguments) in enumerate(network.layers):
        if kind == "conv":
            layer = nn.Conv2d(shape[-1], arguments[0], 3)
            _set(torch, (layer.weight, layer.bias), [next(given).transpose(3, 2, 0, 1), next(given)])
            modules += [layer, nn.ReLU(inplace=True)]
            shape = (shape[0] - 2, shape[1] - 2, arguments[0])
        elif kind == "pool":
            modules.append(nn.MaxPool2d(2))
            shape = (shape[0] // 2, shape[1] // 2, shape[2])
        elif kind == "flatten":
            modules.append(nn.Flatten())
            flattened, shape = shape, (int(np.prod(shape)),)
        elif kind == "lstm":
            layer, shape = _lstm(torch, shape, given, *arguments)
            modules.append(layer)
        else:
            layer = nn.Linear(shape[-1], arguments[0])
            kernel = next(given)
            if flattened:  # PyTorch flattens (C, H, W), Keras (H, W, C)
                kernel = kernel.reshape(*flattened, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
                flattened = None
            _set(torch, (layer.weight, layer.bias), [kernel.T, next(given)])
            modules += [layer] if place == len(network.layers) - 1 else [layer, nn.ReLU(inplace=True)]
            shape = (arguments[0],)
    return nn.Sequential(*modules)


def _lstm(
    torch: Any, shape: tuple[int, ...], given: Iterator[np.ndarray], units: int, activation: str, sequences: bool
) -> tuple[Any, tuple[int, ...]]:
    """Return PyTorch's LSTM, which has a second bias: it stays zero, as Keras has only one."""
    if activation != "tanh":
        raise AbsentError(f"PyTorch has no LSTM with {activation}")

    class Lstm(torch.nn.LSTM):
        def forward(self, x: Any) -> Any:
            y, _ = super().forward(x)
            return y if sequences else y[:, -1]

    layer = Lstm(shape[-1], units, batch_first=True)
    kernel, recurrent, bias = (next(given) for _ in range(3))
    parameters = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    _set(torch, parameters, [kernel.T, recurrent.T, bias, np.zeros_like(bias)])
    layer.bias_hh_l0.requires_grad = False
    return layer, (shape[0], units) if sequences else (units,)


def _set(torch: Any, parameters: tuple[Any, ...], values: list[np.ndarray]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def _index(y: np.ndarray, network: Network) -> np.ndarray:
    """Return class numbers for one-hot rows, as PyTorch's cross-entropy takes them, and anything else as it is."""
    return y.argmax(axis=1) if network.loss == "categorical_crossentropy" else y
