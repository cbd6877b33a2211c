"""Every exercise can be solved: its check calls a right answer right and a wrong one wrong."""

import pathlib
import sys

import jupytext
import numpy as np
import pytest

from tinymed import ops, optimizers

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tutorials"


@pytest.fixture
def lesson(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(str(FOLDER))
    import lesson

    yield lesson
    del sys.modules["lesson"]


SOLUTIONS = {
    "convolve_same": lambda x, k: sum(
        np.pad(x, 1)[p : p + x.shape[0], q : q + x.shape[1]] * k[p, q] for p in range(3) for q in range(3)
    ),
    "rows_of_output": lambda H, P, s: (H - P) // s + 1,
    "max_pool_backward": lambda dz, x: np.kron(dz, np.ones((2, 2))) * (x == np.kron(blocks_max(x), np.ones((2, 2)))),
    "log_softmax": lambda z: z - z.max() - np.log(np.sum(np.exp(z - z.max()))),
    "three_steps": lambda rate, momentum: rolled(rate, momentum),
}


def blocks_max(x):
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).max(axis=(1, 3))


def rolled(rate, momentum):
    theta, v, path = 0.0, 0.0, []
    for _ in range(3):
        v = momentum * v - rate * 2 * (theta - 3)
        theta += v
        path.append(theta)
    return path


def exercises():
    notebook = jupytext.read(FOLDER / "01_first_network.py", fmt="py:percent")
    cells = [cell.source for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    return {cell.partition("def ")[2].partition("(")[0]: cell for cell in cells}


def outcome(lesson, capsys, name, answer):
    """Run an exercise's cell with ``answer`` in place of the function to complete, and return what it prints."""
    cell = exercises()[name]
    head, _, tail = cell.partition("\n\n\n")
    assert "return None  # your code" in head
    names = {"np": np, "ops": ops, "optimizers": optimizers, "check": lesson.check}
    exec(head if answer is None else "", names)
    if answer is not None:
        names[name] = answer
    exec(tail, names)
    return capsys.readouterr().out


def test_every_exercise_has_a_solution_here():
    assert set(exercises()) == set(SOLUTIONS)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_solution_is_called_right(name, lesson, capsys):
    assert outcome(lesson, capsys, name, SOLUTIONS[name]).endswith(": right\n")


@pytest.mark.parametrize("name", SOLUTIONS)
def test_wrong_answer_is_called_wrong(name, lesson, capsys):
    def wrong(*args):
        return np.asarray(SOLUTIONS[name](*args)) * 1.01 + 0.01

    assert "not right yet" in outcome(lesson, capsys, name, wrong)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_no_answer_is_no_error(name, lesson, capsys):
    assert outcome(lesson, capsys, name, None).endswith("not answered yet\n")


def test_check_says_what_is_wrong(lesson, capsys):
    lesson.check("shape", [1.0], [1.0, 2.0])
    lesson.check("number", [1.0, np.nan], [1.0, 2.0])
    lesson.check("place", [1.0, 3.0], [1.0, 2.0])
    shape, number, place = capsys.readouterr().out.splitlines()
    assert shape == "shape: not right yet, the shape should be (2,), yours is (1,)"
    assert "NaN" in number
    assert place.endswith("most of all at (1,)")
