"""Watching one number of the logs: which way is better, what is the best so far, when to stop."""

from __future__ import annotations

import difflib
import math
import warnings
from typing import Any

import numpy as np

from tinymed.callbacks.base import Callback, Logs
from tinymed.progress import message

_MORE_IS_BETTER = (
    "acc", "auc", "precision", "recall", "f1", "fbeta", "score", "iou", "io_u", "dice", "sensitivity", "specificity",
    "true_positives", "true_negatives", "top_k", "psnr", "ssim", "r2", "kappa", "similarity",
)  # fmt: skip
_LESS_IS_BETTER = (
    "loss", "error", "mse", "mae", "rmse", "mape", "msle", "entropy", "false_positives", "false_negatives",
    "divergence", "hinge", "poisson", "cosh", "huber",
)  # fmt: skip


def direction_of(monitor: str, model: Any = None) -> str:
    """Return ``"max"`` or ``"min"``, whichever is better for a logged number, by its metric or its name.

    Raises:
        ValueError: If neither tells.
    """
    name = monitor.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return "min"
    for metric in getattr(model, "metrics", None) or []:
        if getattr(metric, "name", None) == name and getattr(metric, "direction", None):
            return "max" if metric.direction == "up" else "min"
    words = name.lower()
    if any(word in words for word in _LESS_IS_BETTER):
        return "min"
    if any(word in words for word in _MORE_IS_BETTER):
        return "max"
    raise ValueError(f"it is not known whether more or less of {monitor!r} is better; give mode='max' or mode='min'")


class MonitorCallback(Callback):
    """Base of the callbacks that compare a number of the logs with its best value.

    Arguments:
        monitor: Name in the logs.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to tell by the metric.
        baseline: The first best value, or None.
        min_delta: Less improvement than this does not count.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__} takes mode='auto', 'min' or 'max', got {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best: float | None = baseline
        self._warned = False
        if mode == "auto" and monitor.removeprefix("val_") == "loss":
            self._sign = -1.0
        else:
            self._sign = {"min": -1.0, "max": 1.0}.get(mode, 0.0)

    def set_model(self, model: Any) -> None:
        """Learn whether more or less of the number is better."""
        super().set_model(model)
        self._warned = False
        if not self._sign:
            self._sign = 1.0 if direction_of(self.monitor, model) == "max" else -1.0

    def improves(self, value: float, reference: float | None) -> bool:
        """Tell whether ``value`` is better than ``reference`` by more than ``min_delta``; NaN never is."""
        if math.isnan(value):
            return False
        if reference is None:
            return True
        return self._sign * (value - self._sign * self.min_delta) > self._sign * reference  # rounded as Keras rounds

    def value(self, logs: Logs | None) -> float | None:
        """Return the number from the logs; warn once, and return None, if it is not there."""
        logs = logs or {}
        found = logs.get(self.monitor)
        if found is not None and not isinstance(found, list | tuple):
            return float(found)
        if not self._warned and not self._will_come(logs):
            self._warned = True
            warnings.warn(f"{type(self).__name__} does nothing: {self._reason(logs, found)}", UserWarning, stacklevel=2)
        return None

    def _will_come(self, logs: Logs) -> bool:
        """Tell whether the name has been recorded before: some epochs may have no validation."""
        history = getattr(getattr(self.model, "history", None), "history", None)
        return isinstance(history, dict) and self.monitor in history

    def _reason(self, logs: Logs, found: Any) -> str:
        if found is not None:
            return f"{self.monitor!r} is a list of {len(found)} numbers, and one number is needed"
        near = difflib.get_close_matches(self.monitor, list(logs), n=1)
        has_validation = any(key.startswith("val_") for key in logs)
        if self.monitor.startswith("val_") and not has_validation:
            advice = "; there is no validation: give fit validation_data or validation_split"
        else:
            advice = f"; did you mean {near[0]!r}?" if near else ""
        return f"the logs have no {self.monitor!r}, only {', '.join(map(repr, logs)) or 'nothing'}{advice}"


class EarlyStopping(MonitorCallback):
    """Stops training when a number has not improved for some epochs.

    Arguments:
        monitor: Name in the logs.
        min_delta: Less improvement than this does not count.
        patience: Epochs without improvement after which training stops.
        verbose: 1 to say so.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to tell by the metric.
        baseline: Training also stops if it has not become better than this.
        restore_best_weights: Whether the model gets the weights of its best epoch back.
        start_from_epoch: Epochs (from 0) before this one are not looked at.

    After training ``stopped_epoch`` and ``best_epoch`` (from 0) and ``best`` can be read.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, None, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start again."""
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best = None
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch."""
        current = self.value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.improves(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Give the best weights back, if that is wanted."""
        if self.stopped_epoch > 0 and self.verbose:
            message(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                message(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
