"""tinymed: a deep-learning engine for medical images, written to be read.

Keras's names, NumPy or CuPy underneath, and every gradient written by hand beside its formula:

    from tinymed.models import Sequential
    from tinymed.layers import Conv2D, MaxPooling2D, Flatten, Dense

Modules are loaded when they are first used, so that importing tinymed costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = (
    "activations", "applications", "backend", "callbacks", "configurable", "datasets", "files", "gradcheck",
    "initializers", "interpretability", "keras", "layers", "losses", "metrics", "models", "ops", "optimizers", "plots",
    "preprocessing", "regularizers", "utils", "validation",
)  # fmt: skip

_NAMES = {
    "Sequential": "models",
    "Model": "models",
    "load_model": "models",
    "Input": "layers",
    "set_backend": "backend",
    "get_backend": "backend",
    "use_backend": "backend",
    "set_precision": "precision",
    "set_seed": "backend",
    "textbook": "ops",
    "debug": "debugging",
    "doctor": "diagnosis",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"tinymed.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"tinymed.{name}")
    raise AttributeError(f"module 'tinymed' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
