"""Contenders of ``benchmarks.cpu_gpu``: a training step of tinymed on either device, and of PyTorch on the GPU.

Each has the methods ``open`` (a network with given weights), ``losses`` (of the first steps) and ``measure``. All
compute in float32 with the same precision of products, with Adam, and add up loss and accuracy on their device, as
``fit`` does; nobody copies a score to the host within a step.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.clocks import CupyClock, HostClock, TorchClock, attempted, measured, once, warmed
from benchmarks.networks import Network, batches, find, keras_model
from benchmarks.programs import BETA_2, EPSILON, _index, _set, installed, torch_module
from benchmarks.workers import AbsentError

WARM = 8
"""Calls before a step is timed: a step is recorded in its first five."""

DISTINCT = 3
"""Batches that follow each other in turn."""


def weights_in(path: str) -> list[np.ndarray]:
    """Return the weights that the driver wrote, in Keras's order."""
    with np.load(path) as file:
        return [file[f"w{i}"] for i in range(len(file.files))]


class Steps:
    """What all contenders have.

    Arguments:
        clock: The device's.
    """

    network: Network
    path: str

    def __init__(self, clock: HostClock) -> None:
        self.clock = clock
        self.first: dict[Any, float] = {}
        """Seconds of the very first step of each network (of each batch size where that compiles anew)."""

    def refuses(self, network: str) -> str | None:
        """Return why this contender cannot take part on a network, None if it can."""
        return None

    def open(self, network: str, path: str) -> None:
        """Take up a network, with the weights in a file."""
        self.network, self.path = find(network), path

    def attempt(self, name: str, *arguments: Any) -> dict[str, Any]:
        """Return what a method returns as ``value``, or what went wrong as ``error``."""
        return attempted(getattr(self, name), *arguments)

    def begin(self, key: Any, step: Callable[[], Any]) -> Any:
        """Take the first step of a new program, and remember how long it took if it is the very first of its kind."""
        self.clock.wait()
        start = time.perf_counter()
        found = step()
        self.clock.wait()
        self.first.setdefault(key, time.perf_counter() - start)
        return found

    def timed(self, key: Any, step: Callable[[], Any], seconds: float) -> dict[str, Any]:
        """Return milliseconds of a step; seconds of compilation, and what else the first calls took (recording).

        Compilation is what the very first step of this network took longer than a later one, whoever asked for it.
        """
        gc.collect()
        self.begin(key, step)
        calls, spent = warmed(step, self.clock, WARM)
        found: dict[str, Any] = dict(measured(step, self.clock, seconds))
        later = float(found["step"]) / 1000
        return {**found, "compile": max(0.0, self.first[key] - later), "record": max(0.0, spent - calls * later)}


class TinymedSteps(Steps):
    """Training steps of tinymed on one device.

    Arguments:
        backend: ``"numpy"`` or ``"cupy"``.
        tf32: Whether a GPU may round the factors of products to TF32.
    """

    def __init__(self, backend: str, tf32: bool = False) -> None:
        from tinymed.backend import set_backend
        from tinymed.precision import set_precision

        set_backend(backend)
        set_precision("tf32" if tf32 else "float32")
        super().__init__(CupyClock() if backend == "cupy" else HostClock())

    def _model(self) -> Any:
        import tinymed

        model = keras_model(tinymed, self.network)
        model.set_weights(weights_in(self.path))
        adam = tinymed.optimizers.Adam(0.001, beta_2=BETA_2, epsilon=EPSILON)
        model.compile(adam, self.network.loss, metrics=[self.network.metric] if self.network.metric else None)
        return model

    def _steps(self, size: int, recorded: bool) -> tuple[Any, Any, list[Any]]:
        """Return a fresh model, what takes its steps, and batches on the device."""
        from tinymed.backend import asarray
        from tinymed.models.capturing import training_step

        model = self._model()
        model.run_eagerly = not recorded
        model._ready()
        host = [model._take(x, y, None) for x, y in batches(self.network, DISTINCT, size)]
        data = [[[asarray(a) if a is not None else None for a in part] for part in batch] for batch in host]
        return model, training_step(model), data

    def losses(self, size: int, count: int, recorded: bool = True) -> list[float]:
        """Return the loss of each of the first steps, from the sums that training keeps."""
        from tinymed.backend import to_host

        model, take, data = self._steps(size, recorded)
        sums, turns = [(0.0, 0.0)], itertools.cycle(data)
        for number in range(count):
            batch = next(turns)
            _ = take(*batch) if number else self.begin(self.path, functools.partial(take, *batch))
            state = model._scores.loss.state
            sums.append((float(to_host(state["total"])), float(to_host(state["count"]))))
        return [(b[0] - a[0]) / (b[1] - a[1]) for a, b in itertools.pairwise(sums)]

    def measure(self, size: int, seconds: float, recorded: bool = True) -> dict[str, Any]:
        """Return milliseconds of a step and of its copies, and seconds of compilation."""
        found = self._measure(size, seconds, recorded)
        if isinstance(self.clock, CupyClock):
            self.clock.cupy.get_default_memory_pool().free_all_blocks()
        return found

    def _measure(self, size: int, seconds: float, recorded: bool) -> dict[str, Any]:
        from tinymed.backend import asarray, to_host

        model, take, data = self._steps(size, recorded)
        turns = itertools.cycle(data)

        def step() -> None:
            take(*next(turns))

        found = self.timed(self.path, step, seconds)
        found["reason"] = model.capture_reason if recorded else None
        if isinstance(self.clock, CupyClock):
            ((x, y),) = batches(self.network, 1, size)
            found["to the card"] = min(once(lambda: (asarray(x), asarray(y)), self.clock) for _ in range(5))
            found["back"] = min(once(lambda: to_host(model._scores.loss.result()), self.clock) for _ in range(5))
        return found


