"""Whatever the code takes from an array module, CuPy has, with the arguments used.

Names are read from the source, so that a branch that no test runs counts too, and noted while operations, layers,
losses, metrics, optimizers and whole steps run, so that arguments behind a star count too. CuPy is asked itself: it
can be imported, and read, without a GPU.
"""

import ast
import inspect
import types

import array_api_compat.common._aliases
import numpy as np
import pytest

from tests.metrics.test_base import every_metric
from tests.namespaces import ROOT, Use, array_attributes, noting, other_names, refused, sources, uses_in
from tests.test_crossings import MODELS, MORE_METRICS
from tinymed import backend
from tinymed.gradcheck.adapters import subject_of_layer, subject_of_loss, subject_of_op
from tinymed.gradcheck.cases import layer_cases, loss_cases, op_cases
from tinymed.gradcheck.updates import check_optimizer, optimizer_classes
from tinymed.ops import textbook
from tinymed.preprocessing import augmentation


@pytest.fixture(scope="module")
def cupy():
    """Return CuPy's array module; importing it needs no GPU."""
    pytest.importorskip("cupy", reason="CuPy is not installed: its names cannot be compared", exc_type=ImportError)
    return pytest.importorskip("array_api_compat.cupy")


def in_the_source():
    return {use for path in sources() for use in uses_in(path.read_text("utf-8"), path.relative_to(ROOT))}


HOST_ROOMS = ("applications", "datasets", "gradcheck", "plots", "validation")
"""Rooms where pictures, tables and arrays of the host have methods, too."""


OTHERS = {("resize", "preprocessing/image.py"), ("ctypes", "kernels/gpu/products.py")}
"""Attributes that CuPy's arrays lack, of what is no array there: Pillow's pictures, and a host array's address."""


@pytest.fixture(scope="module")
def running():
    """Return what is taken while operations, layers, losses, metrics, optimizers and models run."""
    rng = np.random.default_rng(0)
    with noting() as seen, textbook(), np.errstate(all="ignore"):
        subjects = [subject_of_op(case) for case in op_cases()]
        subjects += [subject_of_layer(case, training) for case in layer_cases() for training in (True, False)]
        subjects += [subject_of_loss(case) for case in loss_cases()]
        for subject in subjects:
            subject.at(subject.draw(rng, "float32"), rng=rng)
        for metric in (*every_metric(), *MORE_METRICS):
            cls, arguments, y_true, y_pred = metric.values
            cls(**arguments)(y_true, y_pred)
        for cls in optimizer_classes().values():
            assert all(row.ok for row in check_optimizer(cls))
        for make in MODELS.values():
            model, x, y = make()
            model.fit(x, y, epochs=1, batch_size=3, verbose=0, validation_split=0.5)
        steps = [getattr(augmentation, name) for name in ("Flip", "Brightness", "Contrast", "Gamma", "Noise")]
        augmentation.Augmentation([step() for step in steps])(rng.random((2, 8, 8, 1)), rng=rng)
    return seen


def complaints(module, uses):
    return sorted({f"{why}: {use}" for use in uses if (why := refused(module, use))})


def test_the_source_is_read_completely():
    found = in_the_source()
    assert len(found) > 80  # different names or arguments
    assert {"sum", "where", "linalg.diagonal", "argsort"} <= {use.name for use in found}
    assert Use("concat", 1, frozenset({"axis"})) in found
    hidden = {path.name: names for path in sources() if (names := list(other_names(path.read_text("utf-8"))))}
    assert not hidden, "an array module is called xp everywhere, so that this test sees what is taken from it"


def test_cupy_has_all_names_of_the_source(cupy):
    assert not complaints(cupy, in_the_source())


def test_cupy_has_all_that_is_used_while_running(cupy, running):
    assert len({use.name for use in running}) > 50
    assert not complaints(cupy, running)


def test_all_that_is_used_while_running_stands_in_the_source(running):
    """Names that reach the module by another way than ``xp.name`` would escape the reading of branches not run."""
    read = {use.name for use in in_the_source()}
    dtypes = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64))}
    assert {use.name for use in running} - read <= dtypes | {"__array_namespace_info__"}


