"""Saving the model while it is trained."""

from __future__ import annotations

import difflib
import os
import string
from typing import Any

from tinymed import files
from tinymed.callbacks.base import Logs
from tinymed.callbacks.monitor import MonitorCallback
from tinymed.progress import message


class ModelCheckpoint(MonitorCallback):
    """Saves the model after epochs, all or only the best so far.

    Arguments:
        filepath: Where to; may hold ``{epoch}`` (from 1), ``{batch}`` and any name of the logs, with a format:
            ``"model-{epoch:02d}-{val_loss:.2f}"``.
        monitor: Name in the logs.
        verbose: 1 to say what is saved.
        save_best_only: Whether only an epoch that is the best so far is saved.
        save_weights_only: Only for models that have ``save_weights``.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to tell by the metric.
        save_freq: ``"epoch"``, or a number of batches.
        initial_value_threshold: Value that the first saved epoch has to improve on.
    """

    def __init__(
        self,
        filepath: files.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        if not save_best_only:
            self._sign = -1.0  # nothing is compared
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise ValueError(f"ModelCheckpoint takes save_freq='epoch' or a number of batches, got {save_freq!r}")
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._epoch = 0
        self._batches = 0
        if save_freq != "epoch":  # only then: a callback that looks at batches makes training wait for the loss
            self.__dict__["on_train_batch_end"] = self._after_batch

    def set_model(self, model: Any) -> None:
        """Note the model, and say so now if it cannot be saved as asked."""
        super().set_model(model)
        if self.save_weights_only and not hasattr(model, "save_weights"):
            raise ValueError(
                "ModelCheckpoint got save_weights_only=True, but save() writes architecture, weights and optimizer "
                "into one file; leave save_weights_only out"
            )

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start counting batches."""
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if the model is to be saved now."""
        if self.save_freq == "epoch":
            self._consider(epoch, None, logs or {})

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._consider(self._epoch, batch, logs or {})

    def _consider(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if self.save_best_only:
            current = self.value(logs)
            if current is not None:
                before = "nothing" if self.best is None else f"{self.best:.5f}"
                if not self.improves(current, self.best):
                    self._say(epoch, f"{self.monitor} did not improve from {before}")
                    return
                self._say(epoch, f"{self.monitor} improved from {before} to {current:.5f}, saving model to {path}")
                self.best = current
        else:
            self._say(epoch, f"saving model to {path}")
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _reason(self, logs: Logs, found: Any) -> str:
        return super()._reason(logs, found) + "; every epoch is saved"

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose:
            message(f"Epoch {epoch + 1}: {text}")

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        known = {**logs, "epoch": epoch + 1}
        if batch is not None:
            known["batch"] = batch + 1
        for _, name, _, _ in string.Formatter().parse(self.filepath):
            if name is not None and name not in known:
                near = difflib.get_close_matches(name, list(known), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"ModelCheckpoint cannot fill in {{{name}}} of {self.filepath!r}; "
                    f"known are {', '.join(known)}{hint}"
                )
        return self.filepath.format(**known)