def tinymed_steps(backend: str, tf32: bool = False) -> TinymedSteps:
    """Return the contender."""
    return TinymedSteps(backend, tf32)


# --- PyTorch -------------------------------------------------------------------------------------------------------


class TorchSteps(Steps):
    """Training steps of PyTorch on the GPU.

    Arguments:
        torch: The library.
        compiled: Whether ``torch.compile`` turns model and loss into kernels of its own, launched as CUDA graphs.
        channels_last: The layout of images in memory.
        tf32: Whether products may be rounded to TF32.
        device: Where; tests take the processor.
    """

    def __init__(
        self, torch: Any, compiled: bool = False, channels_last: bool = False, tf32: bool = False, device: str = "cuda"
    ) -> None:
        super().__init__(TorchClock(torch) if device == "cuda" else HostClock())
        self.torch, self.compiled, self.device = torch, compiled, device
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def refuses(self, network: str) -> str | None:
        """Say what the compiler makes of recurrent networks."""
        if self.compiled and any(kind == "lstm" for kind, *_ in find(network).layers):
            return "it leaves cuDNN's LSTM as it is, and unrolls a loop over the steps for minutes"
        return None

    def _made(self, size: int) -> tuple[Any, Any, list[Any]]:
        """Return the objective (a function of a batch: loss and hits), the optimizer, and batches on the GPU."""
        torch, network = self.torch, self.network
        model = card_module(torch, network, weights_in(self.path)).to(self.device)
        if len(network.shape) == 3:
            model = model.to(memory_format=self.layout)
        functional = torch.nn.functional
        loss_of = {
            "binary_crossentropy": functional.binary_cross_entropy_with_logits,
            "mean_squared_error": functional.mse_loss,
        }.get(network.loss, functional.cross_entropy)

        def objective(x: Any, y: Any) -> tuple[Any, Any]:
            z = model(x)
            if not network.metric:
                return loss_of(z, y), None
            hits = (z > 0) == (y > 0.5) if network.classes == 2 else z.argmax(1) == y
            return loss_of(z, y), hits.float().mean()

        if self.compiled:
            objective = torch.compile(objective, mode="reduce-overhead", dynamic=False)
        learning = [p for p in model.parameters() if p.requires_grad]
        adam = torch.optim.Adam(learning, 0.001, betas=(0.9, BETA_2), eps=EPSILON, fused=True)
        data = [(self._input(x), self._target(y)) for x, y in batches(network, DISTINCT, size)]
        return objective, adam, data

    def _input(self, x: np.ndarray) -> Any:
        tensor = self.torch.from_numpy(x).to(self.device)
        return tensor.permute(0, 3, 1, 2).contiguous(memory_format=self.layout) if x.ndim == 4 else tensor

    def _target(self, y: np.ndarray) -> Any:
        return self.torch.from_numpy(_index(y, self.network)).to(self.device)

    def _step(self, objective: Any, adam: Any, sums: Any, x: Any, y: Any) -> Any:
        if self.compiled:
            self.torch.compiler.cudagraph_mark_step_begin()
        adam.zero_grad(set_to_none=True)
        loss, hits = objective(x, y)
        loss.backward()
        adam.step()
        sums[0] += loss.detach()
        if hits is not None:
            sums[1] += hits
        return loss

    def losses(self, size: int, count: int, recorded: bool = True) -> list[float]:
        """Return the loss of each of the first steps.

        PyTorch adds Adam's epsilon after its correction of the bias, Keras before; this makes up for it.
        """
        objective, adam, data = self._made(size)
        sums, found = self.torch.zeros(2, device=self.device), []
        for step, (x, y) in zip(range(1, count + 1), itertools.cycle(data), strict=False):
            adam.param_groups[0]["eps"] = EPSILON / (1 - BETA_2**step) ** 0.5
            take = functools.partial(self._step, objective, adam, sums, x, y)
            loss = take() if step > 1 else self.begin((self.path, size if self.compiled else None), take)
            found.append(loss.item())
        return found

    def measure(self, size: int, seconds: float, recorded: bool = True) -> dict[str, Any]:
        """Return milliseconds of a step and of its copies, and seconds of compilation."""
        found = self._measure(size, seconds)
        if self.device == "cuda":
            self.torch.cuda.empty_cache()
        return found

    def _measure(self, size: int, seconds: float) -> dict[str, Any]:
        objective, adam, data = self._made(size)
        sums, turns = self.torch.zeros(2, device=self.device), itertools.cycle(data)
        key = self.path, size if self.compiled else None
        found = self.timed(key, lambda: self._step(objective, adam, sums, *next(turns)), seconds)
        ((x, y),) = batches(self.network, 1, size)
        found["to the card"] = min(once(lambda: (self._input(x), self._target(y)), self.clock) for _ in range(5))
        found["back"] = min(once(lambda: sums.cpu(), self.clock) for _ in range(5))
        return found


