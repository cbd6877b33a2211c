"""Each lesson runs in a fresh process; its notebook is in step with it, whole, and says nothing about any machine."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import jupytext
import nbformat
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tutorials"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))

each_lesson = pytest.mark.parametrize("script", LESSONS, ids=lambda script: script.stem)


def notebook_of(script):
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_lessons():
    assert [script.name for script in LESSONS][:1] == ["01_first_network.py"]


@each_lesson
def test_script_runs_in_a_fresh_process_without_a_warning(script, tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "Warning" not in result.stderr
    assert "not right yet" not in result.stdout
    assert list(tmp_path.iterdir()) == []  # a lesson leaves nothing behind


@each_lesson
def test_notebook_is_in_step_with_the_script(script):
    # If this fails: python tutorials/build.py
    written, made = jupytext.read(script, fmt="py:percent"), notebook_of(script)
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        (cell.cell_type, cell.source) for cell in written.cells
    ]
    assert [cell.metadata.get("tags", []) for cell in made.cells] == [
        cell.metadata.get("tags", []) for cell in written.cells
    ]


@each_lesson
def test_notebook_was_run_from_top_to_bottom_without_an_error(script):
    notebook = notebook_of(script)
    nbformat.validate(notebook)
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any(output.output_type == "stream" for output in outputs)


@each_lesson
def test_notebook_says_nothing_about_the_machine_that_ran_it(script):
    notebook = notebook_of(script)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    words = "".join(
        [cell.source for cell in notebook.cells]
        + [
            str(o.get("text", "")) + str(o.get("data", {}).get("text/plain", ""))
            for c in code_of(notebook)
            for o in c.outputs
        ]
    )
    assert not re.search(r"/(home|root|tmp|work|Users|opt)/|[A-Z]:\\|site-packages|0x[0-9a-f]{6,}", words)


@each_lesson
def test_lesson_uses_only_what_tinymed_offers_to_everybody(script):
    found = set()
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    assert found <= {"numpy", "matplotlib", "scipy", "scipy.signal", "lesson", "tinymed"}


@each_lesson
def test_links_of_a_lesson_lead_somewhere(script):
    text = "\n".join(cell.source for cell in notebook_of(script).cells if cell.cell_type == "markdown")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (FOLDER / target).exists()] == []
