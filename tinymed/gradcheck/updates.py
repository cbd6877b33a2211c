"""Optimizers and learning-rate schedules beside their published formulas, with fifty digits.

The formulas stand here a second time, for single numbers and as the papers (and Keras, where it differs) write
them, not as ``ops/updates.py`` arranges them.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.gradcheck.report import Row

TOLERANCE = 1e-12
"""Largest relative error of a weight, or a learning rate, against fifty digits."""

SIZES = (1.0, 1.0, 1e-3, 0.5, 1.0, 1e-3)
"""Size of the gradients at each step. That it falls and rises makes running means do both (AMSGrad remembers)."""

Memory = dict[str, Decimal]
Rule = Callable[[Decimal, Decimal, Memory, int, Decimal, Any], Decimal]
"""New weight from weight, gradient, memory, step number from 1, learning rate and the optimizer's settings."""


def _number(x: Any) -> Decimal:
    return Decimal(float(x))


def _sgd(w: Decimal, g: Decimal, memory: Memory, t: int, rate: Decimal, c: Any) -> Decimal:
    mu = _number(c.momentum)
    if mu == 0:
        return w - rate * g
    velocity = mu * memory.get("velocity", Decimal(0)) - rate * g
    memory["velocity"] = velocity
    return w + mu * velocity - rate * g if c.nesterov else w + velocity


def _adam(w: Decimal, g: Decimal, memory: Memory, t: int, rate: Decimal, c: Any) -> Decimal:
    b1, b2, one = _number(c.beta_1), _number(c.beta_2), Decimal(1)
    m = memory["m"] = b1 * memory.get("m", Decimal(0)) + (one - b1) * g
    v = memory["v"] = b2 * memory.get("v", Decimal(0)) + (one - b2) * g * g
    if c.amsgrad:
        v = memory["v_max"] = max(v, memory.get("v_max", Decimal(0)))
    # Keras adds epsilon to the root before its bias is corrected ("epsilon hat" in the paper)
    m_hat, root_hat = m / (one - b1**t), (v / (one - b2**t)).sqrt()
    return w - rate * m_hat / (root_hat + _number(c.epsilon) / (one - b2**t).sqrt())


def _rmsprop(w: Decimal, g: Decimal, memory: Memory, t: int, rate: Decimal, c: Any) -> Decimal:
    rho, mu = _number(c.rho), _number(c.momentum)
    square = memory["square"] = rho * memory.get("square", Decimal(0)) + (1 - rho) * g * g
    if c.centered:
        mean = memory["mean"] = rho * memory.get("mean", Decimal(0)) + (1 - rho) * g
        square = square - mean * mean
    step = rate * g / (square + _number(c.epsilon)).sqrt()
    if mu:
        step = memory["step"] = mu * memory.get("step", Decimal(0)) + step
    return w - step


def _adagrad(w: Decimal, g: Decimal, memory: Memory, t: int, rate: Decimal, c: Any) -> Decimal:
    total = memory["sum"] = memory.get("sum", _number(c.initial_accumulator_value)) + g * g
    return w - rate * g / (total + _number(c.epsilon)).sqrt()


RULES: dict[str, Rule] = {"SGD": _sgd, "Adam": _adam, "AdamW": _adam, "RMSprop": _rmsprop, "Adagrad": _adagrad}
"""The formula of each optimizer."""

_COMMON: list[dict[str, Any]] = [
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.25},
    {"global_clipnorm": 0.75},
    {"schedule": True},
]

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, *_COMMON],
    "Adam": [{}, {"amsgrad": True}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, *_COMMON],
    "AdamW": [{}, {"weight_decay": 0.1, "amsgrad": True}, {"weight_decay": 0.0}, {"schedule": True}],
    "RMSprop": [{}, {"momentum": 0.5}, {"centered": True}, {"centered": True, "momentum": 0.5}, *_COMMON],
    "Adagrad": [{}, {"initial_accumulator_value": 0.0}, *_COMMON],
}
"""The settings with which each optimizer is followed; ``schedule`` stands for a learning rate that falls."""


def check_optimizer(cls: type, seed: int = 0) -> Iterator[Row]:
    """Follow an optimizer for some steps, in all its settings, on two weights with random gradients."""
    base = next((base for base in cls.__mro__ if base.__name__ in RULES), None)
    if base is None:
        yield Row(cls.__name__, "", "coverage", "weights", np.inf, 0.0, "gradcheck/updates.py has no formula for it")
        return
    for settings in SETTINGS[base.__name__]:
        case = ", ".join(f"{k}={v}" for k, v in settings.items()) or "defaults"
        rng = np.random.default_rng([seed, len(case)])
        try:
            errors = _follow(cls, RULES[base.__name__], settings, rng)
        except Exception as error:
            yield Row(cls.__name__, case, "updates", "weights", np.inf, TOLERANCE, f"{type(error).__name__}: {error}")
            continue
        worst = max(range(len(errors)), key=errors.__getitem__)
        note = f"after step {worst + 1}" if errors[worst] > TOLERANCE else ""
        yield Row(cls.__name__, case, "updates", "weights", errors[worst], TOLERANCE, note)


