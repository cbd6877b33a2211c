"""The documents' systems, each a model with its data, its training and its report (floor 6).

From Python, without the command line:

    from tinymed.applications import nodules
    result = nodules.train(epochs=3, out="runs/try")
    result.metrics["auc"]
"""

from __future__ import annotations

import importlib
from typing import Any

from tinymed.configurable import resolve

TASKS = {
    "nodules": "tinymed.applications.nodules",
    "pneumonia": "tinymed.applications.pneumonia",
}
"""Module of each task by the name that ``tinymed train`` takes; each has a function ``train``."""


def find(task: str) -> Any:
    """Return the module of a task.

    >>> find("nodule")
    Traceback (most recent call last):
    ...
    ValueError: unknown task 'nodule'; did you mean 'nodules'?
    """
    return importlib.import_module(resolve(task, TASKS, "task"))


def __getattr__(name: str) -> Any:
    if name in TASKS:
        return importlib.import_module(TASKS[name])
    raise AttributeError(f"module 'tinymed.applications' has no attribute {name!r}")
