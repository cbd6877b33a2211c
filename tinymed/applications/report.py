"""What a run writes: numbers and history beside its model and pictures, all of them or none."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import io
import json
import math
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinymed import backend, files

LAST = "metrics.json"
"""Moved last: where it is, everything else is."""


# --- the folder ------------------------------------------------------------------------------------------------


def choose_folder(out: str | os.PathLike[str] | None, name: str) -> pathlib.Path:
    """Return ``out``, or if omitted the first of ``runs/NAME``, ``runs/NAME-2`` ... that does not exist yet."""
    return pathlib.Path(out) if out is not None else _free(pathlib.Path("runs") / name)


def _free(path: pathlib.Path) -> pathlib.Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


class Workspace:
    """A folder to write to, and the folder to which its files go in the end.

    Attributes:
        folder: Where the finished files will be.
        files: Their paths there, known when the run has succeeded.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.files = folder, list[pathlib.Path]()
        self.path = _free(folder / "unfinished")

    def __truediv__(self, name: str) -> pathlib.Path:
        """Return the path to write a file of this name to."""
        return self.path / name


@contextlib.contextmanager
def workspace(folder: pathlib.Path) -> Iterator[Workspace]:
    """Lend a fresh folder inside ``folder``; its files move up, each in one piece, when the block succeeds.

    If the block fails, files of earlier runs are as they were, and what this run had finished (the best model so
    far) stays in the fresh folder; the error then carries a note that says so.

    Args:
        folder: Where the finished files shall be; made if it does not exist.

    Raises:
        ValueError: If ``folder`` cannot be made or written to, at once and not after an hour of training.
    """
    work = Workspace(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        work.path.mkdir(parents=True)
        (work / LAST).touch()  # a disk that is full or read-only says so now
        (work / LAST).unlink()
    except OSError as error:
        raise ValueError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
    try:
        yield work
        names = sorted((path.name for path in work.path.iterdir()), key=lambda name: (name == LAST, name))
        for name in names:
            if (folder / name).is_dir():  # of an earlier run; a folder with something in it cannot be replaced
                shutil.rmtree(folder / name)
            os.replace(work / name, folder / name)
        work.path.rmdir()
        work.files = [folder / name for name in names]
    except BaseException as error:
        with contextlib.suppress(OSError):
            work.path.rmdir()  # succeeds only if nothing was finished
            for path in made:
                path.rmdir()
        if work.path.exists():
            note = f"what was finished before that is in {work.path}"
            error.__notes__ = [*getattr(error, "__notes__", []), note]  # type: ignore[attr-defined]
        raise


# --- files -----------------------------------------------------------------------------------------------------


def write_history(path: pathlib.Path, history: Mapping[str, Sequence[float]]) -> None:
    """Write one line for each epoch: its number from 1, losses and metrics."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
        writer.writerow([epoch, *(f"{float(value):.6g}" for value in values)])
    files.write_text(path, text.getvalue())


def write_metrics(path: pathlib.Path, numbers: Mapping[str, Any]) -> None:
    """Write numbers as JSON; those that are not defined (NaN, which JSON does not know) become null."""
    files.write_text(path, json.dumps(_plain(numbers), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def versions() -> dict[str, str]:
    """Return the versions of everything that the numbers may depend on."""
    from tinymed import __version__

    found = {"tinymed": __version__, "python": platform.python_version(), "backend": backend.get_backend()}
    for name in dict.fromkeys(("numpy", "numba", "scipy", backend.get_backend())):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {**found, "system": f"{platform.system()} {platform.machine()}"}