def _follow(cls: type, rule: Rule, settings: dict[str, Any], rng: np.random.Generator) -> list[float]:
    """Return the largest relative error of all weights after each step."""
    options = {name: value for name, value in settings.items() if name != "schedule"}
    rate: Any = 0.05
    if "schedule" in settings:
        schedules = importlib.import_module("tinymed.optimizers.schedules")
        rate = schedules.PolynomialDecay(0.05, decay_steps=4, end_learning_rate=0.01)
    optimizer = cls(learning_rate=rate, **options)
    host = {"kernel": rng.standard_normal((2, 3)), "bias": rng.standard_normal(3)}
    params = {name: backend.asarray(np.array(value)) for name, value in host.items()}
    errors = []
    with localcontext() as context:
        context.prec = 50
        exact = {name: [_number(v) for v in value.ravel()] for name, value in host.items()}
        memories: dict[str, list[Memory]] = {name: [{} for _ in value] for name, value in exact.items()}
        for t, size in enumerate(SIZES, start=1):
            grads = {name: size * rng.standard_normal(value.shape) for name, value in host.items()}
            optimizer.update(params, {name: backend.asarray(np.array(g)) for name, g in grads.items()})
            clipped = _clip({name: [_number(v) for v in g.ravel()] for name, g in grads.items()}, optimizer)
            now = _number(rate) if "schedule" not in settings else _falling(t - 1)
            decay = now * _number(optimizer.weight_decay or 0)
            for name, weights in exact.items():
                for i, w in enumerate(weights):
                    weights[i] = rule(w - decay * w, clipped[name][i], memories[name][i], t, now, optimizer)
            found = {name: backend.to_host(params[name]).ravel() for name in params}
            errors.append(max(_error(found[name], exact[name]) for name in exact))
    return errors


def _falling(step: int) -> Decimal:
    """Return the learning rate after ``step`` steps: from 0.05 in a straight line to 0.01 in four steps."""
    part = Decimal(min(step, 4)) / 4
    return _number(0.05) + (_number(0.01) - _number(0.05)) * part


def _clip(grads: dict[str, list[Decimal]], c: Any) -> dict[str, list[Decimal]]:
    """Clip as the optimizer's settings say: values, each gradient's norm, or the norm of all."""
    if c.clipvalue:
        limit = _number(c.clipvalue)
        return {name: [max(-limit, min(limit, v)) for v in g] for name, g in grads.items()}
    if c.clipnorm:
        return {name: _shorten(g, _norm(g), c.clipnorm) for name, g in grads.items()}
    if c.global_clipnorm:
        norm = _norm([v for g in grads.values() for v in g])
        return {name: _shorten(g, norm, c.global_clipnorm) for name, g in grads.items()}
    return grads


def _norm(values: list[Decimal]) -> Decimal:
    return sum((v * v for v in values), Decimal(0)).sqrt()


def _shorten(values: list[Decimal], norm: Decimal, limit: float) -> list[Decimal]:
    return [v * _number(limit) / norm for v in values] if norm > _number(limit) else values


def _error(found: np.ndarray, wanted: list[Decimal]) -> float:
    differences = [abs(_number(f) - w) for f, w in zip(found, wanted, strict=True)]
    return float(max(differences) / max(Decimal("1e-30"), *map(abs, wanted)))


# --- schedules -------------------------------------------------------------------------------------------------

Formula = Callable[[Any, int], Decimal]

_PI = Decimal("3.14159265358979323846264338327950288419716939937510582")


def _cos(x: Decimal) -> Decimal:
    term, total, n = Decimal(1), Decimal(1), 0
    while abs(term) > Decimal("1e-45"):
        n += 2
        term = -term * x * x / (n * (n - 1))
        total += term
    return total


def _exponential(c: Any, step: int) -> Decimal:
    exponent = Decimal(step) / Decimal(c.decay_steps)
    return _number(c.initial_learning_rate) * _number(c.decay_rate) ** (int(exponent) if c.staircase else exponent)


def _piecewise(c: Any, step: int) -> Decimal:
    for boundary, value in zip(c.boundaries, c.values, strict=False):
        if step <= boundary:
            return _number(value)
    return _number(c.values[-1])


