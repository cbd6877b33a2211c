"""Records of training: in memory, and as a table on disk."""

from __future__ import annotations

import csv
import io
import math
import os
import pathlib
import warnings
from typing import Any

from tinymed import files
from tinymed.callbacks.base import Callback, Logs


class History(Callback):
    """What ``fit`` returns: the losses and metrics of every epoch.

    ``history.history`` is a dict with a list for each name (``"loss"``, ``"val_loss"``, ...), ``history.epoch`` the
    list of epochs, from 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._rows: list[Logs] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start again."""
        self.history = {}
        self.epoch = []
        self._rows = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note an epoch."""
        self.epoch.append(epoch)
        self._rows.append(dict(logs or {}))
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)

    def series(self, key: str) -> tuple[list[int], list[Any]]:
        """Return the epochs (from 0) at which ``key`` was recorded, and its values there."""
        found = [(epoch, row[key]) for epoch, row in zip(self.epoch, self._rows, strict=True) if key in row]
        return [epoch for epoch, _ in found], [value for _, value in found]

    def plot(self, path: files.PathLike | None = None) -> Any:
        """Return a matplotlib figure of the learning curves, saved at ``path`` if one is given."""
        from tinymed import plots

        return plots.learning_curves(self, path=path)

    def to_csv(self, path: files.PathLike, separator: str = ",") -> None:
        """Write a table with a row for each epoch, in one piece."""
        columns = ["epoch", *self.history]
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator="\n")
        writer.writerow(columns)
        for epoch, row in zip(self.epoch, self._rows, strict=True):
            writer.writerow([epoch, *(_cell(row.get(key)) for key in columns[1:])])
        files.write_text(path, text.getvalue())

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history) or 'nothing recorded'}>"


class CSVLogger(Callback):
    """Writes a table with a row for each epoch, as soon as the epoch is finished: a crash keeps finished rows.

    An old file of that name stays until the first epoch is finished. Where a value is missing (an epoch without
    validation) the cell holds ``NA``.

    Arguments:
        filename: Where to write.
        separator: Between the cells.
        append: Whether to continue a table that exists.
    """

    def __init__(self, filename: files.PathLike, separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger needs one character as separator, got {separator!r}")
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Read the columns of the table to continue, if there is one."""
        self._columns = []
        if self.append:
            self._columns, rows = self._old_rows()
            if self._columns:
                self._rewrite(rows)  # with a line end after the last row, which a crash may have cut short

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add a row and see that it reaches the disk."""
        row = {"epoch": epoch, **(logs or {})}
        new = [key for key in row if key not in self._columns]
        if new:
            old = self._old_rows()[1] if self._columns else []
            self._columns += new
            self._rewrite([*old, row])
            return
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            file.write(self._line(row))
            file.flush()
            os.fsync(file.fileno())

    def _line(self, row: Logs) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="\n").writerow(
            [_cell(row.get(key)) for key in self._columns]
        )
        return text.getvalue()

    def _rewrite(self, rows: list[Logs]) -> None:
        header = dict(zip(self._columns, self._columns, strict=True))
        files.write_text(self.filename, "".join(self._line(row) for row in (header, *rows)))

    def _old_rows(self) -> tuple[list[str], list[Logs]]:
        """Read columns and rows of the file, but for a last row that a crash cut short."""
        if not pathlib.Path(self.filename).is_file():
            return [], []
        text = pathlib.Path(self.filename).read_text("utf-8")
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=self.separator))
        if not table:
            return [], []
        columns = table[0]
        if columns[:1] != ["epoch"]:
            raise ValueError(
                f"CSVLogger cannot continue {self.filename}: its first column is {columns[0]!r} instead of 'epoch'; "
                "give the separator it was written with, or append=False"
            )
        rows = [cells for cells in table[1:] if len(cells) == len(columns)]
        return columns, [dict(zip(columns, cells, strict=True)) for cells in rows]


def _cell(value: Any) -> Any:
    if value is None:
        return "NA"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else value


class TerminateOnNaN(Callback):
    """Stops training at the first batch after which the loss is NaN or infinite, and says which batch it was.

    It reads the loss after every batch, which on a GPU costs a little time.

    Arguments:
        raise_error: Whether to raise a RuntimeError instead of stopping quietly with a warning.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        steps = self.params.get("steps")
        where = f"epoch {self._epoch + 1}, batch {batch + 1}" + (f" of {steps}" if steps else "")
        message = (
            f"the loss is {loss} after {where}: training stops; likely reasons are a learning rate that is too "
            "high, or NaN in the data"
        )
        if self.raise_error:
            raise RuntimeError(message)
        self.model.stop_training = True
        warnings.warn(message, RuntimeWarning, stacklevel=2)
