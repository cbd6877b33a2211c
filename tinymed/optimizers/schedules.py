r"""Learning rates that change with the step, under Keras's names.

A schedule is called with the number of steps done so far (0 before the first) and returns the learning rate of
the next one, a Python float.

>>> halving = ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
>>> halving(0), halving(100), halving(200)
(0.1, 0.05, 0.025)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinymed.configurable import Configurable, resolve


class LearningRateSchedule(Configurable):
    """Base of all schedules; one of your own needs ``__call__`` and keeps its arguments under their names."""

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        raise NotImplementedError(f"{type(self).__name__} does not say what the learning rate is")


class ExponentialDecay(LearningRateSchedule):
    r"""$\eta = \eta_0\, r^{t/T}$.

    Arguments:
        initial_learning_rate: $\eta_0$.
        decay_steps: $T$, steps for one factor $r$.
        decay_rate: $r$.
        staircase: Whether to round $t/T$ down, so that the rate falls in steps.
        name: For the reader only.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps, "decay_steps", self)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        p = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.initial_learning_rate * self.decay_rate**p)


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]``, and so on.

    Arguments:
        boundaries: Steps, each greater than the one before.
        values: One learning rate more than there are boundaries.
        name: For the reader only.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay needs one value more than boundaries, "
                f"got {len(self.boundaries)} boundaries and {len(self.values)} values"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"PiecewiseConstantDecay needs boundaries in rising order, got {self.boundaries}")

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        return float(self.values[sum(step > boundary for boundary in self.boundaries)])


class PolynomialDecay(LearningRateSchedule):
    r"""$\eta = (\eta_0 - \eta_1)(1 - t/T)^p + \eta_1$, and $\eta_1$ from step $T$ on.

    Arguments:
        initial_learning_rate: $\eta_0$.
        decay_steps: $T$.
        end_learning_rate: $\eta_1$.
        power: $p$; 1 is a straight line.
        cycle: Whether, beyond $T$, $T$ becomes its next multiple that is not below $t$.
        name: For the reader only.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps, "decay_steps", self)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        steps = self.decay_steps
        if self.cycle:
            steps = steps * max(1, math.ceil(step / steps))
        remaining = 1 - min(step, steps) / steps
        span = self.initial_learning_rate - self.end_learning_rate
        return float(span * remaining**self.power + self.end_learning_rate)


class InverseTimeDecay(LearningRateSchedule):
    r"""$\eta = \eta_0 / (1 + r\, t/T)$.

    Arguments:
        initial_learning_rate: $\eta_0$.
        decay_steps: $T$.
        decay_rate: $r$.
        staircase: Whether to round $t/T$ down, so that the rate falls in steps.
        name: For the reader only.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps, "decay_steps", self)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        p = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.initial_learning_rate / (1 + self.decay_rate * p))


class CosineDecay(LearningRateSchedule):
    r"""Half a cosine from $\eta_0$ down to $a\,\eta_0$: $\eta = \eta_0 ((1 - a) \frac{1 + \cos(\pi t/T)}{2} + a)$.

    With ``warmup_target`` the rate first rises in a straight line from ``initial_learning_rate`` to
    ``warmup_target`` in ``warmup_steps`` steps, and the cosine starts there.

    Arguments:
        initial_learning_rate: $\eta_0$, or where the warm-up starts.
        decay_steps: $T$, without the warm-up; the rate stays at its end from then on.
        alpha: $a$, the part that is left at the end.
        name: For the reader only.
        warmup_target: $\eta_0$ of the cosine after a warm-up; None for no warm-up.
        warmup_steps: Steps of the warm-up.

    Source:
        Loshchilov and Hutter 2017; Goyal et al. 2017 for the warm-up.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive(decay_steps, "decay_steps", self)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        top, warmup_steps = self.initial_learning_rate, 0
        if self.warmup_target is not None:
            top, warmup_steps = self.warmup_target, self.warmup_steps
            if step < warmup_steps:
                rise = self.warmup_target - self.initial_learning_rate
                return float(self.initial_learning_rate + rise * (step / warmup_steps))
        fraction = min((step - warmup_steps) / self.decay_steps, 1.0)
        return float(top * _half_cosine(fraction, 1.0, self.alpha))


class CosineDecayRestarts(LearningRateSchedule):
    r"""Half a cosine again and again: each run ``t_mul`` times as long and ``m_mul`` times as high as the one before.

    Arguments:
        initial_learning_rate: Where the first run starts.
        first_decay_steps: Steps of the first run.
        t_mul: How much longer each run is than the one before, 1 or more.
        m_mul: How much higher each run starts than the one before.
        alpha: The part of ``initial_learning_rate`` that is left at the end of a run.
        name: For the reader only.

    Source:
        Loshchilov and Hutter 2017 (SGDR).
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive(first_decay_steps, "first_decay_steps", self)
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name
        if t_mul < 1:
            raise ValueError(f"CosineDecayRestarts needs t_mul of 1 or more (runs that do not shrink), got {t_mul!r}")

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        start, length, height = 0.0, float(self.first_decay_steps), 1.0
        if self.t_mul == 1:
            restarts = step // self.first_decay_steps
            start, height = restarts * length, self.m_mul**restarts
        else:
            while step >= start + length:
                start, length, height = start + length, length * self.t_mul, height * self.m_mul
        fraction = (step - start) / length
        return float(self.initial_learning_rate * _half_cosine(fraction, height, self.alpha))


def _half_cosine(fraction: float, height: float, alpha: float) -> float:
    return (1 - alpha) * 0.5 * height * (1 + math.cos(math.pi * fraction)) + alpha


def _positive(value: Any, name: str, owner: LearningRateSchedule) -> Any:
    if isinstance(value, str) or not value > 0:
        raise ValueError(f"{type(owner).__name__} needs {name} greater than 0, got {value!r}")
    return value


_CHOICES = {
    cls.__name__: cls
    for cls in (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return the schedule as plain data."""
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}


def deserialize(config: Any) -> LearningRateSchedule:
    """Build a schedule from what :func:`serialize` returned; an object is returned as it is."""
    schedule = resolve(config, _CHOICES, "learning-rate schedule")
    if not isinstance(schedule, LearningRateSchedule):
        raise ValueError(f"a learning-rate schedule is an object of tinymed.optimizers.schedules, got {config!r}")
    return schedule
