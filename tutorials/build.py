"""Run the lessons and write them down as notebooks: ``python tutorials/build.py`` for all, or name some scripts.

The script is the source. The notebook is made from it, with the outputs, and without anything about the machine that
ran it, so that it changes only where the lesson does.
"""

from __future__ import annotations

import pathlib
import sys

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).resolve().parent

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def lessons() -> list[pathlib.Path]:
    """Return the scripts of all lessons, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def read(script: pathlib.Path) -> nbformat.NotebookNode:
    """Return a script as a notebook without outputs; cells are numbered, so that they keep their names."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03}"
    return notebook


def run(notebook: nbformat.NotebookNode, folder: pathlib.Path) -> None:
    """Run all cells in a fresh kernel, in ``folder``; an error in a cell is raised."""
    NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(folder)}}).execute()


def strip(notebook: nbformat.NotebookNode) -> None:
    """Keep what a reader sees; drop what only says when and where it ran."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
            for output in cell.outputs:
                output.get("data", {}).pop("text/html", None)
                if "image/png" in output.get("data", {}):
                    output.data.pop("text/plain", None)
                    output.metadata = nbformat.from_dict({})


def build(script: pathlib.Path) -> pathlib.Path:
    """Run a script as a notebook and write it beside the script."""
    notebook = read(script)
    run(notebook, script.parent)
    strip(notebook)
    nbformat.validate(notebook)
    target = script.with_suffix(".ipynb")
    target.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    for path in [pathlib.Path(name).resolve() for name in sys.argv[1:]] or lessons():
        print(f"{path.name} -> {build(path).name}")
