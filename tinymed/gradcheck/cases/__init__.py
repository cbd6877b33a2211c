"""The cases that the checks run through, a file for each family of operations."""

from __future__ import annotations

import importlib
import pkgutil

from tinymed.gradcheck.case import LayerCase, LossCase, OpCase


def op_cases() -> list[OpCase]:
    """Return the cases of all operations."""
    return [case for module in _families() for case in getattr(module, "OP_CASES", [])]


def layer_cases() -> list[LayerCase]:
    """Return the cases of all layers."""
    return [case for module in _families() for case in getattr(module, "LAYER_CASES", [])]


def loss_cases() -> list[LossCase]:
    """Return the cases of all losses."""
    return [case for module in _families() for case in getattr(module, "LOSS_CASES", [])]


def _families() -> list:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]
