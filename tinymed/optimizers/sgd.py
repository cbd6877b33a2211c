"""Gradient descent, with or without momentum."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array
from tinymed.ops.updates import sgd_update
from tinymed.optimizers.base import Optimizer, Slots, takes_lists
from tinymed.optimizers.schedules import LearningRateSchedule


class SGD(Optimizer):
    r"""Stochastic gradient descent: $w \leftarrow w - \eta g$ (see :func:`tinymed.ops.updates.sgd_update`).

    Arguments:
        learning_rate: $\eta$, a number or a schedule.
        momentum: $\mu$, the part of the last step that is kept.
        nesterov: Whether to use Nesterov's form of momentum.
        **kwargs: ``weight_decay``, ``clipnorm``, ``clipvalue``, ``global_clipnorm``, ``name``, ``lr``.
    """

    slot_names = ("momentum",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = self._checked_part("momentum", momentum)
        self.nesterov = bool(nesterov)

    def initial_slot(self, name: str) -> float | None:
        """Return 0, or None without momentum."""
        return 0.0 if self.momentum else None

    @takes_lists
    def step(self, param: Array, grad: Array, slots: Slots, learning_rate: float) -> None:
        """Change ``param`` and ``slots`` in place: arrays, or lists of them for several weights."""
        sgd_update(
            param,
            grad,
            *slots,
            learning_rate=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay or 0.0,
            out=(param, *slots),
        )
