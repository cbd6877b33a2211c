"""Four questions to ask a model before training it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.gradcheck.adapters import LayerRunner
from tinymed.gradcheck.case import LayerCase
from tinymed.gradcheck.numerical import size_of
from tinymed.gradcheck.subject import Point, flat, upstream

SAMPLES = 20
"""How many samples the model is to learn by heart."""

STEPS = 400
"""How many steps it may take for that."""

GRADIENT_TOLERANCE = 1e-3
"""A whole network has kinks everywhere (ReLU, max pooling), which a step in all weights at once cannot avoid."""


@dataclass
class Finding:
    """One line of the card: the question, whether the answer is good, what was found, and what to do if it is not."""

    question: str
    ok: bool
    found: str
    advice: str = ""


@dataclass
class SanityReport:
    """The card: ``report.ok`` is the verdict, ``report.findings`` the lines."""

    model: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every question has a good answer."""
        return all(finding.ok for finding in self.findings)

    def card(self) -> Any:
        """Return the card as a ``rich`` table."""
        from rich.table import Table

        table = Table(title=f"Is {self.model} ready to be trained?", title_justify="left", show_lines=True)
        for column in ("question", "found", ""):
            table.add_column(column)
        for finding in self.findings:
            found = finding.found if finding.ok or not finding.advice else f"{finding.found}\n{finding.advice}"
            verdict = "[green]yes[/green]" if finding.ok else "[bold red]no[/bold red]"
            table.add_row(finding.question, found, verdict)
        return table

    def __str__(self) -> str:
        return "\n".join(
            f"{'yes' if f.ok else 'NO '}  {f.question} {f.found} {f.advice}".rstrip() for f in self.findings
        )


def sanity_check(model: Any, x: Any, y: Any, seed: int = 0, show: bool = True) -> SanityReport:
    """Ask four questions before training: loss at chance, twenty samples learnt, gradients right, steps sane.

    Everything happens on copies: the model, its optimizer and the seeds stay as they are.

    Args:
        model: A compiled model.
        x: Inputs, as for ``fit``; at least 2 samples.
        y: Targets.
        seed: Seed of the choices made here.
        show: Whether to print the card.

    Returns:
        The card.
    """
    before = backend._seeds.sequence
    backend.set_seed(seed)
    try:
        report = SanityReport(model.name)
        xs, ys, _ = copy.deepcopy(model)._take(x, y, None)
        order = np.random.default_rng(seed).permutation(int(xs[0].shape[0]))
        data = _Data(model, xs, ys, order)
        report.findings += [_loss_at_chance(data), _learns_by_heart(data), _gradients(data, seed), _steps(data)]
    finally:
        backend._seeds.sequence = before
    if show:
        from rich.console import Console

        Console().print(report.card())
    return report


@dataclass
class _Data:
    """Checked data, and fresh copies of the model."""

    model: Any
    xs: list
    ys: list
    order: np.ndarray

    def fresh(self) -> Any:
        """Return a copy of the model, wired, which may be trained and thrown away."""
        model = copy.deepcopy(self.model)
        if not model.built:
            model.build_once(tuple(self.xs[0].shape))
        return model

    def some(self, count: int) -> tuple[Any, Any]:
        """Return ``count`` samples drawn at random, as the model takes them."""
        chosen = self.order[:count]
        xs = [backend.to_host(x)[chosen] for x in self.xs]
        ys = [backend.to_host(y)[chosen] for y in self.ys]
        return (xs if len(xs) > 1 else xs[0]), (ys if len(ys) > 1 else ys[0])


def _loss(model: Any, x: Any, y: Any) -> float:
    return float(model.test_on_batch(x, y, return_dict=True)["loss"])


def _loss_at_chance(data: _Data) -> Finding:
    question = "Is the loss at the start that of guessing?"
    model = data.fresh()
    x, y = data.some(256)
    loss, chance = _loss(model, x, y), _chance(model, y)
    if not math.isfinite(loss):
        return Finding(question, False, f"it is {loss}.", "Run one step under tinymed.debug() to see where it begins.")
    if chance is None:
        return Finding(question, True, f"it is {loss:.4g}; for this loss there is no value to compare with.")
    level, words = chance
    advice = "Are the inputs scaled (about -1 to 1) and the initial weights small?"
    return Finding(question, loss < 2 * level + 0.1, f"it is {loss:.4g}; guessing gives {level:.4g} ({words}).", advice)


