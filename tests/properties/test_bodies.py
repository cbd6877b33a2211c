"""The textbook's bodies and the fast ones are the same function: on every call that can be drawn, errors included.

    TINYMED_EXAMPLES=10000 python -m pytest tests/properties

draws as many calls for each property.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from tests.devices import HOST_AND_GPU, on
from tests.properties import strategies
from tinymed import backend
from tinymed.gradcheck.subject import flat, largest, upstream
from tinymed.kernels.cpu import threads
from tinymed.ops import REGISTRY, UPDATES, textbook

EXAMPLES = int(os.environ.get("TINYMED_EXAMPLES", "150"))
SUMS_MAY_CANCEL = ("simple_rnn", "lstm", "gru", "mutual_information", "batch_norm")

often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="TINYMED_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def outcome(call, device="numpy"):
    """Run forward and backward on a device: the results by name, on the host, or the error."""
    operation = REGISTRY[call.op]
    kept = [None if a is None else a.copy() for a in call.arrays]
    with np.errstate(all="ignore"), on(device):
        given = [_put(a) for a in call.arrays]
        try:
            y, cache = operation.forward(*given, **call.options)
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            return error
        found = operation.backward(upstream(y, np.random.default_rng(call.seed)), cache)
    for a, before in zip(given, kept, strict=True):
        if a is not None:
            np.testing.assert_array_equal(backend.to_host(a), before, "an argument was changed")
    gradients = found if isinstance(found, tuple) else (found,)
    outputs = {f"y {i}": part for i, part in enumerate(y)} if isinstance(y, list) else {"y": y}
    results = outputs | {f"gradient {i}": g for i, g in enumerate(gradients)}
    return {name: None if part is None else backend.to_host(part) for name, part in results.items()}


def _put(a):
    """Put an array on the current device, with its axes in another order in memory if they were."""
    if a is None or backend.get_backend() == "numpy":
        return a
    return backend.asarray(a) if a.flags.c_contiguous else backend.asarray(np.ascontiguousarray(a.T)).T


def keeps_its_digits(call, wanted):
    """Tell whether the textbook's own rounding errors leave the digits that are compared.

    They do not where 1 - y² of a shut gate, or a sum of terms that cancel, is all there is. Three points beside the
    call's tell, in single and in double precision.
    """
    if isinstance(wanted, Exception):
        return True
    floats = [a is not None and a.dtype.kind == "f" for a in call.arrays]
    finer = 2.0**29 if any(f and a.dtype == np.float64 for f, a in zip(floats, call.arrays, strict=True)) else 1.0
    rng = np.random.default_rng(call.seed)
    for _ in range(3):
        narrow = [
            (a * (1 + 1e-6 * rng.standard_normal(a.shape))).astype("float32") if f else a
            for f, a in zip(floats, call.arrays, strict=True)
        ]
        wide = [a.astype("float64") if f else a for f, a in zip(floats, narrow, strict=True)]
        single, double = (outcome(strategies.Call(call.op, here, call.options, call.seed)) for here in (narrow, wide))
        for name, value in single.items():
            a, b = flat(value), flat(double[name])
            usual = np.isfinite(a) & np.isfinite(b)
            allowed = 0.25 * (2e-5 if finer == 1 else 1e-12 * finer) * largest(b)
            if np.any(np.abs(a[usual] - b[usual]) > allowed):
                return False
    return True


def assert_same(found, wanted):
    if isinstance(wanted, Exception):
        assert type(found) is type(wanted) and str(found) == str(wanted)
        return
    assert not isinstance(found, Exception), found
    assert set(found) == set(wanted)
    for name, right in wanted.items():
        if right is None:
            assert found[name] is None
            continue
        assert found[name].shape == right.shape and found[name].dtype == right.dtype, name
        a, b = flat(found[name]), flat(right)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), f"NaN in other places: {name}")
        infinite = np.isinf(b)
        np.testing.assert_array_equal(a[infinite], b[infinite], f"other infinities: {name}")
        usual = np.isfinite(b)
        tolerance = (1e-12 if right.dtype == np.float64 else 2e-5) * largest(b)
        np.testing.assert_allclose(a[usual], b[usual], rtol=0, atol=tolerance + 1e-42, err_msg=name)


@pytest.mark.parametrize("device", HOST_AND_GPU)
@often
@given(strategies.calls)
def test_textbook_and_fast_bodies_agree(device, call):
    with textbook():
        wanted = outcome(call)
        assume(call.op not in SUMS_MAY_CANCEL or keeps_its_digits(call, wanted))
    event(f"{call.op}{' raises' if isinstance(wanted, Exception) else ''}")
    assert_same(outcome(call, device), wanted)


@pytest.mark.parametrize("device", HOST_AND_GPU)
@often
@given(strategies.sequence_calls)
def test_bodies_for_sequences_agree(device, call):
    with textbook():
        wanted = outcome(call)
        assume(keeps_its_digits(call, wanted))
    event(f"{call.op}{' raises' if isinstance(wanted, Exception) else ''}")
    assert_same(outcome(call, device), wanted)


@pytest.mark.parametrize("device", HOST_AND_GPU)
@often
@given(strategies.convolution_calls(weights=strategies.odd_values))
def test_what_is_not_finite_is_never_hidden(device, call):
    """A weight that is NaN may spoil more results in the fast body, never fewer."""
    with textbook():
        wanted = outcome(call)
    found = outcome(call, device)
    if not isinstance(wanted, Exception):
        for name, right in wanted.items():
            if right is not None:
                assert not np.any(np.isfinite(found[name]) & ~np.isfinite(right)), name


@pytest.mark.parametrize("device", HOST_AND_GPU)
@often
@given(strategies.calls)
def test_the_layout_in_memory_does_not_matter(device, call):
    plain = strategies.Call(call.op, [None if a is None else np.array(a, order="C") for a in call.arrays], call.options)
    plain.seed = call.seed
    for context in (textbook, None):
        if context is None:
            assert_same(outcome(call, device), outcome(plain, device))
        else:
            with context():
                assert_same(outcome(call, device), outcome(plain, device))


@pytest.mark.parametrize("device", HOST_AND_GPU)
@often
@given(strategies.calls)
def test_running_again_gives_the_same_bits(device, call):
    first, second = outcome(call, device), outcome(call, device)
    if isinstance(first, Exception):
        assert str(first) == str(second)
        return
    for name, value in first.items():
        if value is not None:
            np.testing.assert_array_equal(second[name], value)


@often
@given(strategies.calls, st.integers(2, 5))
def test_any_number_of_threads_gives_the_same_bits(call, count):
    before = threads.num_threads()
    try:
        threads.set_num_threads(1)
        alone = outcome(call)
        threads.set_num_threads(count)
        together = outcome(call)
    finally:
        threads.set_num_threads(before)
    if not isinstance(alone, Exception):
        for name, value in alone.items():
            np.testing.assert_array_equal(together[name], value)


@pytest.mark.parametrize("device", HOST_AND_GPU)
@often
@given(strategies.update_calls())
def test_optimizer_updates_agree_and_work_in_place(device, call):
    function = UPDATES[call.op]
    with np.errstate(all="ignore"), on(device):
        wanted = function.textbook(*call.arrays, **call.options)
        found = function(*map(_put, call.arrays), **call.options)
        own = [None if a is None else _put(np.array(a)) for a in call.arrays]
        function(*own, **call.options, out=(own[0], *own[2:]))
    for results in ([None if a is None else backend.to_host(a) for a in part] for part in (found, (own[0], *own[2:]))):
        for a, b in zip(results, wanted, strict=True):
            assert (a is None) == (b is None)
            if b is not None:
                assert np.shape(a) == np.shape(b) and a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-12 if b.dtype == np.float64 else 2e-5, atol=1e-7)


@pytest.mark.parametrize("op", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("which", ["bias", "mask", "recurrent_scale"])
@pytest.mark.parametrize("N", [0, 2])
def test_arguments_of_another_size_are_refused_by_both_bodies(op, which, N):
    """Found by drawing: the fast bodies of recurrent networks read beyond the end of a bias that was too short."""
    gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[op]
    bias = np.zeros((2, 2 * gates)) if op == "gru" else np.zeros(2 * gates)
    given = {"bias": bias, "mask": np.ones((N, 3), bool), "recurrent_scale": np.ones((N, 2))}
    given[which] = given[which][..., :-1]
    function = REGISTRY[op].forward
    errors = []
    for body in (function.textbook, function):
        with pytest.raises(ValueError, match=rf"{op} expects .*{which} of shape") as raised:
            body(np.zeros((N, 3, 1)), np.zeros((1, 2 * gates)), np.zeros((2, 2 * gates)), **given)
        errors.append(str(raised.value))
    assert errors[0] == errors[1]


def test_every_fast_body_is_drawn():
    """Fails for a new kernel until strategies.py draws its operation."""
    kernels = {
        name
        for name, operation in REGISTRY.items()
        if np.ndarray in operation.forward.bodies or np.ndarray in operation.backward.bodies
    }
    assert kernels | set(UPDATES) <= strategies.DRAWN


@pytest.mark.parametrize(
    "setting", [{"NUMBA_DISABLE_JIT": "1"}, {"TINYMED_NUM_THREADS": "1"}], ids=lambda setting: next(iter(setting))
)
def test_the_same_without_compilation_and_with_one_thread(setting):
    tests = "(agree or updates or again) and not compilation"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__, "-k", tests]
    environment = {**os.environ, **setting, "TINYMED_EXAMPLES": str(min(EXAMPLES, 60))}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "4 passed" in result.stdout


BIG = {
    "conv2d": ([(9, 33, 30, 8), (3, 3, 8, 16), (16,)], {"padding": "same"}),
    "conv2d strided": ([(7, 33, 30, 3), (5, 4, 3, 8), (8,)], {"strides": 2}),
    "conv1d": ([(17, 200, 4), (5, 4, 6), None], {"padding": "causal", "dilation_rate": 2}),
    "conv3d": ([(3, 10, 12, 11, 2), (3, 3, 3, 2, 4), (4,)], {}),
    "dense": ([(300, 130), (130, 70), (70,)], {}),
    "max_pool2d": ([(9, 40, 41, 7)], {"pool_size": 3, "strides": 2, "padding": "same"}),
    "average_pool2d": ([(9, 40, 41, 7)], {"pool_size": 2}),
}


@pytest.mark.parametrize("name", BIG)
def test_work_that_is_worth_sharing_gives_the_same_bits_too(name):
    """Drawn calls are small; these are cut into pieces for several threads."""
    rng = np.random.default_rng(0)
    shapes, options = BIG[name]
    given = [None if s is None else rng.standard_normal(s).astype("float32") for s in shapes]
    call = strategies.Call(name.split()[0], given, options)
    with textbook():
        wanted = outcome(call)
    before, found = threads.num_threads(), {}
    try:
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            found[count] = outcome(call)
    finally:
        threads.set_num_threads(before)
    assert_same(found[1], wanted)
    for count in (2, 3, 7):
        for key, value in found[1].items():
            if value is not None:
                np.testing.assert_array_equal(found[count][key], value)


# --- found by these properties -------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_empty_batch_goes_through_a_convolution_in_groups(axes):
    """The columns of no samples could not be sorted into groups: the backward raised."""
    x, kernel = np.zeros((0, *[4] * axes, 2)), np.ones((*[3] * axes, 1, 2))
    found = outcome(strategies.Call(f"conv{axes}d", [x, kernel, None], {"groups": 2}))
    assert found["y"].shape == (0, *[2] * axes, 2) and found["gradient 0"].shape == x.shape
    np.testing.assert_array_equal(found["gradient 1"], 0 * kernel)
