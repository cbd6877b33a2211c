import doctest
import inspect
import re

import numpy as np
import pytest

import tinymed.ops
from tinymed.gradcheck.cases import op_cases
from tinymed.ops import REGISTRY, UPDATES, dense, textbook
from tinymed.ops.registry import Operation, _dispatching, backward_of, op, update

EVERYTHING = {**{name: operation.forward for name, operation in REGISTRY.items()}, **UPDATES}
SECTIONS = ["Forward", "Backward", "Shapes", "Arguments", "Raises", "Example", "Source"]


# --- every operation that there is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTRY)
def test_each_operation_has_a_backward_a_case_and_a_public_name(name):
    assert callable(REGISTRY[name].backward)
    assert any(case.op == name for case in op_cases())
    assert getattr(tinymed.ops, name) is REGISTRY[name].forward
    assert getattr(tinymed.ops, f"{name}_backward") is REGISTRY[name].backward


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_example_runs(name):
    function = EVERYTHING[name].textbook
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs=dict(function.__globals__))
    assert test.examples, f"the docstring of {name} has no example"
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert not failed


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_docstring_keeps_the_order_and_has_no_control_characters(name):
    text = inspect.getdoc(EVERYTHING[name].textbook)
    found = [word for word in re.findall(r"^(\w+):$", text, flags=re.M) if word in SECTIONS]
    assert found == [word for word in SECTIONS if word in found]
    wanted = {"Forward", "Shapes", "Arguments", "Example"} | ({"Backward"} if name in REGISTRY else set())
    assert wanted <= set(found)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text), 'the docstring must be raw: r"""'


@pytest.mark.parametrize("name", REGISTRY)
def test_backward_takes_the_gradient_and_the_cache(name):
    parameters = list(inspect.signature(REGISTRY[name].backward).parameters.values())
    assert [p.name for p in parameters[:2]] == ["dy", "cache"]
    assert all(p.default is not p.empty for p in parameters[2:])


# --- registering ---------------------------------------------------------------------------------------------------


def test_registering_makes_a_pair():
    try:

        @op
        def thrice(x):
            return 3 * x, None

        @backward_of(thrice)
        def thrice_backward(dy, cache):
            return 3 * dy

        pair = REGISTRY["thrice"]
        assert pair.forward is thrice and pair.backward is thrice_backward
        assert repr(pair) == "<operation thrice>"
        with pytest.raises(ValueError, match="an operation named 'thrice' is registered already"):
            op(thrice)
    finally:
        REGISTRY.pop("thrice", None)


def test_updates_are_registered_once():
    with pytest.raises(ValueError, match="an update named 'sgd_update' is registered already"):
        update(UPDATES["sgd_update"])


# --- dispatching ---------------------------------------------------------------------------------------------------


class OtherArray(np.ndarray):
    """An array of another library, as far as dispatching goes."""


def plain(x, factor=2):
    return factor * x, "textbook"


def test_the_first_arguments_type_chooses_the_body():
    function = _dispatching(plain)
    function.register(OtherArray)(lambda x, factor=2: (factor * x, "fast"))
    assert function(np.ones(1))[1] == "textbook"
    assert function(np.ones(1).view(OtherArray))[1] == "fast"
    assert function(x=np.ones(1).view(OtherArray), factor=3)[1] == "fast"
    with textbook():
        assert function(np.ones(1).view(OtherArray))[1] == "textbook"
    assert function(np.ones(1).view(OtherArray))[1] == "fast"
    assert function.textbook is plain and OtherArray in function.bodies


def test_textbook_ends_with_an_error_too():
    function = _dispatching(plain)
    function.register(OtherArray)(lambda x: (x, "fast"))
    with pytest.raises(RuntimeError), textbook():
        raise RuntimeError
    assert function(np.ones(1).view(OtherArray))[1] == "fast"


def test_the_kernels_come_with_the_first_array():
    dense(np.ones((1, 1)), np.ones((1, 1)))
    assert np.ndarray in dense.bodies


def test_half_precision_is_computed_in_single_and_rounded_once():
    seen = []

    def total(x, scale=None):
        seen.append(x.dtype)
        return x.sum(), (x,)

    y, (cached,) = _dispatching(total)(np.full(4000, 1.0, "float16"))
    assert seen == [np.float32] and cached.dtype == np.float32
    assert y.dtype == np.float16 and y == 4000  # summed in float16, one by one, it would stop at 2048


def test_half_precision_gradients_are_rounded_each():
    x = np.ones((2, 3), "float16")
    y, cache = dense(x, np.ones((3, 2), "float16"), np.zeros(2, "float16"))
    assert y.dtype == np.float16
    assert [g.dtype for g in REGISTRY["dense"].backward(y, cache)] == [np.float16] * 3


def test_an_operation_without_a_backward_says_so():
    with pytest.raises(AttributeError):
        _ = Operation("half", dense).backward