def test_cupy_has_the_attributes_of_arrays(cupy):
    ndarray = cupy.ndarray
    files = [path for path in sources() if path.relative_to(ROOT).parts[0].removesuffix(".py") not in HOST_ROOMS]
    found = {use for path in files for use in array_attributes(path.read_text("utf-8"), path.relative_to(ROOT))}
    assert {"astype", "reshape", "shape"} <= {use.name for use in found}
    missing = {use for use in found if not hasattr(ndarray, use.name)}
    assert not {str(use) for use in missing if (use.name, use.where.partition(":")[0]) not in OTHERS}


def test_cupy_has_what_is_used_of_ndimage(cupy):
    ndimage = pytest.importorskip("cupyx.scipy.ndimage")
    files = [path for path in (ROOT / "preprocessing").rglob("*.py") if "ndimage" in path.read_text("utf-8")]
    found = {use for path in files for use in uses_in(path.read_text("utf-8"), path.name, of="ndimage")}
    assert {"map_coordinates", "zoom", "gaussian_filter"} <= {use.name for use in found}
    assert not complaints(ndimage, found)


BRINGS = {"asarray": "what it is for", "searchsorted": "numbers only, and arrays are given"}
"""Functions of array-api-compat for CuPy that copy their arguments to the device, and why that is right."""


def brought_along(module, names):
    """Return those names whose function, where array-api-compat wraps CuPy's, turns arguments into arrays."""
    found = set()
    for name in names:
        target = module
        for part in name.split("."):
            target = getattr(target, part)
        if str(getattr(target, "__module__", "")).startswith("array_api_compat"):
            common = getattr(array_api_compat.common._aliases, name, target)
            tree = ast.parse(inspect.getsource(inspect.unwrap(common)))
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            if any(getattr(call, "attr", getattr(call, "id", "")) in ("asarray", "array") for call in calls):
                found.add(name)
    return found


def test_no_wrapper_copies_behind_our_back(cupy):
    files = [path for path in sources() if path.relative_to(ROOT).parts[0].removesuffix(".py") not in HOST_ROOMS]
    used = {use.name for path in files for use in uses_in(path.read_text("utf-8"), path.name)}
    names = {name for name in used if not name.startswith("_")}
    assert brought_along(cupy, names) == set(BRINGS)
    assert brought_along(cupy, {"clip", "exp", "permute_dims"}) == {"clip"}


# --- what is planted is caught -------------------------------------------------------------------------------------

PLANTED = """
def forward(x, mask, parts):
    xp, n = array_namespace(x), 3
    y = xp.sum(x, where=mask) if n > 4 else xp.spacing_of(x)
    z = backend.array_namespace(y).nan_to_sum(y)
    return xp.linalg.no_such(y, z), xp.maximum(y, z, keepdims=True), xp.concat(*parts, axes=0), xp.sum(x, axis=0)
"""


def test_planted_names_and_arguments_are_caught(cupy):
    found = complaints(cupy, uses_in(PLANTED, "planted.py"))
    assert len(found) == 6 and all("planted.py" in line for line in found)
    for words in ("no spacing_of", "no nan_to_sum", "no linalg.no_such", "'where'", "keepdims", "'axes'"):
        assert any(words in line for line in found), words


def test_a_planted_call_is_caught_while_it_runs(cupy):
    with noting() as seen:
        xp = backend.array_namespace(np.ones(3))
        arguments = {"where": np.ones(3, bool)}
        assert xp.sum(np.ones(3), **arguments) == 3
        assert xp.busday_count("2026-01-01", "2026-01-08") == 5
    assert len(complaints(cupy, seen)) == 2


def test_planted_array_methods_and_other_names_are_seen(cupy):
    (use,) = array_attributes("import np\ndef f(x):\n    return np.resize(x.setflags(write=False), 3)", "planted.py")
    assert not hasattr(cupy.ndarray, use.name)
    assert list(other_names("module, n = array_namespace(x), 2\nxp = array_namespace(y)")) == ["module"]


def test_what_cannot_be_known_is_not_passed_over():
    module = types.SimpleNamespace(opaque=dict.update)
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(module.opaque)
    assert "not known" in refused(module, Use("opaque", 1))