def torch_steps(compiled: bool = False, channels_last: bool = False, tf32: bool = False) -> TorchSteps:
    """Return the contender, if PyTorch has CUDA and sees a card."""
    torch = installed("torch")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if not torch.cuda.is_available():
        raise AbsentError(f"PyTorch {torch.__version__} sees no GPU (its CUDA: {torch.version.cuda or 'none'})")
    return TorchSteps(torch, compiled, channels_last, tf32)


def card_module(torch: Any, network: Network, weights: list[np.ndarray]) -> Any:
    """Build the network in PyTorch; an LSTM with another activation than tanh as a loop over its steps."""
    kinds = [arguments for kind, *arguments in network.layers if kind == "lstm"]
    if all(activation == "tanh" for _, activation, _ in kinds):
        return torch_module(torch, network, weights)
    nn, given, modules, inputs = torch.nn, iter(weights), [], network.shape[-1]
    for kind, *arguments in network.layers:
        if kind == "lstm":
            units, activation, sequences = arguments
            modules.append(stepwise_lstm(torch, inputs, units, activation, sequences, given))
        else:
            units = arguments[0]
            layer = nn.Linear(inputs, units)
            _set(torch, (layer.weight, layer.bias), [next(given).T, next(given)])
            modules.append(layer)
        inputs = units
    return nn.Sequential(*modules)


def stepwise_lstm(torch: Any, inputs: int, units: int, activation: str, sequences: bool, given: Any) -> Any:
    """Return an LSTM of PyTorch's operations: the inputs' products at once, then a loop over the steps.

    There is no other way in PyTorch: its own LSTM, cuDNN's, has tanh alone.
    """
    squash = getattr(torch, activation)

    class Stepwise(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = torch.nn.Linear(inputs, 4 * units)
            self.recur = torch.nn.Linear(units, 4 * units, bias=False)
            kernel, recurrent, bias = (next(given) for _ in range(3))
            _set(torch, (self.project.weight, self.project.bias, self.recur.weight), [kernel.T, bias, recurrent.T])

        def forward(self, x: Any) -> Any:
            projected = self.project(x).unbind(1)
            h = c = x.new_zeros(x.shape[0], units)
            found = []
            for part in projected:
                i, f, g, o = (part + self.recur(h)).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * squash(g)
                h = o.sigmoid() * squash(c)
                found.append(h)
            return torch.stack(found, 1) if sequences else h

    return Stepwise()
