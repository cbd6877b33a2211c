"""Changing the learning rate while the model is trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed.callbacks.base import Callback, Logs, takes_two
from tinymed.callbacks.monitor import MonitorCallback
from tinymed.progress import message


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a number has not improved for some epochs.

    Arguments:
        monitor: Name in the logs.
        factor: What the learning rate is multiplied by, below 1.
        patience: Epochs without improvement before that.
        verbose: 1 to say so.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to tell by the metric.
        min_delta: Less improvement than this does not count.
        cooldown: Epochs after a reduction in which nothing is counted.
        min_lr: The learning rate does not go below this.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 0.0001,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, None, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau needs a factor between 0 and 1, got {factor!r}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start again."""
        learning_rate_of(self.model, type(self).__name__)
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best value; note the learning rate in the logs."""
        rate = learning_rate_of(self.model, type(self).__name__)
        current = self.value(logs)
        if logs is not None:
            logs["learning_rate"] = rate
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best = current
            self.wait = 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                new = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = new
                if self.verbose:
                    message(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new:g}.")
                self.cooldown_counter = self.cooldown
                self.wait = 0


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of every epoch.

    Arguments:
        schedule: ``f(epoch, learning_rate)`` or ``f(epoch)``, which returns the new learning rate; epochs from 0.
        verbose: 1 to say so.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler needs a function of the epoch, got {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate of this epoch."""
        rate = learning_rate_of(self.model, type(self).__name__)
        new = self.schedule(epoch, rate) if takes_two(self.schedule) else self.schedule(epoch)
        if isinstance(new, bool) or not isinstance(new, float | int | np.floating) or not math.isfinite(new):
            raise ValueError(f"the schedule of LearningRateScheduler has to return a number, got {new!r}")
        self.model.optimizer.learning_rate = float(new)
        if self.verbose:
            message(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(new):g}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the learning rate in the logs."""
        if logs is not None:
            logs["learning_rate"] = learning_rate_of(self.model, type(self).__name__)


def learning_rate_of(model: Any, owner: str) -> float:
    """Return the learning rate of a model's optimizer, or say why ``owner`` cannot change it."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise ValueError(f"{owner} needs a compiled model, whose optimizer has a learning rate")
    try:
        return float(optimizer.learning_rate)
    except TypeError as error:
        raise ValueError(
            f"{owner} cannot change the learning rate: the optimizer follows "
            f"{type(optimizer.learning_rate).__name__}; give the optimizer a number, or leave {owner} out"
        ) from error
