"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from tinymed.backend import Array
from tinymed.live import live
from tinymed.ops.updates import adam_update
from tinymed.optimizers.base import Optimizer, Slots, takes_lists
from tinymed.optimizers.schedules import LearningRateSchedule


class Adam(Optimizer):
    r"""Steps of about one learning rate for each weight, whatever its gradient's size.

    See :func:`tinymed.ops.updates.adam_update` for the formulas.

    Arguments:
        learning_rate: $\eta$, a number or a schedule.
        beta_1: Memory of the mean of gradients.
        beta_2: Memory of the mean of their squares.
        epsilon: Keeps the division from zero.
        amsgrad: Whether to divide by the largest mean of squares so far.
        **kwargs: ``weight_decay``, ``clipnorm``, ``clipvalue``, ``global_clipnorm``, ``name``, ``lr``.
    """

    slot_names = ("momentum", "velocity", "velocity_hat")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = self._checked_part("beta_1", beta_1)
        self.beta_2 = self._checked_part("beta_2", beta_2)
        self.epsilon = self._checked("epsilon", epsilon)
        self.amsgrad = bool(amsgrad)

    def initial_slot(self, name: str) -> float | None:
        """Return 0, or None for ``velocity_hat`` without AMSGrad."""
        return None if name == "velocity_hat" and not self.amsgrad else 0.0

    @takes_lists
    def step(self, param: Array, grad: Array, slots: Slots, learning_rate: float) -> None:
        """Change ``param`` and ``slots`` in place: arrays, or lists of them for several weights."""
        adam_update(
            param,
            grad,
            *slots,
            step=live(self.step_number, shared=True),
            learning_rate=learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay or 0.0,
            out=(param, *slots),
        )


class AdamW(Adam):
    r"""Adam with weight decay, which shrinks weights directly instead of through the gradient.

    Arguments:
        learning_rate: $\eta$, a number or a schedule.
        weight_decay: $\lambda$.
        beta_1: Memory of the mean of gradients.
        beta_2: Memory of the mean of their squares.
        epsilon: Keeps the division from zero.
        amsgrad: Whether to divide by the largest mean of squares so far.
        **kwargs: ``clipnorm``, ``clipvalue``, ``global_clipnorm``, ``name``, ``lr``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW needs weight_decay, a number from 0 up; without weight decay use Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)
