"""RMSprop."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array
from tinymed.ops.updates import rmsprop_update
from tinymed.optimizers.base import Optimizer, Slots, takes_lists
from tinymed.optimizers.schedules import LearningRateSchedule


class RMSprop(Optimizer):
    r"""Divides each gradient by the root of the running mean of its squares.

    See :func:`tinymed.ops.updates.rmsprop_update` for the formulas.

    Arguments:
        learning_rate: $\eta$, a number or a schedule.
        rho: Memory of the mean of squares.
        momentum: $\mu$, the part of the last step that is kept.
        epsilon: Keeps the division from zero.
        centered: Whether to divide by the variance instead of the mean of squares.
        **kwargs: ``weight_decay``, ``clipnorm``, ``clipvalue``, ``global_clipnorm``, ``name``, ``lr``.
    """

    slot_names = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = self._checked_part("rho", rho)
        self.momentum = self._checked_part("momentum", momentum)
        self.epsilon = self._checked("epsilon", epsilon)
        self.centered = bool(centered)

    def initial_slot(self, name: str) -> float | None:
        """Return 0, or None for a slot that the options leave out."""
        used = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        return 0.0 if used[name] else None

    @takes_lists
    def step(self, param: Array, grad: Array, slots: Slots, learning_rate: float) -> None:
        """Change ``param`` and ``slots`` in place: arrays, or lists of them for several weights."""
        rmsprop_update(
            param,
            grad,
            *slots,
            learning_rate=learning_rate,
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay or 0.0,
            out=(param, *slots),
        )
