"""The command that makes the notebooks, on a lesson of three cells."""

import importlib.util
import pathlib

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "tutorials" / "build.py"

LESSON = """\
# %% [markdown]
# # A lesson

# %%
import sys
print("seen", file=sys.stdout)
print("not kept", file=sys.stderr)

# %% tags=["exercise"]
{last}
"""


@pytest.fixture
def build():
    spec = importlib.util.spec_from_file_location("tutorials_build", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Jupyter's own parts warn about each other's sockets and event loops.
@pytest.mark.filterwarnings("default")
def test_a_script_becomes_a_notebook_with_its_outputs_and_nothing_else(build, tmp_path):
    script = tmp_path / "01_small.py"
    script.write_text(LESSON.format(last="6 * 7"), encoding="utf-8")
    notebook = nbformat.read(build.build(script), as_version=4)
    title, first, last = notebook.cells
    assert title.source == "# A lesson"
    assert [output.text for output in first.outputs] == ["seen\n"]
    assert last.outputs[0].data == {"text/plain": "42"}
    assert last.metadata == {"tags": ["exercise"]}
    assert first.metadata == {}
    assert notebook.metadata == build.METADATA
    assert [cell.id for cell in notebook.cells] == ["cell-000", "cell-001", "cell-002"]
    before = script.with_suffix(".ipynb").read_bytes()
    build.build(script)
    assert script.with_suffix(".ipynb").read_bytes() == before


@pytest.mark.filterwarnings("default")
def test_a_lesson_that_fails_writes_no_notebook(build, tmp_path):
    script = tmp_path / "01_small.py"
    script.write_text(LESSON.format(last="1 / 0"), encoding="utf-8")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        build.build(script)
    assert not script.with_suffix(".ipynb").exists()
