import itertools

import numpy as np
import pytest

from tests.gradcheck.operations import passes, square, square_backward, subject
from tinymed.gradcheck.adapters import subject_of_layer
from tinymed.gradcheck.case import LayerCase
from tinymed.layers import BatchNormalization, Dense, Dropout, GaussianNoise

NAMES = ("mutation", "aliasing", "dtypes", "repeatability", "reuse")


@pytest.mark.parametrize("check", NAMES)
def test_a_decent_operation_passes(check):
    assert passes(check, subject())


def changes_x(x):
    y = x * x
    x *= 1
    x += 1
    return y, y


def changes_dy(dy, cache):
    dy *= 2
    return dy * cache


counter = itertools.count()


@pytest.mark.parametrize(
    ("check", "forward", "backward"),
    [
        ("mutation", changes_x, square_backward),
        ("mutation", square, changes_dy),
        ("aliasing", square, lambda dy, x: dy),
        ("aliasing", square, lambda dy, x: x),
        ("aliasing", square, lambda dy, x: dy[::-1]),
        ("dtypes", lambda x: (x.astype(np.float64) ** 2, x), square_backward),
        ("dtypes", square, lambda dy, x: np.float64(2) * x * dy.astype(np.float64)),
        ("repeatability", square, lambda dy, x: x * dy * (1 + next(counter))),
    ],
)
def test_bad_behaviour_fails(check, forward, backward):
    assert not passes(check, subject(forward, backward))


def test_two_gradients_may_not_share():
    shared = subject(lambda a, b: (a + b, None), lambda dy, c: (g := 1 * dy, g), arrays={"a": (2,), "b": (2,)})
    assert not passes("aliasing", shared)


def test_half_precision_must_be_summed_in_single():
    case = {"arrays": {"x": lambda rng: 1 + rng.uniform(size=(3, 3000))}}
    spread = lambda dy, c: np.broadcast_to(dy, c).astype(dy.dtype)  # noqa: E731
    narrow = subject(lambda x: (np.add.accumulate(x, axis=1)[:, -1:], x.shape), spread, **case)
    wide = subject(lambda x: (x.sum(axis=1, keepdims=True, dtype="f4").astype(x.dtype), x.shape), spread, **case)
    assert passes("dtypes", wide) and not passes("dtypes", narrow)


def test_a_cache_kept_by_the_operation_fails():
    kept = {}

    def forward(x):
        kept["x"] = x
        return x * x, None

    assert not passes("reuse", subject(forward, lambda dy, c: 2 * kept["x"] * dy))


def test_inference_must_leave_the_state_alone():
    class Counting(BatchNormalization):
        def forward(self, x, training=False):
            self.state["moving_mean"][...] = self.state["moving_mean"] + 1
            return super().forward(x, training)

    case = LayerCase(BatchNormalization, (4, 3))
    assert passes("state", subject_of_layer(case, training=False))
    assert passes("state", subject_of_layer(case, training=True))
    assert not passes("state", subject_of_layer(LayerCase(Counting, (4, 3)), training=False))


def test_noise_must_keep_the_mean():
    class Louder(GaussianNoise):
        def forward(self, x, training=False):
            y, cache = super().forward(x, training)
            return (1.2 * y if training else y), cache

    for make, right in ((lambda: Dropout(0.5), True), (lambda: GaussianNoise(0.3), True), (lambda: Louder(0.3), False)):
        item = subject_of_layer(LayerCase(make, (4, 6)), training=True)
        item.random = True
        assert passes("expectation", item) is right


def test_layers_without_randomness_have_no_expectation_to_check():
    from tests.gradcheck.operations import rows

    assert rows("expectation", subject_of_layer(LayerCase(lambda: Dense(2), (3, 4)))) == []
