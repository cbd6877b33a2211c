"""Mistakes in what a layer does with its weights, its state and its calls."""

from __future__ import annotations

from typing import Any

from tinymed.backend import array_namespace
from tinymed.gradcheck.faults.fault import STUDENTS, Fault, layer_fault


def _stale_dense() -> Any:
    from tinymed.layers import Dense

    class StaleDense(Dense):
        def forward(self, x: Any, training: bool = False, logits: bool = False) -> tuple[Any, Any]:
            y, self.last = super().forward(x, training, logits)
            return y, None

        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            return super().backward(dy, self.last, input_gradient)

    return StaleDense(3)


def _updating_dense() -> Any:
    from tinymed.layers import Dense

    class UpdatingDense(Dense):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            self.params["kernel"][...] = self.params["kernel"] - 0.01 * grads["kernel"]
            return dx, grads

    return UpdatingDense(3)


def _squeezing_dense() -> Any:
    from tinymed.layers import Dense

    class SqueezingDense(Dense):
        def forward(self, x: Any, training: bool = False, logits: bool = False) -> tuple[Any, Any]:
            y, cache = super().forward(x, training, logits)
            return (y[0, ...] if y.shape[0] == 1 else y), cache

    return SqueezingDense(3)


def _averages_at_inference() -> Any:
    from tinymed.layers import BatchNormalization

    class MovingBatchNormalization(BatchNormalization):
        def forward(self, x: Any, training: bool = False) -> tuple[Any, Any]:
            y, cache = super().forward(x, training)
            mean = self.state["moving_mean"]
            mean[...] = 0.9 * mean + 0.1 * array_namespace(x).mean(x, axis=tuple(range(x.ndim - 1)))
            return y, cache

    return MovingBatchNormalization()


def _dropout_unscaled() -> Any:
    from tinymed.layers import Dropout

    class UnscaledDropout(Dropout):
        def forward(self, x: Any, training: bool = False) -> tuple[Any, Any]:
            y, cache = super().forward(x, training)
            return (y * (1 - self.rate) if training else y), cache

        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            return (dx if cache is None else dx * (1 - self.rate)), grads

    return UnscaledDropout(0.4, seed=3)


def _activation_forgotten() -> Any:
    from tinymed.layers import Dense

    class ForgetfulDense(Dense):
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            return super().backward(dy, (cache[0], None), input_gradient)

    return ForgetfulDense(3, activation="tanh")


def _shared_layer() -> Any:
    from tinymed.layers import Dense, Input
    from tinymed.models import Model

    class OverwritingModel(Model):
        """A model whose shared layers keep the gradient of their first use only."""

        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict[str, Any]]:
            dx, grads = super().backward(dy, cache, input_gradient)
            node, tape = self.nodes[0], cache[0]
            dys = self.nodes[1].layer.backward(dy, cache[1])[0]
            own = node.layer.backward(dys, tape)[1]
            return dx, {**grads, **{f"{node.layer.name}/{key}": value for key, value in own.items()}}

    x, shared = Input((4,), dtype="float64"), Dense(4, activation="tanh", name="shared", dtype="float64")
    return OverwritingModel(x, shared(shared(x)))


FAULTS: list[Fault] = [
    layer_fault(
        "Dropout",
        "dropout unscaled",
        "Neither forward nor backward divides by 1-p: the gradient is right, the mean is not.",
        "expectation",
        STUDENTS,
        _dropout_unscaled,
        (6, 8),
        random=True,
    ),
    layer_fault(
        "Dense",
        "stale cache",
        "The layer keeps its last input; another batch before backward spoils the gradient.",
        "reuse",
        "tinynn (self.ctx is set anew by each forward)",
        _stale_dense,
        (5, 4),
    ),
    layer_fault(
        "Dense",
        "update inside backward",
        "Backward changes the weights at once.",
        "state",
        "ML-From-Scratch",
        _updating_dense,
        (5, 4),
    ),
    layer_fault(
        "Dense",
        "batch of one squeezed",
        "A batch of one sample loses its first axis.",
        "shapes",
        STUDENTS,
        _squeezing_dense,
        (5, 4),
    ),
    layer_fault(
        "Dense",
        "activation forgotten in backward",
        "dy goes to the matrix product without the activation's slope.",
        "gradient",
        STUDENTS,
        _activation_forgotten,
        (5, 4),
    ),
    layer_fault(
        "BatchNormalization",
        "averages move at inference",
        "Looking at the model changes it.",
        "state",
        STUDENTS,
        _averages_at_inference,
        (4, 3),
        training=False,
    ),
    layer_fault(
        "Model",
        "shared layer overwrites",
        "A layer used twice keeps the gradient of one use instead of their sum.",
        "gradient",
        STUDENTS,
        _shared_layer,
        (5, 4),
    ),
]
