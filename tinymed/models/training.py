"""Training, evaluation and prediction, with Keras's words: compile, fit, evaluate, predict."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend, optimizers
from tinymed.backend import Array
from tinymed.configurable import check_arguments
from tinymed.models import data as batching
from tinymed.models.objective import Objective
from tinymed.models.scores import Scores

if TYPE_CHECKING:
    from tinymed.callbacks import History
    from tinymed.layers.symbolic import SymbolicTensor

_IGNORED = ("run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss")


class Trainer:
    """The part of a :class:`Model` that trains it."""

    optimizer: optimizers.Optimizer | None = None
    stop_training: bool = False
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
        **ignored: Any,
    ) -> None:
        """Choose how to train.

        Arguments:
            optimizer: Name or object.
            loss: Name, function or object; a list or dict of them for several outputs.
            loss_weights: Factor of each output's loss.
            metrics: List of names or objects; ``"accuracy"`` fits itself to the targets.
            weighted_metrics: Metrics that take sample weights into account.
            **ignored: Keras's ``run_eagerly``, ``jit_compile``, ``steps_per_execution``, ``auto_scale_loss``: accepted,
                without effect here.

        Raises:
            ValueError: For an unknown name; the message gives the nearest valid one.
        """
        unknown = {key: value for key, value in ignored.items() if key not in _IGNORED}
        check_arguments("compile", unknown, ["optimizer", "loss", "loss_weights", "metrics", "weighted_metrics"])
        self.optimizer = optimizers.get(optimizer)
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
        loss, parts, caches = objective.forward(ys, outputs, weights)
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
        outputs, _ = self.forward(self._packed(xs), training=False, logits=objective.fused)
        outputs = outputs if self.gives_list else [outputs]
        loss, parts, _ = objective.forward(ys, outputs, weights)
        penalty, _ = self.penalty()
        loss = loss if penalty is None else loss + penalty
        scores.update(loss, parts, ys, objective.predictions(outputs), weights)

    def _packed(self, xs: Sequence[Array]) -> Any:
        return list(xs) if self.takes_list else xs[0]

    # --- fit ---------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for a number of passes over the data.

        Arguments:
            x: Inputs (N, ...); a list or dict of arrays for several inputs.
            y: Targets with N rows; a list or dict for several outputs.
            batch_size: Samples in each step, 32 if omitted.
            epochs: Epoch at which to stop (counted from 0, so the number of passes if ``initial_epoch`` is 0).
            verbose: 0 silent, 1 a bar, 2 a line for each epoch, ``"auto"`` a bar on a terminal.
            callbacks: List of callbacks.
            validation_split: Share of the samples, from the end, to validate on.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to validate on.
            shuffle: Whether each epoch runs through the samples in a new random order.
            class_weight: Dict from class number to weight.
            sample_weight: Weight of each sample.
            initial_epoch: Number of the first epoch, to go on where another ``fit`` stopped.
            steps_per_epoch: End each epoch after so many batches.
            validation_batch_size: As ``batch_size``, for validation.
            validation_freq: Validate every so many epochs.

        Returns:
            The History; its ``.history`` dict has a list for each loss and metric.

        Raises:
            ValueError: For data that the model cannot use, before any training.
        """
        from tinymed.callbacks import CallbackList
        from tinymed.progress import Progress

        batch_size = _batch_size(batch_size)
        train = self._take(x, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            validation = self._take(*_unpacked(validation_data))
        elif validation_split:
            train, validation = self._split(train, validation_split)
        _, scores = self._ready()
        length = train[0][0].shape[0]  # type: ignore[union-attr]
        steps = min(math.ceil(length / batch_size), steps_per_epoch or length)
        hooks = CallbackList(callbacks, model=self, epochs=epochs, steps=steps, verbose=verbose)
        progress = Progress(verbose, epochs, steps)
        generator = backend.new_generator() if shuffle else None
        self.stop_training = False
        hooks.on_train_begin()
        try:
            for epoch in range(initial_epoch, epochs):
                hooks.on_epoch_begin(epoch)
                progress.epoch_begin(epoch)
                scores.reset()
                for step, batch in enumerate(self._batches(train, batch_size, generator)):
                    if step == steps:
                        break
                    hooks.on_train_batch_begin(step)
                    self.train_step(*batch)
                    hooks.on_train_batch_end(step, scores.logs)
                    progress.step(step + 1, scores.logs)
                    if self.stop_training:
                        break
                logs = scores.logs()
                if validation is not None and (epoch + 1) % validation_freq == 0:
                    seen = self._test(validation, _batch_size(validation_batch_size or batch_size), hooks)
                    logs.update({f"val_{key}": value for key, value in seen.items()})
                hooks.on_epoch_end(epoch, logs)
                progress.epoch_end(logs)
                _warn_if_not_finite(logs, epoch)
                if self.stop_training:
                    break
        finally:
            progress.close()
        hooks.on_train_end()
        return hooks.history

    def _split(self, train: list[list], fraction: float) -> tuple[list[list], list[list]]:
        sizes = [len(part) for part in train]
        head, tail = batching.split_tail([item for part in train for item in part], fraction)
        return _regroup(head, sizes), _regroup(tail, sizes)

    def _batches(self, parts: list[list], batch_size: int, generator: Any = None) -> Iterable[list[list]]:
        sizes = [len(part) for part in parts]
        flat = [item for part in parts for item in part]
        for batch in batching.batches(flat, batch_size, generator):
            yield _regroup(batch, sizes)

    # --- evaluate and predict ----------------------------------------------------------------------------------

    def _test(self, parts: list[list], batch_size: int, hooks: Any = None, progress: Any = None) -> dict[str, Any]:
        _, scores = self._ready()
        scores.reset()
        if hooks:
            hooks.on_test_begin()
        for step, batch in enumerate(self._batches(parts, batch_size)):
            if hooks:
                hooks.on_test_batch_begin(step)
            self.test_step(*batch)
            if hooks:
                hooks.on_test_batch_end(step, scores.logs)
            if progress:
                progress.step(step + 1, scores.logs)
        logs = scores.logs()
        if hooks:
            hooks.on_test_end(logs)
        return logs

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or ``[loss, metric, ...]``, or all of them as a dict, on these data."""
        from tinymed.callbacks import CallbackList
        from tinymed.progress import Progress

        batch_size = _batch_size(batch_size)
        parts = self._take(x, y, sample_weight)
        steps = math.ceil(parts[0][0].shape[0] / batch_size)  # type: ignore[union-attr]
        progress = Progress(verbose, 1, steps)
        hooks = CallbackList(callbacks, model=self, epochs=1, steps=steps, verbose=verbose)
        try:
            progress.epoch_begin(0)
            logs = self._test(parts, batch_size, hooks, progress)
            progress.epoch_end(logs)
        finally:
            progress.close()
        return logs if return_dict else _as_result(logs)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", callbacks: Any = None) -> Any:
        """Return the outputs for ``x`` as NumPy arrays (a list of them for several outputs).

        Arguments:
            x: Inputs (N, ...).
            batch_size: Samples computed at a time, 32 if omitted; the result does not depend on it.
            verbose: As in ``fit``.
            callbacks: Callbacks with ``on_predict_...`` methods.
        """
        from tinymed.callbacks import CallbackList
        from tinymed.progress import Progress

        batch_size = _batch_size(batch_size)
        xs = self._take_x(x)
        steps = math.ceil(batching.check_lengths({"x": xs}) / batch_size)
        progress = Progress(verbose, 1, steps)
        hooks = CallbackList(callbacks, model=self, epochs=1, steps=steps, verbose=verbose)
        hooks.on_predict_begin()
        found: list[list[np.ndarray]] = [[] for _ in self.outputs]
        try:
            progress.epoch_begin(0)
            for step, batch in enumerate(batching.batches(xs, batch_size)):
                hooks.on_predict_batch_begin(step)
                y = self.forward(self._packed(batch), training=False)[0]
                for store, value in zip(found, y if self.gives_list else [y], strict=True):
                    store.append(backend.to_host(value))
                hooks.on_predict_batch_end(step, None)
                progress.step(step + 1, dict)
            progress.epoch_end({})
        finally:
            progress.close()
        hooks.on_predict_end()
        joined = [np.concatenate(store) for store in found]
        return joined if self.gives_list else joined[0]

    # --- single batches ----------------------------------------------------------------------------------------

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Take one training step on this batch; return its loss and metrics as ``evaluate`` does."""
        return self._on_batch(self.train_step, self._take(x, y, sample_weight, class_weight), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Return the loss and metrics of this batch; change nothing."""
        return self._on_batch(self.test_step, self._take(x, y, sample_weight), return_dict)

    def _on_batch(self, step: Any, parts: list[list], return_dict: bool) -> Any:
        _, scores = self._ready()
        scores.reset()
        for batch in self._batches(parts, parts[0][0].shape[0]):
            step(*batch)
        logs = scores.logs()
        return logs if return_dict else _as_result(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch as NumPy arrays."""
        xs = self._take_x(x)
        return self.predict(x, batch_size=int(xs[0].shape[0]), verbose=0)

    def sanity_check(self, x: Any, y: Any) -> Any:
        """Check before training that this model can learn from these data; print one card and return it.

        The loss at the start is that of guessing, twenty samples can be learnt by heart, the gradients are right,
        and the updates are neither negligible nor wild. The model itself is not changed.
        """
        from tinymed.gradcheck.sanity import sanity_check

        return sanity_check(self, x, y)


def _check_names(loss: Any, *metric_lists: Any) -> None:
    """Report unknown names at once, although the outputs they belong to do not exist yet."""
    from tinymed import losses, metrics

    for item in loss if isinstance(loss, list | tuple) else [] if loss is None or isinstance(loss, dict) else [loss]:
        losses.get(item)
    for item in (m for given in metric_lists if isinstance(given, list | tuple) for m in given):
        if isinstance(item, str) and item not in ("accuracy", "acc", "crossentropy", "ce"):
            metrics.get(item)


def _batch_size(given: int | None) -> int:
    if given is None:
        return 32
    if int(given) != given or given < 1:
        raise ValueError(f"batch_size must be a positive whole number, got {given!r}")
    return int(given)


def _narrowed(x: Array, dtype: str) -> Array:
    """Turn host data of another floating type into the input's type once, not once for each batch."""
    if backend.is_host(x) and x.dtype.kind == "f" and x.dtype.name != dtype:
        return x.astype(dtype)
    return x


def _unpacked(validation_data: Any) -> tuple[Any, Any, Any]:
    if not isinstance(validation_data, list | tuple) or len(validation_data) not in (2, 3):
        raise ValueError("validation_data must be a tuple (x, y) or (x, y, sample_weight)")
    return (*validation_data, None)[:3]


def _regroup(flat: list, sizes: Sequence[int]) -> list[list]:
    ends = np.cumsum(sizes).tolist()
    return [flat[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _as_result(logs: dict[str, Any]) -> Any:
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _warn_if_not_finite(logs: dict[str, Any], epoch: int) -> None:
    loss = logs.get("loss")
    if isinstance(loss, float) and not math.isfinite(loss):
        warnings.warn(
            f"the loss became {loss} in epoch {epoch + 1}: lower the learning rate or clip gradients (clipnorm=1.0); "
            "callbacks.TerminateOnNaN() stops at once, and tinymed.debug() names the layer where it began",
            RuntimeWarning,
            stacklevel=3,
        )