def _polynomial(c: Any, step: int) -> Decimal:
    length = Decimal(c.decay_steps)
    if c.cycle:
        while length < step:
            length += Decimal(c.decay_steps)
    part = 1 - min(Decimal(step), length) / length
    start, end = _number(c.initial_learning_rate), _number(c.end_learning_rate)
    return (start - end) * (part ** _number(c.power) if part else Decimal(0)) + end


def _inverse_time(c: Any, step: int) -> Decimal:
    t = Decimal(step) / Decimal(c.decay_steps)
    return _number(c.initial_learning_rate) / (1 + _number(c.decay_rate) * (int(t) if c.staircase else t))


def _cosine(c: Any, step: int) -> Decimal:
    top = _number(c.initial_learning_rate)
    if c.warmup_target is not None:
        if step < c.warmup_steps:
            return top + (_number(c.warmup_target) - top) * step / c.warmup_steps
        top, step = _number(c.warmup_target), step - c.warmup_steps
    part = min(Decimal(step) / Decimal(c.decay_steps), Decimal(1))
    alpha = _number(c.alpha)
    return top * ((1 - alpha) * (1 + _cos(_PI * part)) / 2 + alpha)


def _cosine_restarts(c: Any, step: int) -> Decimal:
    length, height, left = Decimal(c.first_decay_steps), Decimal(1), Decimal(step)
    while left >= length:
        left, length, height = left - length, length * _number(c.t_mul), height * _number(c.m_mul)
    alpha = _number(c.alpha)
    return _number(c.initial_learning_rate) * ((1 - alpha) * height * (1 + _cos(_PI * left / length)) / 2 + alpha)


FORMULAS: dict[str, tuple[Formula, list[dict[str, Any]]]] = {
    "ExponentialDecay": (
        _exponential,
        [{"decay_steps": 4, "decay_rate": 0.9}, {"decay_steps": 4, "decay_rate": 0.9, "staircase": True}],
    ),
    "PiecewiseConstantDecay": (_piecewise, [{"boundaries": [3, 7], "values": [0.1, 0.05, 0.01]}]),
    "PolynomialDecay": (
        _polynomial,
        [{"decay_steps": 5}, {"decay_steps": 5, "power": 2.0}, {"decay_steps": 4, "cycle": True}],
    ),
    "InverseTimeDecay": (
        _inverse_time,
        [{"decay_steps": 4, "decay_rate": 0.5}, {"decay_steps": 4, "decay_rate": 0.5, "staircase": True}],
    ),
    "CosineDecay": (
        _cosine,
        [{"decay_steps": 6}, {"decay_steps": 5, "alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 3}],
    ),
    "CosineDecayRestarts": (
        _cosine_restarts,
        [{"first_decay_steps": 4}, {"first_decay_steps": 3, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.1}],
    ),
}
"""The formula of each schedule, and the settings with which it is followed."""


def check_schedule(cls: type) -> Iterator[Row]:
    """Compare a schedule's first sixteen learning rates with its formula; the turning points are among them."""
    base = next((base for base in cls.__mro__ if base.__name__ in FORMULAS), None)
    if base is None:
        yield Row(cls.__name__, "", "coverage", "rate", np.inf, 0.0, "gradcheck/updates.py has no formula for it")
        return
    formula, settings = FORMULAS[base.__name__]
    for options in settings:
        case = ", ".join(f"{k}={v}" for k, v in options.items())
        schedule = cls(**options) if "values" in options else cls(0.1, **options)
        errors = []
        with localcontext() as context:
            context.prec = 50
            for step in range(16):
                wanted = formula(schedule, step)
                scale = max(abs(wanted), Decimal("1e-4"))
                errors.append(float(abs(_number(schedule(step)) - wanted) / scale))
        worst = max(range(len(errors)), key=errors.__getitem__)
        note = f"after {worst} steps" if errors[worst] > TOLERANCE else ""
        yield Row(cls.__name__, case, "updates", "learning rate", errors[worst], TOLERANCE, note)


def optimizer_classes() -> dict[str, type]:
    """Return tinymed's optimizers by name."""
    return _classes("tinymed.optimizers", "Optimizer")


def schedule_classes() -> dict[str, type]:
    """Return tinymed's learning-rate schedules by name."""
    return _classes("tinymed.optimizers.schedules", "LearningRateSchedule")


def _classes(module: str, base: str) -> dict[str, type]:
    found = importlib.import_module(module)
    parent = getattr(found, base)
    return {
        name: value
        for name, value in vars(found).items()
        if inspect.isclass(value) and issubclass(value, parent) and value is not parent and not name.startswith("_")
    }
