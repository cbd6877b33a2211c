"""What there is to check, found in the package itself, so that nothing can be left out."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType

from tinymed.gradcheck.cases import layer_cases, loss_cases, op_cases
from tinymed.gradcheck.report import Row
from tinymed.gradcheck.updates import FORMULAS, RULES, optimizer_classes, schedule_classes
from tinymed.ops.registry import REGISTRY


def layer_classes() -> dict[str, type]:
    """Return the layers that ``tinymed.layers`` offers, by name."""
    from tinymed.layers.base import Layer

    return _subclasses(importlib.import_module("tinymed.layers"), Layer)


def loss_classes() -> dict[str, type]:
    """Return the losses that ``tinymed.losses`` offers, by name."""
    module = importlib.import_module("tinymed.losses")
    return _subclasses(module, module.Loss)


def operations() -> list[str]:
    """Return the names of all operations, those that no layer imports too."""
    importlib.import_module("tinymed.ops")
    return list(REGISTRY)


def _subclasses(module: ModuleType, parent: type) -> dict[str, type]:
    offered = getattr(module, "__all__", None) or list(vars(module))
    found = {name: getattr(module, name) for name in offered}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) and issubclass(value, parent) and value is not parent and value.__name__ == name
    }


def covered() -> dict[str, set[str]]:
    """Return the names that have a case or a formula, by kind."""
    return {
        "operation": {case.op for case in op_cases()},
        "layer": {type(case.make()).__name__ for case in layer_cases()},
        "loss": {type(case.make()).__name__ for case in loss_cases()},
        "optimizer": {name for name, cls in optimizer_classes().items() if cls.__name__ in RULES},
        "schedule": {name for name, cls in schedule_classes().items() if cls.__name__ in FORMULAS},
    }


def required() -> dict[str, set[str]]:
    """Return the names that need one, by kind. Layers that only stand for something else need none."""
    return {
        "operation": set(operations()),
        "layer": set(layer_classes()) - {"InputLayer"},
        "loss": set(loss_classes()),
        "optimizer": set(optimizer_classes()),
        "schedule": set(schedule_classes()),
    }


def check_coverage() -> list[Row]:
    """Return one row for each kind of thing; it fails where something has no case."""
    known = covered()
    rows = []
    for kind, names in required().items():
        missing = sorted(names - known[kind])
        note = f"no case for {', '.join(missing)}" if missing else ""
        rows.append(Row("coverage", "", "coverage", f"each {kind}", float(len(missing)), 0.0, note))
    unpaired = sorted(name for name in operations() if not hasattr(REGISTRY[name], "backward"))
    note = f"no backward for {', '.join(unpaired)}" if unpaired else ""
    rows.append(Row("coverage", "", "coverage", "each backward", float(len(unpaired)), 0.0, note))
    return rows
