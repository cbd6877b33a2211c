"""Optimizers and schedules against Keras: the same gradients move the same weights to the same places."""

import inspect

import numpy as np
import pytest

from tests.peers.compare import Row, assert_close, check_arguments, generator, host, same_meaning
from tinymed import optimizers
from tinymed.optimizers import schedules

STEPS = 20
WEIGHTS = 1e-5
"""Largest difference of a weight after all steps, as a part of the largest of all weights.

Keras computes 1 - beta^t in float32, which costs it five digits in the first steps of Adam.
"""


def row(cls, **kwargs):
    return Row(cls, kwargs)


EXPONENTIAL = row("ExponentialDecay", initial_learning_rate=0.1, decay_steps=7, decay_rate=0.5)
COSINE = row("CosineDecay", initial_learning_rate=0.1, decay_steps=15, alpha=0.1)
SCHEDULES = [
    EXPONENTIAL,
    row("ExponentialDecay", initial_learning_rate=0.1, decay_steps=7, decay_rate=0.5, staircase=True),
    row("PiecewiseConstantDecay", boundaries=[3, 10], values=[1.0, 0.5, 0.1]),
    row("PolynomialDecay", initial_learning_rate=0.1, decay_steps=15),
    row("PolynomialDecay", initial_learning_rate=0.1, decay_steps=15, end_learning_rate=0.01, power=2.0),
    row("PolynomialDecay", initial_learning_rate=0.1, decay_steps=6, power=0.5, cycle=True),
    row("InverseTimeDecay", initial_learning_rate=0.1, decay_steps=5, decay_rate=0.7),
    row("InverseTimeDecay", initial_learning_rate=0.1, decay_steps=5, decay_rate=0.7, staircase=True),
    COSINE,
    row("CosineDecay", initial_learning_rate=0.0, decay_steps=15, warmup_target=0.2, warmup_steps=5),
    row("CosineDecayRestarts", initial_learning_rate=0.1, first_decay_steps=5),
    row("CosineDecayRestarts", initial_learning_rate=0.1, first_decay_steps=4, t_mul=1.0, m_mul=0.7, alpha=0.2),
    row("CosineDecayRestarts", initial_learning_rate=0.1, first_decay_steps=4, t_mul=1.5, m_mul=0.9),
]

LIMITS = [{"clipnorm": 0.5}, {"global_clipnorm": 0.7}, {"clipvalue": 0.1}]
OPTIMIZERS = [
    row("SGD"),
    row("SGD", learning_rate=0.1, momentum=0.9),
    row("SGD", learning_rate=0.1, momentum=0.9, nesterov=True),
    row("SGD", learning_rate=0.1, weight_decay=0.02),
    row("Adam"),
    row("Adam", learning_rate=0.05, beta_1=0.8, beta_2=0.9, epsilon=1e-3),
    row("Adam", learning_rate=0.05, amsgrad=True),
    row("Adam", weight_decay=0.02),
    row("AdamW"),
    row("AdamW", learning_rate=0.05, weight_decay=0.1, amsgrad=True),
    row("RMSprop"),
    row("RMSprop", learning_rate=0.02, rho=0.8, momentum=0.5),
    row("RMSprop", learning_rate=0.02, centered=True),
    row("RMSprop", learning_rate=0.02, centered=True, momentum=0.5, weight_decay=0.01),
    row("Adagrad"),
    row("Adagrad", learning_rate=0.1, initial_accumulator_value=0.5, epsilon=1e-3, weight_decay=0.01),
    *(
        row(cls, learning_rate=rate, **extra)
        for cls in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")
        for rate, extra in [*((0.05, limit) for limit in LIMITS), (EXPONENTIAL, {}), (COSINE, {"clipnorm": 0.5})]
    ),
]

# Arguments of Keras's optimizers that tinymed does not offer.
LEFT_OUT = {
    "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
}  # fmt: skip


def build(row, module):
    kwargs = {
        key: getattr(module.schedules, value.cls)(**value.kwargs) if isinstance(value, Row) else value
        for key, value in row.kwargs.items()
    }
    return getattr(module, row.cls)(**kwargs)


@pytest.mark.parametrize("row", OPTIMIZERS, ids=str)
def test_twenty_steps_agree_with_keras(row, keras):
    rng = generator(row)
    start = {"kernel": rng.standard_normal((4, 3)), "bias": rng.standard_normal(3), "scale": rng.standard_normal(1)}
    params = {name: value.astype("float32") for name, value in start.items()}
    variables = [keras.Variable(value.copy(), name=name) for name, value in params.items()]
    ours, theirs = build(row, optimizers), build(row, keras.optimizers)
    theirs.build(variables)
    for step in range(STEPS):
        grads = {name: rng.standard_normal(w.shape).astype("float32") for name, w in params.items()}
        rate = float(theirs.learning_rate)
        assert ours.current_learning_rate() == pytest.approx(rate, rel=1e-5, abs=1e-9), f"step {step}"
        ours.update(params, grads)
        theirs.apply([keras.ops.convert_to_tensor(g) for g in grads.values()])
    assert ours.iterations == int(theirs.iterations) == STEPS
    assert all(w.dtype == np.float32 for w in params.values())
    end = [np.concatenate([np.ravel(host(w)) for w in weights]) for weights in (params.values(), variables)]
    assert_close(end[0], end[1], WEIGHTS, "weights")


@pytest.mark.parametrize("row", SCHEDULES, ids=str)
def test_schedules_agree_with_keras(row, keras):
    ours = getattr(schedules, row.cls)(**row.kwargs)
    theirs = getattr(keras.optimizers.schedules, row.cls)(**row.kwargs)
    steps = range(40)
    assert [ours(t) for t in steps] == pytest.approx([float(theirs(t)) for t in steps], rel=2e-5, abs=1e-8)
    config, wanted = ours.get_config(), theirs.get_config()
    assert config.keys() == wanted.keys()
    assert all(same_meaning(config[key], wanted[key]) for key in config)


@pytest.mark.parametrize("name", sorted({row.cls for row in OPTIMIZERS}))
def test_arguments_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(optimizers, name), getattr(keras.optimizers, name), LEFT_OUT)


@pytest.mark.parametrize("name", sorted({row.cls for row in SCHEDULES}))
def test_arguments_of_schedules_have_keras_s_names_order_and_defaults(name, keras):
    check_arguments(getattr(schedules, name), getattr(keras.optimizers.schedules, name), ())


@pytest.mark.parametrize("row", OPTIMIZERS[:16], ids=str)
def test_configurations_are_keras_s(row, keras):
    config, wanted = build(row, optimizers).get_config(), build(row, keras.optimizers).get_config()
    assert set(wanted) - set(config) <= LEFT_OUT | {"is_legacy_optimizer"}
    for key in (config.keys() & wanted.keys()) - {"name", "learning_rate"}:
        assert same_meaning(config[key], wanted[key]), key
    assert config["learning_rate"] == pytest.approx(wanted["learning_rate"])


def test_every_optimizer_and_schedule_is_compared():
    offered = {name for name in optimizers.__all__ if inspect.isclass(getattr(optimizers, name))}
    assert offered - {"Optimizer"} == {row.cls for row in OPTIMIZERS}
    base = schedules.LearningRateSchedule
    offered = {name for name, item in vars(schedules).items() if inspect.isclass(item) and issubclass(item, base)}
    assert offered - {base.__name__} == {row.cls for row in SCHEDULES}
