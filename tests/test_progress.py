import io
import re

import pytest

from tinymed import progress
from tinymed.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show(verbose, stream, epochs=2, steps=50, logs=None):
    reads = []

    def read():
        reads.append(1)
        return {"loss": 0.5, "accuracy": 0.75}

    shown = Progress(verbose, epochs, steps, stream)
    for epoch in range(epochs or 1):
        shown.epoch_begin(epoch)
        for step in range(steps):
            shown.step(step + 1, read)
        shown.epoch_end({**read(), "val_loss": 0.31207} if logs is None else logs)
    shown.close()
    return len(reads)


LINE = r"Epoch \d/2 - \d+\.\ds - \d+(\.\d+)?(us|ms|s)/step - loss: 0\.5000 - accuracy: 0\.7500 - val_loss: 0\.3121"


@pytest.mark.parametrize("verbose", [1, 2, "auto", True])
def test_a_line_for_each_epoch_where_there_is_no_terminal(verbose):
    out = io.StringIO()
    assert show(verbose, out) == 2
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert all(re.fullmatch(LINE, line) for line in lines)


def test_a_line_even_on_a_terminal_if_asked():
    out = Terminal()
    show(2, out)
    assert "\r" not in out.getvalue()


def test_silence():
    out = Terminal()
    assert show(0, out) == 2
    assert out.getvalue() == ""


def test_a_bar_on_a_terminal_that_ends_as_a_line():
    out = Terminal()
    reads = show("auto", out)
    assert reads <= 2 * 4  # fifty quick steps: drawn at the first, at the last, and seldom between
    text = out.getvalue()
    assert "Epoch 1/2 " in text
    assert re.search(r"50/50 - \d+(us|ms)/step - 0:00 left - loss: 0\.5000 - accuracy: 0\.7500", text)
    assert [bool(re.search(LINE, part)) for part in text.splitlines() if "val_loss" in part] == [True, True]


def test_the_bar_is_drawn_twenty_times_a_second_at_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    shown, reads = Progress(1, 1, 1000, Terminal()), []
    shown.epoch_begin(0)
    for step in range(999):
        now[0] += 0.001
        shown.step(step + 1, lambda: reads.append(1) or {})
    shown.close()
    assert 18 <= len(reads) <= 21


def test_the_first_step_does_not_count_for_the_pace(monkeypatch):
    now, out = [0.0], io.StringIO()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    shown = Progress(2, 1, 3, out)
    shown.epoch_begin(0)
    for seconds in (10.0, 0.02, 0.04):
        now[0] += seconds
        shown.step(1 if seconds == 10 else 3, dict)
    now[0] += 1
    shown.epoch_end({})
    assert out.getvalue() == "Epoch 1/1 - 11.1s - 30ms/step\n"


def test_without_epochs():
    out = io.StringIO()
    show(1, out, epochs=None, steps=3, logs={"loss": 1})
    assert re.fullmatch(r"3/3 steps - 0\.0s - \d+us/step - loss: 1\.0000\n", out.getvalue())


def test_closing_in_the_middle_leaves_the_terminal_on_a_new_line():
    out = Terminal()
    shown = Progress(1, 1, 10, out)
    shown.epoch_begin(0)
    shown.step(1, dict)
    shown.close()
    shown.close()
    assert out.getvalue().endswith("\n")


def test_message_prints_a_line(capsys):
    progress.message("Epoch 3: early stopping")
    assert capsys.readouterr().out == "Epoch 3: early stopping\n"


def test_a_closed_stream_is_no_terminal():
    out = Terminal()
    out.close()
    out.isatty = lambda: (_ for _ in ()).throw(ValueError("closed"))
    assert not Progress(1, 1, 1, out).uses_bar


@pytest.mark.parametrize("wrong", [3, "on", None])
def test_verbose_is_checked(wrong):
    with pytest.raises(ValueError, match="verbose is 0"):
        Progress(wrong, 1, 1)
