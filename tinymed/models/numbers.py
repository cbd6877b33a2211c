"""Where numbers that change from step to step stand on the device, while a recorded step is replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymed.backend import Array, array_namespace, device_of
from tinymed.live import Live, value
from tinymed.models.cuda_graphs import CannotRecord, Graphs


class Numbers:
    """Places on the device for numbers that change, and what yields them (a :class:`~tinymed.live.Recorder`).

    Arguments:
        graphs: Writes to the device.
        room: How many places there are for each dtype.
    """

    def __init__(self, graphs: Graphs, room: int = 256) -> None:
        self._graphs, self._room = graphs, room
        self._vectors: dict[str, tuple[Array, np.ndarray]] = {}
        self.begin(at_once=True)

    def begin(self, at_once: bool) -> None:
        """Forget who has asked; ``at_once``: the step is computed while they ask, so that they need numbers now."""
        self._asked: dict[str, list[tuple[Callable[..., Any], tuple[Any, ...]]]] = {}
        self._shared: dict[Any, Array] = {}
        self._at_once = at_once

    def place(self, like: Array, formula: Callable[..., Any], arguments: tuple[Any, ...], dtype: str | None) -> Array:
        """Return the place that will hold ``formula(*arguments)`` at each replay."""
        kind = dtype or str(like.dtype).rpartition(".")[2]
        key = kind, formula, arguments
        shared = all(a.shared for a in arguments if isinstance(a, Live))
        if shared and key in self._shared:
            return self._shared[key]
        vector, host = self._vector(like, kind)
        asked = self._asked.setdefault(kind, [])
        at = len(asked)
        if at == self._room:
            raise CannotRecord(f"more than {self._room} numbers change from step to step")
        host[at] = value(formula, arguments)
        asked.append((formula, arguments))
        place = array_namespace(like).reshape(vector[at : at + 1], ())
        if self._at_once:
            self._graphs.write(vector, host)
        if shared:
            self._shared[key] = place
        return place

    def _vector(self, like: Array, kind: str) -> tuple[Array, np.ndarray]:
        if kind not in self._vectors:
            if not self._at_once:
                raise CannotRecord(
                    f"numbers of dtype {kind} change from step to step, but did not when it was rehearsed"
                )
            xp = array_namespace(like)
            zeros = xp.zeros(self._room, dtype=getattr(xp, kind), device=device_of(like))
            self._vectors[kind] = zeros, np.zeros(self._room, kind)
        return self._vectors[kind]

    def refresh(self) -> None:
        """Ask for all numbers, in the order in which the step needs them, and write them to their places."""
        for kind, asked in self._asked.items():
            vector, host = self._vectors[kind]
            for at, (formula, arguments) in enumerate(asked):
                host[at] = value(formula, arguments)
            self._graphs.write(vector[: len(asked)], host[: len(asked)])
