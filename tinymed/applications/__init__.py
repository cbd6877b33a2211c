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
    "autoencoder": "what can be kept of a chest X-ray in eight numbers? (D1 §3.2; phantoms)",
    "detection": "where are the nodules in a CT slice? (D0 §6, D1, D2 §5, D3; phantoms, or --data)",
    "digits": "which digit is this? (D3 §5.1; drawn from typefaces, or MNIST)",
    "ecg": "heart rate and beats of an electrocardiogram (D4 §4.2; synthetic, or WFDB records)",
    "gan": "draw chest X-rays that do not exist (D1 §3.3; phantoms)",
    "lung-disease": "which disease has this lung? (D4 §4.1; drawn X-rays, or a folder of class folders)",
    "nodules": "is there a nodule in a CT patch? (D0 §5; phantoms)",
    "pneumonia": "is there pneumonia in a chest X-ray? (D0 §5; needs --data)",
    "progression": "the next score of a patient seen again and again (D2 §5; synthetic visits, or a CSV table)",
    "registration": "where is in one image what another shows? (D0 §6; phantom brains)",
    "segmentation": "which voxels belong to which organ or lesion? (D0 §6, D1, D3; CT phantoms)",
    "transfer": "what does it help to have seen something like it? (D2 §8; phantoms, or chest X-rays)",
}
"""What each task is about, by the name that ``tinymed train`` takes. Its module has the same name, ``-`` as ``_``."""


def find(task: str) -> Any:
    """Return the module of a task.

    >>> find("nodule")
    Traceback (most recent call last):
    ...
    ValueError: unknown task 'nodule'; did you mean 'nodules'?
    """
    resolve(task, TASKS, "task")
    return importlib.import_module(f"tinymed.applications.{task.replace('-', '_')}")


def owner(model: Any) -> Any:
    """Return the module of the task that wrote a model file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no model file, or no task of this package wrote it.
    """
    from tinymed.models.saving import read_metadata

    task = read_metadata(model).get("task")
    if task is None:
        raise ValueError(
            f"{model} does not say 'task', so it was not written by `tinymed train`; "
            "load it with tinymed.load_model and call its own predict"
        )
    try:
        return find(task)
    except ValueError as error:
        raise ValueError(f"{model} was written by a task that is not here: {error}") from error


def __getattr__(name: str) -> Any:
    if name.replace("_", "-") in TASKS:
        return find(name.replace("_", "-"))
    raise AttributeError(f"module 'tinymed.applications' has no attribute {name!r}")
