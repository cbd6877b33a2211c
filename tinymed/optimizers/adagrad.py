"""Adagrad."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array
from tinymed.ops.updates import adagrad_update
from tinymed.optimizers.base import Optimizer, Slots, takes_lists
from tinymed.optimizers.schedules import LearningRateSchedule


class Adagrad(Optimizer):
    r"""Divides each gradient by the root of the sum of all its squares, so that rare features learn faster.

    See :func:`tinymed.ops.updates.adagrad_update` for the formulas.

    Arguments:
        learning_rate: $\eta$, a number or a schedule.
        initial_accumulator_value: Where the sum starts.
        epsilon: Keeps the division from zero.
        **kwargs: ``weight_decay``, ``clipnorm``, ``clipvalue``, ``global_clipnorm``, ``name``, ``lr``.
    """

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_accumulator_value = self._checked("initial_accumulator_value", initial_accumulator_value)
        self.epsilon = self._checked("epsilon", epsilon)

    def initial_slot(self, name: str) -> float | None:
        """Return ``initial_accumulator_value``."""
        return float(self.initial_accumulator_value)

    @takes_lists
    def step(self, param: Array, grad: Array, slots: Slots, learning_rate: float) -> None:
        """Change ``param`` and ``slots`` in place: arrays, or lists of them for several weights."""
        adagrad_update(
            param,
            grad,
            *slots,
            learning_rate=learning_rate,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay or 0.0,
            out=(param, *slots),
        )
