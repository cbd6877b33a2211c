r"""What ``fit``, ``evaluate`` and ``predict`` show while they run.

On a terminal each epoch has a bar with its steps, losses and metrics, the time of a step and the time left, and
ends as a line; where the output is no terminal (a file, a notebook, a continuous-integration log) there is only the
line:

>>> import io
>>> out = io.StringIO()
>>> progress = Progress(verbose=2, epochs=3, steps=1, stream=out)
>>> progress.epoch_begin(0)
>>> progress.epoch_end({"loss": 0.25})
>>> out.getvalue().startswith("Epoch 1/3 - ") and out.getvalue().endswith(" - loss: 0.2500\n")
True
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Logs = Mapping[str, Any]

REDRAWS_PER_SECOND = 20
"""Reading a loss off a GPU makes the processor wait, so that it is done only when the bar is drawn again."""


class Progress:
    """The progress of ``epochs`` epochs of ``steps`` steps.

    Arguments:
        verbose: 0 for silence; 1 or ``"auto"`` for a bar where the output is a terminal and else a line for each
            epoch; 2 for a line for each epoch.
        epochs: Number of epochs; None where there are no epochs (``evaluate`` and ``predict``).
        steps: Number of steps of an epoch.
        stream: Where to; standard output if omitted.
    """

    def __init__(self, verbose: Any, epochs: int | None, steps: int, stream: TextIO | None = None) -> None:
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose is 0 (silent), 1 (bar), 2 (a line for each epoch) or 'auto', got {verbose!r}")
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = epochs
        self.steps = steps
        self.stream = sys.stdout if stream is None else stream
        self.uses_bar = self.verbose == 1 and self.stream is not None and _is_terminal(self.stream)
        self._heading = ""
        self._bar: Any = None
        self._done = 0
        self._start = self._first = self._last = self._drawn = 0.0

    def epoch_begin(self, epoch: int) -> None:
        """Start an epoch (from 0)."""
        self.close()
        self._heading = "" if self.epochs is None else f"Epoch {epoch + 1}/{self.epochs}"
        self._done = 0
        self._start = self._first = self._last = time.perf_counter()
        self._drawn = -1.0
        if self.uses_bar:
            self._bar = _bar(self._heading, self.steps, self.stream)

    def step(self, step: int, logs: Callable[[], Logs]) -> None:
        """Note that ``step`` steps are done.

        Arguments:
            step: Number of steps done, from 1.
            logs: Returns the losses and metrics; called only if the bar is drawn again.
        """
        now = self._last = time.perf_counter()
        self._done = step
        if step == 1:
            self._first = now
        if self._bar is None or (now - self._drawn < 1 / REDRAWS_PER_SECOND and step < self.steps):
            return
        self._bar.n = step
        self._bar.pace = _pace(self._seconds_per_step())
        self._bar.left = _clock(self._seconds_per_step() * (self.steps - step))
        self._bar.values = _values(logs())
        self._bar.refresh()
        self._drawn = time.perf_counter()

    def _seconds_per_step(self) -> float:
        """Return the mean time of a step; the first, which may compile kernels, only counts if it is the only one."""
        if self._done > 1:
            return (self._last - self._first) / (self._done - 1)
        return self._last - self._start

    def epoch_end(self, logs: Logs) -> None:
        """End an epoch with its line: time, time of a step, losses and metrics."""
        seconds = time.perf_counter() - self._start
        self._remove_bar()
        if not self.verbose or self.stream is None:
            return
        parts = [self._heading or f"{self._done}/{self.steps} steps", f"{seconds:.1f}s"]
        if self._done:
            parts.append(f"{_pace(self._seconds_per_step())}/step")
        print(" - ".join(parts) + _values(logs), file=self.stream, flush=True)

    def close(self) -> None:
        """Leave the terminal tidy, after an epoch or in the middle of one."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.close()

    def _remove_bar(self) -> None:
        if self._bar is not None:
            self._bar.leave = False
            self.close()


def message(text: str) -> None:
    """Print a line to standard output, above a bar if one is shown."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(text, flush=True)
    else:
        tqdm.tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()


def _bar(heading: str, steps: int, stream: TextIO) -> Any:
    """Make a tqdm bar whose times and values are filled in by :class:`Progress`."""
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no thread: the bar is drawn by the steps alone
        pace = "?"
        left = "?"
        values = ""

        @property
        def format_dict(self) -> dict[str, Any]:
            return {**super().format_dict, "pace": self.pace, "left": self.left, "values": self.values}

    heading = f"{heading} " if heading else ""
    return Bar(
        total=steps,
        file=stream,
        dynamic_ncols=True,
        mininterval=0,
        bar_format=heading + "{bar:20} {n_fmt}/{total_fmt} - {pace}/step - {left} left{values}",
    )


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # replaced or closed
        return False


def _pace(seconds: float) -> str:
    """Write the time of a step: ``14ms``.

    >>> _pace(2.5), _pace(0.0144), _pace(0.00035)
    ('2.50s', '14ms', '350us')
    """
    if seconds >= 1:
        return f"{seconds:.2f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _clock(seconds: float) -> str:
    """Write a duration: ``0:09``, ``1:02:03``.

    >>> _clock(8.7), _clock(3723)
    ('0:09', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _values(logs: Logs) -> str:
    """Write losses and metrics as they follow the time.

    >>> _values({"loss": 0.31207, "f1_score": [0.5, 1.0], "learning_rate": 1e-4})
    ' - loss: 0.3121 - f1_score: [0.5000, 1.0000] - learning_rate: 1.0000e-04'
    """
    return "".join(f" - {name}: {_number(value)}" for name, value in logs.items())


def _number(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_number, value))}]"
    value = float(value)
    return f"{value:.4f}" if value == 0 or abs(value) > 1e-3 else f"{value:.4e}"
