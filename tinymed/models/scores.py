"""What training reports: running means of the losses, and the metrics of each output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymed import backend, metrics
from tinymed.backend import Array
from tinymed.models.objective import by_output


class Scores:
    """The loss means and metrics of a compiled model, under Keras's names.

    Arguments:
        names: Names of the outputs.
        plain: ``metrics`` as given to ``compile``.
        weighted: ``weighted_metrics`` as given to ``compile``; these see the sample weights.
    """

    def __init__(self, names: Sequence[str], plain: Any, weighted: Any) -> None:
        self.names = list(names)
        self.loss = metrics.Mean(name="loss")
        self.output_losses = [metrics.Mean(name=f"{name}_loss") for name in names] if len(names) > 1 else []
        self._given = [(_lists(plain, names), False), (_lists(weighted, names), True)]
        self._metrics: list[tuple[str, Any, int, bool]] | None = None
        for identifiers, _ in self._given:
            for identifier in (item for items in identifiers for item in items):
                if identifier not in ("accuracy", "acc"):
                    metrics.get(identifier)  # an unknown name is better reported now than at the first batch

    def _made(self, ys: Sequence[Array], predictions: Sequence[Array]) -> list[tuple[str, Any, int, bool]]:
        if self._metrics is None:
            self._metrics = []
            taken: set[str] = set()
            for identifiers, uses_weight in self._given:
                for place, (items, y, p) in enumerate(zip(identifiers, ys, predictions, strict=True)):
                    for item in items:
                        metric = metrics.for_outputs(item, tuple(y.shape), tuple(p.shape))
                        prefix = f"{self.names[place]}_" if len(self.names) > 1 else ""
                        name = prefix + metric.name
                        if uses_weight and name in taken:
                            name = f"{prefix}weighted_{metric.name}"
                        name = _unused(name, taken)
                        self._metrics.append((name, metric, place, uses_weight))
        return self._metrics

    def reset(self) -> None:
        """Forget everything seen so far."""
        for mean in (self.loss, *self.output_losses):
            mean.reset_state()
        for _, metric, _, _ in self._metrics or []:
            metric.reset_state()

    def update(
        self,
        total: Array | None,
        parts: Sequence[Array | None],
        ys: Sequence[Array],
        predictions: Sequence[Array],
        weights: Sequence[Array | None],
    ) -> None:
        """Take in one batch; values stay on the device."""
        count = predictions[0].shape[0]
        if total is not None:
            self.loss.update_state(total, sample_weight=count)
        for mean, part in zip(self.output_losses, parts if self.output_losses else [], strict=True):
            if part is not None:
                mean.update_state(part, sample_weight=count)
        for _, metric, place, uses_weight in self._made(ys, predictions):
            metric.update_state(ys[place], predictions[place], sample_weight=weights[place] if uses_weight else None)

    def logs(self) -> dict[str, Any]:
        """Copy the current values to the host: a float for each name, or a list for a metric of several values."""
        found = {"loss": _value(self.loss.result())}
        for mean in self.output_losses:
            found[mean.name] = _value(mean.result())
        for name, metric, _, _ in self._metrics or []:
            found[name] = _value(metric.result())
        return found


def _lists(given: Any, names: Sequence[str]) -> list[list]:
    """Return a list of metrics for each output."""
    if given is None:
        return [[] for _ in names]
    if len(names) == 1:
        given = given.get(names[0]) if isinstance(given, dict) else given
        return [list(given) if isinstance(given, list | tuple) else [given]]
    return [
        [] if item is None else list(item) if isinstance(item, list | tuple) else [item]
        for item in by_output(given, names, "metrics")
    ]


def _unused(name: str, taken: set[str]) -> str:
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def _value(x: Array) -> Any:
    host = backend.to_host(x)
    return float(host) if host.ndim == 0 else host.tolist()
