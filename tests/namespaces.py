"""What the code takes from an array module: read from the source, noted while it runs, and compared with CuPy."""

import ast
import contextlib
import functools
import inspect
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import tinymed
from tinymed import backend

ROOT = Path(tinymed.__file__).parent

HOST_ONLY = ("kernels/cpu",)
"""Folders whose code gets NumPy arrays alone."""


@dataclass(frozen=True)
class Use:
    """One name taken from a module, and how it is called.

    Attributes:
        name: Such as ``sum`` or ``linalg.diagonal``.
        positional: How many arguments by position; None where a star hides it or it is not called.
        keywords: Arguments by name.
        where: File and line.
    """

    name: str
    positional: int | None = None
    keywords: frozenset = frozenset()
    where: str = field(default="", compare=False)

    def __str__(self):
        arguments = ["..."] if self.positional is None else ["_"] * self.positional
        return f"{self.name}({', '.join([*arguments, *sorted(f'{k}=' for k in self.keywords)])}) in {self.where}"


# --- read from the source ------------------------------------------------------------------------------------------


def sources():
    """Return the files whose code may get arrays of a GPU."""
    files = sorted(ROOT.rglob("*.py"))
    return [path for path in files if not str(path.relative_to(ROOT)).startswith(HOST_ONLY)]


def uses_in(source, where, of="xp"):
    """Yield what a source takes from the module that it calls ``of``, or that ``array_namespace(...)`` returns."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner:  # xp.linalg of xp.linalg.diagonal
            continue
        names, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            names, base = [base.attr, *names], base.value
        if not _is_module(base, of):
            continue
        place, call = f"{where}:{node.lineno}", called.get(id(node))
        if call is None:
            yield Use(".".join(names), where=place)
        else:
            starred = any(isinstance(argument, ast.Starred) for argument in call.args)
            keywords = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
            yield Use(".".join(names), None if starred else len(call.args), keywords, place)


def _is_module(node, of):
    if isinstance(node, ast.Name):
        return node.id == of
    return of == "xp" and isinstance(node, ast.Call) and _called_name(node) in ("array_namespace", "_namespace")


def _called_name(node):
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def other_names(source):
    """Yield the names other than ``xp`` to which a source assigns an array module, which :func:`uses_in` would miss."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                targets = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] * len(targets)
                for name, value in zip(targets, values, strict=False):
                    is_module = isinstance(value, ast.Call) and _called_name(value) == "array_namespace"
                    if is_module and getattr(name, "id", "") != "xp":
                        yield ast.unparse(name)


def array_attributes(source, where):
    """Yield the attributes that NumPy's arrays have, of whatever has them in a source and is no imported module."""
    known, tree = {name for name in dir(np.ndarray) if not name.startswith("_")}, ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.asname or alias.name for node in imports for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in known and getattr(node.value, "id", "") not in modules:
            yield Use(node.attr, where=f"{where}:{node.lineno}")


# --- noted while it runs -------------------------------------------------------------------------------------------


class Noting:
    """An array module that notes what is taken from it, and gives it."""

    def __init__(self, module, seen, prefix=""):
        self._module, self._seen, self._prefix = module, seen, prefix

    def __getattr__(self, name):
        value = getattr(self._module, name)
        full = self._prefix + name
        if isinstance(value, types.ModuleType):
            return Noting(value, self._seen, f"{full}.")
        if name.startswith("_") or isinstance(value, type) or not callable(value):
            if not name.startswith("__name__"):
                self._seen.add(Use(full, where=_caller()))
            return value

        @functools.wraps(value, assigned=("__name__", "__doc__"))
        def call(*args, **kwargs):
            self._seen.add(Use(full, len(args), frozenset(kwargs), _caller()))
            return value(*args, **kwargs)

        return call


def _caller():
    frame = sys._getframe(2)
    while frame is not None and not frame.f_code.co_filename.startswith(str(ROOT)):
        frame = frame.f_back
    return "?" if frame is None else f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_lineno}"


@contextlib.contextmanager
def noting():
    """Lend a set in which everything that is taken from NumPy's array module inside the block is noted."""
    seen = set()
    module = Noting(backend.array_namespace(np.zeros(1)), seen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "_numpy_namespace", lambda: module)
        yield seen


# --- compared ------------------------------------------------------------------------------------------------------

UFUNC_KEYWORDS = frozenset({"out", "dtype", "casting"})
"""The keywords of CuPy's elementwise functions that its reference promises."""


def refused(module, use):
    """Return why a module does not offer what the code takes from it, or None if it does."""
    target = module
    for name in use.name.split("."):
        if not hasattr(target, name):
            return f"there is no {use.name}"
        target = getattr(target, name)
    if use.positional is None and not use.keywords:
        return None
    if hasattr(target, "nin"):  # elementwise
        most = target.nin + target.nout
        if use.positional is not None and not target.nin <= use.positional <= most:
            return f"{use.name} takes {target.nin} arrays"
        unknown = use.keywords - UFUNC_KEYWORDS
        return f"{use.name} takes no {sorted(unknown)[0]}" if unknown else None
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return f"the arguments of {use.name} are not known; name them in the test"
    try:
        if use.positional is None:
            signature.bind_partial(**dict.fromkeys(use.keywords))
        else:
            signature.bind(*[None] * use.positional, **dict.fromkeys(use.keywords))
    except TypeError as error:
        return f"{use.name}: {error}"
    return None
