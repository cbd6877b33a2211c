"""The package as a whole: light to import, floors that only look down, a test for every file."""

import ast
import pathlib
import subprocess
import sys

import pytest

import tinymed

ROOT = pathlib.Path(tinymed.__file__).parent
TESTS = pathlib.Path(__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# The floor of each room, as DESIGN has it: a file imports only from its own floor and those below.
FLOORS = {
    "backend": 0, "configurable": 0, "cuda": 0, "files": 0, "live": 0, "precision": 0, "utils": 0,
    "ops": 1,
    "kernels": 2,
    "gradcheck": 3, "datasets": 3, "preprocessing": 3,
    "activations": 4, "initializers": 4, "regularizers": 4, "losses": 4, "metrics": 4, "optimizers": 4, "layers": 4,
    "models": 5, "callbacks": 5, "plots": 5, "progress": 5, "debugging": 5,
    "validation": 5, "interpretability": 5,
    "applications": 6, "bench": 6, "diagnosis": 6, "keras": 6,
    "cli": 7, "__init__": 7, "__main__": 7,
}  # fmt: skip

HEAVY = {
    "numba",
    "cupy",
    "matplotlib",
    "scipy",
    "PIL",
    "tqdm",
    "typer",
    "rich",
    "safetensors",
    "pooch",
    "torch",
    "keras",
}


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_at_load(tree):
    """Yield the modules that importing a file imports: those outside functions and TYPE_CHECKING blocks."""
    stack = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        stack += list(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_floors_only_look_down(path):
    if room(path) == "gradcheck":  # the checks reach up to what they check; nothing below imports them
        return
    floor = FLOORS[room(path)]
    for module in imports_at_load(ast.parse(path.read_text("utf-8"))):
        parts = module.split(".")
        if parts[0] == "tinymed" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS[parts[1]] <= floor, f"{path.name} (floor {floor}) imports {module}"


def test_every_source_file_has_a_test_file():
    missing = []
    for path in SOURCES:
        relative = path.relative_to(ROOT)
        # Tables of cases and of faults are what tests/gradcheck and tests/faults run through.
        if path.name in ("__init__.py", "__main__.py") or {"cases", "faults"} & set(relative.parts):
            continue
        if not (TESTS / relative.parent / f"test_{path.name}").exists():
            missing.append(str(relative))
    assert not missing


def test_importing_tinymed_loads_nothing_heavy():
    code = "import sys, tinymed; print([m for m in sys.argv[1].split(',') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code, ",".join(sorted(HEAVY))], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_importing_the_layers_loads_no_numba_cupy_or_matplotlib():
    code = (
        "import sys, tinymed.models, tinymed.layers\n"
        "print([m for m in ('numba', 'cupy', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in tinymed.__all__:
        assert getattr(tinymed, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tinymed.nothing


def test_without_kernels_everything_still_works(tmp_path):
    """Delete kernels/ and everything still works, only slower: the test of the architecture."""
    import shutil

    shutil.copytree(ROOT, tmp_path / "tinymed", ignore=shutil.ignore_patterns("kernels", "__pycache__"))
    code = (
        # An editable install would find the kernels in the checkout.
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f).lower()]\n"
        "import numpy as np; from tinymed.layers import *; from tinymed.models import Sequential\n"
        "m = Sequential([Conv2D(2, 3, input_shape=(8, 8, 1)), MaxPooling2D(), Flatten(), Dense(1)])\n"
        "m.compile('adam', 'mse'); m.fit(np.ones((4, 8, 8, 1)), np.ones(4), epochs=1, verbose=0)\n"
        "assert 'numba' not in sys.modules; print('trained')"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "trained", result.stderr
