"""Every operation, layer, loss and optimizer on a device, compared with the textbook's bodies on NumPy.

The device is that of a library that refuses all but the array API standard: its arrays do not lie on the host, and any
silent copy is refused too, so that it stands in for a GPU. With ``-m gpu`` it is a GPU, and kernels compute there.
"""

import numpy as np
import pytest

from tests.devices import DEVICES, is_on, on
from tinymed import backend
from tinymed.gradcheck.adapters import subject_of_layer, subject_of_loss, subject_of_op
from tinymed.gradcheck.cases import layer_cases, loss_cases, op_cases
from tinymed.gradcheck.subject import dtype_name, flat, leaves, like, upstream
from tinymed.gradcheck.updates import SETTINGS, check_optimizer, optimizer_classes
from tinymed.ops import UPDATES, textbook

pytestmark = pytest.mark.parametrize("device", DEVICES)


def named(cases, name):
    return [pytest.param(case, id=f"{name(case)}-{i}") for i, case in enumerate(cases)]


def compare(make, dtype, device):
    """Run one subject on NumPy and on the device: the same numbers, and all of them on the device."""
    subject = make()
    point = subject.draw(np.random.default_rng(0), dtype)
    with textbook():
        y, cache = subject.run(point)
        dy = upstream(y, np.random.default_rng(1))
        wanted = {"output": y, **subject.gradients(dy, cache)}
    with on(device):
        subject = make()
        y, cache = subject.run(point)
        found = {"output": y, **subject.gradients(like(flat(dy), y), cache)}
    assert set(found) == set(wanted)
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    for name, value in found.items():
        for leaf in leaves(value):
            assert is_on(device, leaf)
            assert dtype_name(leaf) == dtype
        scale = max(1e-30, float(np.max(np.abs(flat(wanted[name])), initial=0.0)))
        np.testing.assert_allclose(flat(value) / scale, flat(wanted[name]) / scale, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", named(op_cases(), lambda case: case.op))
def test_operations(case, dtype, device):
    compare(lambda: subject_of_op(case), dtype, device)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("case", named(layer_cases(), lambda case: type(case.make()).__name__))
def test_layers(case, training, device):
    compare(lambda: subject_of_layer(case, training), "float32", device)


@pytest.mark.parametrize("case", named(loss_cases(), lambda case: type(case.make()).__name__))
def test_losses(case, device):
    compare(lambda: subject_of_loss(case), "float32", device)


@pytest.mark.parametrize("name", SETTINGS)
def test_optimizers_follow_their_formulas_in_all_settings(name, device):
    with on(device):
        rows = list(check_optimizer(optimizer_classes()[name]))
    assert rows and all(row.ok for row in rows), [row for row in rows if not row.ok]


@pytest.mark.parametrize("name", UPDATES)
def test_updates(name, device):
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.5, 1.0, (3, 2)).astype("float32") for _ in range(5)]
    slots = {"sgd_update": 1, "adam_update": 3, "rmsprop_update": 3, "adagrad_update": 1}[name]
    given = arrays[: 2 + slots]
    wanted = UPDATES[name].textbook(*given)
    with on(device):
        found = UPDATES[name](*map(backend.asarray, given))
    for a, b in zip(found, wanted, strict=True):
        assert is_on(device, a)
        np.testing.assert_allclose(backend.to_host(a), b, rtol=2e-6)
