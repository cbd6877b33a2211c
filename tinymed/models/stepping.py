"""One step of training, and what must be chosen and checked before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import optimizers
from tinymed.backend import Array
from tinymed.configurable import check_arguments
from tinymed.models import data as batching
from tinymed.models.objective import Objective
from tinymed.models.scores import Scores

if TYPE_CHECKING:
    from tinymed.layers.symbolic import SymbolicTensor

_IGNORED = ("jit_compile", "steps_per_execution", "auto_scale_loss")


class Stepper:
    """The part of a :class:`Model` that takes one step: compile, check the data, forward, loss, backward, update."""

    optimizer: optimizers.Optimizer | None = None
    stop_training: bool = False
    run_eagerly: bool = False
    capture_reason: str | None = None
    metadata: dict[str, str]
    _objective: Objective | None = None
    _scores: Scores | None = None
    _compiled: dict[str, Any] | None = None

    if TYPE_CHECKING:  # what Model provides
        name: str
        inputs: list[SymbolicTensor]
        outputs: list[SymbolicTensor]
        built: bool
        takes_list: bool
        gives_list: bool
        params: dict[str, Array]
        regularizers: dict[str, Any]

        def forward(self, x: Any, training: bool = False, logits: Any = False) -> tuple[Any, Any]: ...  # noqa: D102
        def backward(self, dy: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, dict]: ...  # noqa: D102
        def build_once(self, input_shape: Any) -> None: ...  # noqa: D102
        def check_shape(self, shape: Any) -> None: ...  # noqa: D102

    # --- preparation -------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        **ignored: Any,
    ) -> None:
        """Choose how to train.

        Arguments:
            optimizer: Name or object.
            loss: Name, function or object; a list or dict of them for several outputs.
            loss_weights: Factor of each output's loss.
            metrics: List of names or objects; ``"accuracy"`` fits itself to the targets.
            weighted_metrics: Metrics that take sample weights into account.
            run_eagerly: Whether ``fit`` launches every step anew on a GPU, instead of recording one and replaying it.
            **ignored: Keras's ``jit_compile``, ``steps_per_execution``, ``auto_scale_loss``: accepted, without effect.

        Raises:
            ValueError: For an unknown name; the message gives the nearest valid one.
        """
        unknown = {key: value for key, value in ignored.items() if key not in _IGNORED}
        known = ["optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly"]
        check_arguments("compile", unknown, known)
        self.optimizer = optimizers.get(optimizer)
        self.run_eagerly = bool(run_eagerly)
        self._compiled = {
            "loss": loss, "loss_weights": loss_weights, "metrics": metrics, "weighted_metrics": weighted_metrics
        }  # fmt: skip
        self._objective = self._scores = None
        if self.built:
            self._finish_compiling()
        else:
            _check_names(loss, metrics, weighted_metrics)

    def _finish_compiling(self) -> None:
        """Bind the losses and metrics to the outputs, which exist once the model is wired."""
        if self._compiled is None:
            raise ValueError(f"{self.name} is not compiled; call compile(optimizer=..., loss=...) before training")
        if self._objective is None and self._compiled["loss"] is not None:
            self._objective = Objective(self, self._compiled["loss"], self._compiled["loss_weights"])
        if self._scores is None:
            self._scores = Scores(self.output_names, self._compiled["metrics"], self._compiled["weighted_metrics"])

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, by which ``x`` may be given as a dict."""
        return [tensor.producer.layer.name if tensor.producer else "" for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: those of the layers that make them."""
        names = [tensor.producer.layer.name if tensor.producer else "" for tensor in self.outputs]
        return [name if names.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(names)]

    def _ready(self) -> tuple[Objective, Scores]:
        self._finish_compiling()
        if self._objective is None or self._scores is None:
            raise ValueError(f"{self.name} was compiled without a loss; call compile(loss=...) to train or evaluate")
        return self._objective, self._scores

    def _take_x(self, x: Any) -> list[Array]:
        """Check the inputs against the model, wiring it first if these are its first data."""
        if not self.inputs:
            (array,) = batching.as_arrays(x, ["x"], "x", nested=False)
            self.build_once(tuple(array.shape))
        xs = batching.as_arrays(x, self.input_names, "x", nested=self.takes_list)
        self.check_shape([tuple(v.shape) for v in xs] if self.takes_list else tuple(xs[0].shape))
        return [_narrowed(v, tensor.dtype) for v, tensor in zip(xs, self.inputs, strict=True)]

    def _take(self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> list[list[Array | None]]:
        """Check inputs, targets and weights; everything that can be wrong with them is reported here."""
        xs = self._take_x(x)
        objective, _ = self._ready()
        if y is None:
            raise ValueError(f"{self.name} needs targets: pass y")
        ys = batching.as_arrays(y, self.output_names, "y", nested=self.gives_list)
        given = [None] if sample_weight is None else [sample_weight]
        if isinstance(sample_weight, list | tuple | dict) and len(self.outputs) > 1:
            given = batching.as_arrays(sample_weight, self.output_names, "sample_weight", nested=True)
        elif sample_weight is not None:
            given = batching.as_arrays(sample_weight, ["sample_weight"], "sample_weight", nested=False)
        weights = given if len(given) == len(ys) else given * len(ys)
        batching.check_lengths({"x": xs, "y": ys, "sample_weight": [w for w in weights if w is not None]})
        objective.check_targets(ys, [tuple(tensor.shape) for tensor in self.outputs])
        if class_weight is not None:
            if len(ys) > 1:
                raise ValueError("class_weight needs a model with one output; use sample_weight for several")
            per_class = batching.class_weights(ys[0], class_weight)
            weights = [per_class if weights[0] is None else per_class * np.asarray(weights[0]).reshape(-1)]
        return [xs, ys, weights]

    # --- one step ----------------------------------------------------------------------------------------------

    def penalty(self) -> tuple[Array | None, dict[str, Array]]:
        """Return the sum of the regularizers' penalties (None without any) and their gradients."""
        total, grads, params = None, {}, self.params
        for path, regularizer in self.regularizers.items():
            value, cache = regularizer.forward(params[path])
            total = value if total is None else total + value
            grads[path] = regularizer.backward(cache)
        return total, grads

    def train_step(self, xs: Sequence[Array], ys: Sequence[Array], weights: Sequence[Array | None]) -> None:
        """Take one step on one batch: forward, loss, backward, update. Nothing is copied to the host."""
        objective, scores = self._ready()
        outputs, tape = self.forward(self._packed(xs), training=True, logits=objective.fused)
        outputs = outputs if self.gives_list else [outputs]
        loss, parts, caches = objective.forward(ys, outputs, weights, tape.masks)
        dys = objective.backward(caches)
        _, grads = self.backward(dys if self.gives_list else dys[0], tape, input_gradient=False)
        penalty, penalty_grads = self.penalty()
        if penalty is not None:
            loss = loss + penalty
            grads = {key: g + penalty_grads[key] if key in penalty_grads else g for key, g in grads.items()}
        params = self.params
        self.optimizer.update({key: params[key] for key in grads}, grads)  # type: ignore[union-attr]
        scores.update(loss, parts, ys, objective.predictions(outputs), weights)

    def test_step(self, xs: Sequence[Array], ys: Sequence[Array], weights: Sequence[Array | None]) -> None:
        """Take the losses and metrics of one batch in; change nothing."""
        objective, scores = self._ready()
        outputs, tape = self.forward(self._packed(xs), training=False, logits=objective.fused)
        outputs = outputs if self.gives_list else [outputs]
        loss, parts, _ = objective.forward(ys, outputs, weights, tape.masks)
        penalty, _ = self.penalty()
        loss = loss if penalty is None else loss + penalty
        scores.update(loss, parts, ys, objective.predictions(outputs), weights)

    def _packed(self, xs: Sequence[Array]) -> Any:
        return list(xs) if self.takes_list else xs[0]


def _check_names(loss: Any, *metric_lists: Any) -> None:
    """Report unknown names at once, although the outputs they belong to do not exist yet."""
    from tinymed import losses, metrics

    for item in loss if isinstance(loss, list | tuple) else [] if loss is None or isinstance(loss, dict) else [loss]:
        losses.get(item)
    for item in (m for given in metric_lists if isinstance(given, list | tuple) for m in given):
        if isinstance(item, str) and item not in ("accuracy", "acc"):
            metrics.get(item)


def _narrowed(x: Array, dtype: str) -> Array:
    """Turn host data of another floating type into the input's type once, not once for each batch."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.dtype.name != dtype:
        return x.astype(dtype)
    return x