def _chance(model: Any, y: Any) -> tuple[float, str] | None:
    """Return the loss of a model that knows nothing, and how it comes about; None where there is no such value."""
    if isinstance(y, list):
        return None
    model._finish_compiling()
    loss = model._objective.losses[0]
    kind = type(loss).__name__
    if kind == "BinaryCrossentropy":
        return math.log(2), "ln 2"
    if kind in ("CategoricalCrossentropy", "SparseCategoricalCrossentropy"):
        classes = int(model.outputs[0].shape[-1])
        return math.log(classes), f"ln {classes}"
    if kind in ("MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh"):
        host = np.asarray(y, dtype=np.float64)
        return float(loss(host, np.broadcast_to(host.mean(axis=0), host.shape).copy())), "the mean for every sample"
    return None


def _learns_by_heart(data: _Data) -> Finding:
    from tinymed.optimizers import Adam

    x, y = data.some(SAMPLES)
    count = min(SAMPLES, len(data.order))
    question = f"Can it learn {count} samples by heart?"
    model = data.fresh()
    model.optimizer = Adam(0.003)
    start = _loss(model, x, y)
    goal = 0.1 * start
    loss, step = start, 0
    while loss > goal and step < STEPS and math.isfinite(loss):
        for _ in range(10):
            model.train_on_batch(x, y)
        step += 10
        loss = _loss(model, x, y)
    advice = "A network that cannot do this cannot learn at all: too few units, a label mixed up, a dead layer?"
    return Finding(question, loss <= goal, f"the loss went from {start:.4g} to {loss:.4g} in {step} steps.", advice)


def _gradients(data: _Data, seed: int) -> Finding:
    question = "Are its gradients right?"
    worst, name, zero = 0.0, "", []
    for tensor, error, size in gradient_errors(data, seed):
        if error >= worst:
            worst, name = error, tensor
        if size == 0:
            zero.append(tensor)
    if zero:
        advice = "No gradient reaches these weights: are units dead, or is a layer cut off?"
        return Finding(question, False, f"the gradient of {', '.join(zero)} is exactly zero.", advice)
    advice = (
        "`tinymed gradcheck` checks each layer by itself; a layer of your own: gradcheck.check(layer, input_shape)."
    )
    return Finding(question, worst <= GRADIENT_TOLERANCE, f"largest relative error {worst:.1e}, in {name}.", advice)


def gradient_errors(data: _Data, seed: int) -> Iterator[tuple[str, float, float]]:
    """Yield for each weight: its name, the relative error of its gradient along one direction, the gradient's size."""
    rng = np.random.default_rng(seed)
    x, _ = data.some(4)
    inputs = x if isinstance(x, list) else [x]
    model = data.fresh()
    shape = [tuple(v.shape) for v in inputs] if model.takes_list else tuple(inputs[0].shape)
    runner = LayerRunner(LayerCase(lambda: model, shape), True, model, exact=True)
    names = [f"x[{i}]" for i in range(len(inputs))] if model.takes_list else ["x"]
    point: Point = {
        name: v.astype(np.float64) if v.dtype.kind == "f" else v for name, v in zip(names, inputs, strict=True)
    }
    for name, weight in runner.layer("float64").params.items():
        point[name] = np.array(backend.to_host(weight))

    def outputs(at: Point) -> np.ndarray:
        return flat(runner.forward({key: backend.asarray(value) for key, value in at.items()})[0])

    y, cache = runner.forward({key: backend.asarray(value) for key, value in point.items()})
    dy = upstream(y, rng)
    gradients, weights = runner.backward(dy, cache), flat(dy)
    for name in [name for name in point if name not in names]:
        v = rng.standard_normal(point[name].shape)
        step = 1e-6 * size_of(point[name])
        high, low = outputs({**point, name: point[name] + step * v}), outputs({**point, name: point[name] - step * v})
        measured = float(weights @ (high - low)) / (2 * step)
        gradient = flat(gradients[name])
        size = float(np.linalg.norm(gradient))
        written = float(gradient @ v.ravel())
        yield name, abs(measured - written) / max(abs(measured), abs(written), size, 1e-12), size


def _steps(data: _Data) -> Finding:
    question = "Are its steps neither negligible nor wild?"
    model = data.fresh()
    x, y = data.some(32)
    _loss(model, x, y)
    before = {name: backend.to_host(w).astype(np.float64) for name, w in model.params.items()}
    model.train_on_batch(x, y)
    ratios = {}
    for name, weight in model.params.items():
        size = float(np.linalg.norm(before[name]))
        if size > 0:
            ratios[name] = float(np.linalg.norm(backend.to_host(weight) - before[name])) / size
    if not ratios:
        return Finding(question, True, "the model has no weights to change.")
    middle = float(np.median(list(ratios.values())))
    name = max(ratios, key=ratios.__getitem__)
    found = f"one step changes weights by {middle:.1e} of their size (most: {name}, {ratios[name]:.1e}); 1e-3 is usual."
    advice = "Make the learning rate " + ("smaller." if middle > 1e-5 else "larger.")
    return Finding(question, middle >= 1e-5 and ratios[name] <= 0.3, found, advice)
