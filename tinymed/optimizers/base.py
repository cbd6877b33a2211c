"""What every optimizer does: learning rate, clipping, checks, and what it remembers of each weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.backend import Array, array_namespace, device_of
from tinymed.configurable import Configurable, check_arguments
from tinymed.live import live
from tinymed.ops import clipping
from tinymed.optimizers import schedules
from tinymed.optimizers.schedules import LearningRateSchedule

Slots = tuple[Array | None, ...]
"""What an optimizer remembers of one weight, in the order of ``slot_names``; None for what it does not need."""


def takes_lists(step: Callable[..., None]) -> Callable[..., None]:
    """Mark a ``step`` that also takes lists: of weights, of gradients, and in place of each slot.

    It then gets all weights at once, which a GPU changes in one launch. The functions of ``ops.updates`` take lists.
    """
    step.takes_lists = True  # type: ignore[attr-defined]
    return step


class Optimizer(Configurable):
    """Changes weights by their gradients: ``optimizer.update(params, grads)``.

    A subclass names what it remembers of each weight (``slot_names``) and writes ``step``.

    Arguments:
        learning_rate: A number, or a schedule from ``optimizers.schedules`` (``lr=`` also works).
        weight_decay: Part of a weight, times the learning rate, by which it shrinks at each step; None for none.
        clipnorm: Largest norm of each gradient; longer ones are shortened.
        clipvalue: Largest size of each gradient's values.
        global_clipnorm: Largest norm of all gradients together. Only one of the three limits may be given.
        name: For the reader only.
        **kwargs: ``lr``, the older spelling of ``learning_rate``.
    """

    slot_names: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = name or type(self).__name__.lower()
        if kwargs.get("decay"):
            raise TypeError(
                f"{type(self).__name__} no longer takes decay; instead of learning_rate=a, decay=b "
                "write learning_rate=schedules.InverseTimeDecay(a, decay_steps=1, decay_rate=b)"
            )
        kwargs.pop("decay", None)
        self._learning_rate: float | LearningRateSchedule = 0.0
        self.learning_rate = kwargs.pop("lr", learning_rate)
        check_arguments(type(self).__name__, kwargs, [*self._argument_names(), "lr"])
        self.weight_decay = self._checked("weight_decay", weight_decay)
        self.clipnorm = self._checked("clipnorm", clipnorm)
        self.clipvalue = self._checked("clipvalue", clipvalue)
        self.global_clipnorm = self._checked("global_clipnorm", global_clipnorm)
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [limit for limit, value in limits.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{self.name} takes only one of {', '.join(limits)}, got {' and '.join(given)}")
        self.iterations = 0
        self._slots: dict[str, Slots] = {}
        self._loaded: dict[str, Array] = {}

    # --- to be written by each optimizer -----------------------------------------------------------------------

    def step(self, param: Array, grad: Array, slots: Slots, learning_rate: float) -> None:
        """Change ``param`` and ``slots`` in place; ``iterations`` is the number of steps done before."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def initial_slot(self, name: str) -> float | None:
        """Return the value with which a slot starts, or None if the slot is not used."""
        return 0.0

    # --- learning rate -----------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float | LearningRateSchedule:
        """The number or the schedule; a number may be set at any time (see ``current_learning_rate``)."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, Mapping):
            value = schedules.deserialize(value)
        if isinstance(value, LearningRateSchedule):
            self._learning_rate = value
            return
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"the learning rate of {self.name} follows {type(self._learning_rate).__name__} and cannot be set to a "
                "number; build the optimizer with a number instead, or set another schedule"
            )
        if value is None:
            raise ValueError(f"{type(self).__name__} needs learning_rate, a number or a schedule, but got None")
        self._learning_rate = self._checked("learning_rate", _as_float(value))

    def current_learning_rate(self) -> float:
        """Return the learning rate of the next step as a number."""
        rate = self._learning_rate
        return float(rate(self.iterations)) if isinstance(rate, LearningRateSchedule) else rate

    # --- one step ----------------------------------------------------------------------------------------------

    def update(self, params: Mapping[str, Array], grads: Mapping[str, Array | None]) -> None:
        """Change the arrays of ``params`` in place by one step against ``grads``.

        Args:
            params: Weights by name.
            grads: Their gradients under the same names; a weight whose gradient is None is left alone.

        Raises:
            ValueError: If a name is missing or unknown or a shape differs; nothing has been changed then.
        """
        if params.keys() != grads.keys():
            self._explain_names(params, grads)
        names = [name for name, grad in grads.items() if grad is not None]
        if not names:
            return
        slots = [self._slots_of(name, params[name], grads[name]) for name in names]
        clipped = self._clip([grads[name] for name in names])
        learning_rate = live(self.current_learning_rate, shared=True)
        if len(names) > 1 and getattr(type(self).step, "takes_lists", False):
            memories = tuple(None if slot[0] is None else list(slot) for slot in zip(*slots, strict=True))
            self.step([params[name] for name in names], list(clipped), memories, learning_rate)
        else:
            for name, grad, memory in zip(names, clipped, slots, strict=True):
                self.step(params[name], grad, memory, learning_rate)
        self.iterations += 1

    def step_number(self) -> int:
        """Return the number of the next step, from 1."""
        return self.iterations + 1

    def _clip(self, grads: list[Array]) -> list[Array]:
        if self.clipnorm:
            return [clipping.clip_by_norm(grad, self.clipnorm) for grad in grads]
        if self.clipvalue:
            return [clipping.clip_by_value(grad, self.clipvalue) for grad in grads]
        if self.global_clipnorm:
            return clipping.clip_by_global_norm(grads, self.global_clipnorm)
        return grads

    def _slots_of(self, name: str, param: Array, grad: Array) -> Slots:
        """Return what is remembered of a weight, made at its first step, after a check of the shapes."""
        if param.shape != grad.shape:
            raise ValueError(f"{name} has shape {tuple(param.shape)} but its gradient has shape {tuple(grad.shape)}")
        slots = self._slots.get(name)
        if slots is None:
            slots = self._slots[name] = tuple(self._new_slot(slot, name, param) for slot in self.slot_names)
        for slot, array in zip(self.slot_names, slots, strict=True):
            if array is not None and array.shape != param.shape:
                raise ValueError(
                    f"{name} has shape {tuple(param.shape)} but {self.name} remembers its {slot} with shape "
                    f"{tuple(array.shape)}; use a new optimizer for a new model"
                )
        return slots

    def _new_slot(self, slot: str, name: str, param: Array) -> Array | None:
        start = self.initial_slot(slot)
        if start is None:
            return None
        xp, device = array_namespace(param), device_of(param)
        loaded = self._loaded.pop(f"{slot}/{name}", None)
        if loaded is None:
            return xp.full(param.shape, start, dtype=param.dtype, device=device)
        host = np.array(backend.to_host(loaded))
        return xp.astype(xp.asarray(host, device=device), param.dtype, copy=False)

    def _explain_names(self, params: Mapping[str, Any], grads: Mapping[str, Any]) -> None:
        for name in grads:
            if name not in params:
                raise ValueError(f"{self.name} got a gradient for {name!r}, but the weights are {_listed(params)}")
        missing = next(name for name in params if name not in grads)
        raise ValueError(
            f"{self.name} got no gradient for {missing!r}, only for {_listed(grads)}; "
            "give None for a weight that is to stay as it is"
        )

    # --- state -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Array]:
        """All that a later run needs to go on: ``iterations`` and the slots, as ``"slot/name of the weight"``."""
        slots = {
            f"{slot}/{name}": array
            for name, arrays in self._slots.items()
            for slot, array in zip(self.slot_names, arrays, strict=True)
            if array is not None
        }
        return {"iterations": np.asarray(self.iterations), **slots, **self._loaded}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` returned; the slots move to the weights' device at the next step.

        Raises:
            ValueError: If the state was made by another kind of optimizer.
        """
        used = [slot for slot in self.slot_names if self.initial_slot(slot) is not None]
        for key in state:
            slot = key.partition("/")[0]
            if key != "iterations" and slot not in used:
                raise ValueError(f"{self.name} remembers {_listed(used)} but the state has {key!r}")
        self.iterations = int(state.get("iterations", self.iterations))
        self._slots = {}
        self._loaded = {key: np.array(backend.to_host(a)) for key, a in state.items() if key != "iterations"}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _checked(self, name: str, value: Any) -> Any:
        """Return ``value`` if it is None or a number from 0 up."""
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{type(self).__name__} needs {name}, a number from 0 up, but got {value!r}")
        return value

    def _checked_part(self, name: str, value: Any) -> float:
        """Return ``value`` if it is a number from 0 to 1."""
        if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ValueError(f"{type(self).__name__} needs {name}, a number from 0 to 1, but got {value!r}")
        return value


def _as_float(value: Any) -> Any:
    """Return numbers of any kind, 0-d arrays included, as a Python float, and anything else as it is."""
    if isinstance(value, str) or getattr(value, "shape", ()) != ():
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names)) or "none"
