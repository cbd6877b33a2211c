"""Training, evaluation and prediction, with Keras's words: fit, evaluate, predict."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymed import backend
from tinymed.models import data as batching
from tinymed.models.capturing import training_step
from tinymed.models.stepping import Stepper

if TYPE_CHECKING:
    from tinymed.callbacks import History


class Trainer(Stepper):
    """The part of a :class:`Model` that runs through data."""

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
            verbose: 0 silent, 1 a bar, 2 a line for each epoch (and, on a GPU, why steps could not be recorded, if they
                could not: ``capture_reason``), ``"auto"`` a bar on a terminal.
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
        take_step = training_step(self, tells=progress.verbose > 1)
        try:
            for epoch in range(initial_epoch, epochs):
                hooks.on_epoch_begin(epoch)
                progress.epoch_begin(epoch)
                scores.reset()
                take_step.changed()
                for step, batch in enumerate(self._batches(train, batch_size, generator)):
                    if step == steps:
                        break
                    hooks.on_train_batch_begin(step)
                    take_step(*batch)
                    hooks.on_train_batch_end(step, scores.logs)
                    progress.step(step + 1, scores.logs)
                    if hooks.looks_at_batches:
                        take_step.changed()
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
        return hooks.history  # type: ignore[return-value]  # CallbackList adds one where there is none

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
        progress = Progress(verbose, None, steps)
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
        progress = Progress(verbose, None, steps)
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
        batching.check_lengths({"x": xs})
        y = self.forward(self._packed([backend.asarray(value) for value in xs]), training=False)[0]
        found = [np.array(backend.to_host(value)) for value in (y if self.gives_list else [y])]
        return found if self.gives_list else found[0]

    def sanity_check(self, x: Any, y: Any) -> Any:
        """Check before training that this model can learn from these data; print one card and return it.

        The loss at the start is that of guessing, twenty samples can be learnt by heart, the gradients are right,
        and the updates are neither negligible nor wild. The model itself is not changed.
        """
        from tinymed.gradcheck.sanity import sanity_check

        return sanity_check(self, x, y)


def _batch_size(given: int | None) -> int:
    if given is None:
        return 32
    if int(given) != given or given < 1:
        raise ValueError(f"batch_size must be a positive whole number, got {given!r}")
    return int(given)


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
