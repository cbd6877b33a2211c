"""Steps of optimizers: all weights of a model in one launch, in place."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.kernels.gpu import proofs
from tests.kernels.gpu.host import HostDriver, KernelError
from tests.kernels.gpu.proofs import BODY
from tests.properties import strategies
from tinymed.kernels.gpu import drivers, reading
from tinymed.live import Live, recording
from tinymed.ops import UPDATES
from tinymed.optimizers import SGD, Adagrad, Adam, RMSprop

pytestmark = pytest.mark.usefixtures("on_host")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("name", sorted(UPDATES))
def test_all_weights_in_one_launch(name, dtype, in_place, host_driver):
    arrays = proofs.weights_of_a_model(dtype)[name]
    options = {"learning_rate": 0.3, "weight_decay": 0.1}
    if name in ("sgd_update", "rmsprop_update"):
        options["momentum"] = 0.9
    before = host_driver.launches.total()
    wanted = [UPDATES[name].textbook(*one, **options) for one in zip(*arrays, strict=True)]
    own = [[a.copy() for a in column] for column in arrays]
    out = (own[0], *own[2:]) if in_place else None
    found = BODY[name](*own, **options, out=out)
    assert host_driver.launches.total() == before + 2  # 32 at a time
    for column, right in zip(found, zip(*wanted, strict=True), strict=True):
        for a, b in zip(column, right, strict=True):
            assert a.shape == np.shape(b) and a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-12 if dtype == "float64" else 2e-5)
    if not in_place:
        for column, start in zip(own, arrays, strict=True):
            for a, b in zip(column, start, strict=True):
                np.testing.assert_array_equal(a, b)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.update_calls())
def test_drawn_steps_of_optimizers(call):
    body, function = BODY[call.op], UPDATES[call.op]
    call.arrays = [None if a is None else np.asarray(a) for a in call.arrays]
    with np.errstate(all="ignore"):
        wanted = function.textbook(*call.arrays, **call.options)
        found = body(*call.arrays, **call.options)
        own = [None if a is None else np.array(a) for a in call.arrays]
        body(*own, **call.options, out=(own[0], *own[2:]))
    for results in (found, (own[0], *own[2:])):
        for a, b in zip(results, wanted, strict=True):
            assert (a is None) == (b is None)
            if b is not None:
                assert np.shape(a) == np.shape(b) and a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-12 if b.dtype == np.float64 else 2e-5, atol=1e-7)


def test_what_an_update_cannot_take_at_once_goes_one_by_one(host_driver):
    rng = np.random.default_rng(0)
    weights = [rng.random(5), rng.random(4).astype("float32"), rng.random((6, 4))[:, ::2]]
    grads = [np.ones_like(w) for w in weights]
    before = host_driver.launches.total()
    found, slot = BODY["sgd_update"](weights, grads, None, 0.5)
    assert host_driver.launches.total() == before and slot is None
    for w, g, new in zip(weights, grads, found, strict=True):
        np.testing.assert_allclose(new, w - 0.5 * g)
        assert new.dtype == w.dtype


class Places:
    """Records where the numbers will stand that change from step to step."""

    def __init__(self, *values):
        self.values = list(values)

    def place(self, like, formula, arguments, dtype):
        return np.array(self.values.pop(0), like.dtype)


@pytest.mark.parametrize("name", sorted(UPDATES))
def test_rates_come_from_the_device_while_a_step_is_recorded(name):
    arrays = [column[0] for column in proofs.weights_of_a_model("float32")[name]]
    adam = name == "adam_update"
    options = {"step": 3} if adam else {}
    wanted = UPDATES[name].textbook(*arrays, learning_rate=0.2, weight_decay=0.1, **options)
    alpha = 0.2 * np.sqrt(1 - 0.999**3) / (1 - 0.9**3) if adam else 0.2
    with recording(Places(alpha, 0.02)):
        live = {"step": Live(lambda: 3)} if adam else {}
        found = BODY[name](*arrays, learning_rate=Live(lambda: 0.2), weight_decay=0.1, **live)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(), RMSprop(centered=True), Adagrad()], ids=repr)
def test_optimizers_hand_over_all_weights_at_once(optimizer, monkeypatch):
    """Two steps of a model with three weights: the body for GPUs gets lists, once per step."""
    function = UPDATES[f"{type(optimizer).__name__.lower()}_update"]
    calls = []

    def body(*args, **kwargs):
        calls.append(len(args[0]))
        return BODY[function.__name__](*args, **kwargs)

    body.takes_lists = True
    own = dict(function.bodies)
    rng = np.random.default_rng(0)
    params = {name: rng.random(size) for name, size in (("a", 3), ("b", (2, 2)), ("c", 1))}
    plain = {name: value.copy() for name, value in params.items()}
    grads = {name: rng.random(value.shape) for name, value in params.items()}
    other = type(optimizer).from_config(optimizer.get_config())
    try:
        function.register(np.ndarray)(body)
        for _ in range(2):
            optimizer.update(params, grads)
    finally:
        function.register(np.ndarray)(own[np.ndarray])
    for _ in range(2):
        other.update(plain, grads)
    assert calls == [3, 3]
    for name, value in params.items():
        np.testing.assert_allclose(value, plain[name], rtol=1e-12)


def test_planted_mistake_in_a_step_of_an_optimizer(monkeypatch, tmp_path, library_folder):
    """The search for a weight ends one too early."""
    folder = shutil.copytree(reading.SOURCES, tmp_path / "sources")
    file = folder / "updates.cu"
    file.write_text(file.read_text().replace("ends.at[weight + half - 1] <= i", "ends.at[weight + half - 1] < i"))
    monkeypatch.setattr(reading, "SOURCES", folder)
    monkeypatch.setitem(reading.KERNELS, "sgd", reading.read(file))
    arrays = proofs.weights_of_a_model("float32")["sgd_update"]
    with drivers.use_driver(HostDriver(library_folder)), pytest.raises(KernelError, match="behind the end of"):
        BODY["sgd_update"](*arrays)
