"""Which subjects go through which checks, and the command's function."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np

from tinymed.backend import get_backend, use_backend
from tinymed.gradcheck.adapters import LayerRunner, subject_of_layer, subject_of_loss, subject_of_op
from tinymed.gradcheck.case import LayerCase, LossCase, OpCase
from tinymed.gradcheck.cases import layer_cases, loss_cases, op_cases
from tinymed.gradcheck.checks import CHECKS
from tinymed.gradcheck.coverage import check_coverage, operations
from tinymed.gradcheck.gradient import COMPLEX_TOLERANCE, curves_of
from tinymed.gradcheck.gradient import TOLERANCE as GRADIENT_TOLERANCE
from tinymed.gradcheck.report import Report, Row
from tinymed.gradcheck.subject import Point, Subject, flat, on_device
from tinymed.gradcheck.updates import check_optimizer, check_schedule, optimizer_classes, schedule_classes
from tinymed.ops.registry import Operation

Case = OpCase | LayerCase | LossCase


def check(
    thing: Any,
    input_shape: Any = None,
    *,
    cases: Iterable[Case] | None = None,
    seed: int = 0,
    only: Iterable[str] | None = None,
) -> Report:
    """Check the gradients of anything differentiable, and how it behaves.

    Args:
        thing: Name of an operation, layer, loss, optimizer or schedule; an ``Operation``, layer, model or loss; a case.
        input_shape: Shape of the input with the batch axis, for a layer or model object
            (its own ``input_shape`` with a batch of 3 if omitted).
        cases: Cases to use instead of the ones that tinymed has for it.
        seed: Seed of all random numbers.
        only: Names of the checks to run; all that apply if omitted.

    Returns:
        The findings. ``report.ok`` is the verdict, ``print(report)`` the table.

    Raises:
        ValueError: If the name is unknown, or there is no case for it.

    Example:
        >>> report = check("dense")
        >>> report.ok
        True
    """
    report, start = Report(), time.perf_counter()
    for subject in subjects(thing, input_shape, cases):
        report.rows += run_checks(subject, seed, only)
    if isinstance(thing, str) and thing in (optimizers := optimizer_classes()):
        report.rows += check_optimizer(optimizers[thing], seed)
    if isinstance(thing, str) and thing in (schedules := schedule_classes()):
        report.rows += check_schedule(schedules[thing])
    if not report.rows and only is None:
        raise ValueError(f"there is no case for {thing!r}; give cases=[...] or input_shape=...")
    report.seconds = time.perf_counter() - start
    return report


def run_checks(subject: Subject, seed: int = 0, only: Iterable[str] | None = None) -> list[Row]:
    """Run the checks on one subject; an exception in a check is a finding of that check."""
    rows: list[Row] = []
    wanted = list(CHECKS) if only is None else list(only)
    for name in wanted:
        rng = np.random.default_rng([seed, zlib.crc32(f"{subject.item} {subject.case} {name}".encode())])
        try:
            with np.errstate(all="ignore"):  # steps may leave a formula's domain; `extremes` listens for warnings
                rows += CHECKS[name](subject, rng)
        except Exception as error:
            rows.append(subject.row(name, "all", np.inf, 0.0, f"{type(error).__name__}: {error}"))
    return rows


def subjects(thing: Any, input_shape: Any = None, cases: Iterable[Case] | None = None) -> Iterator[Subject]:
    """Yield the subjects that a name or an object stands for."""
    if isinstance(thing, OpCase | LayerCase | LossCase):
        yield from _of_case(thing)
    elif isinstance(thing, Operation):
        for case in cases if cases is not None else op_cases():
            if isinstance(case, OpCase) and case.op == thing.name:
                yield from _bodies(subject_of_op(case, thing))
    elif isinstance(thing, str):
        everything = cases_by_name()
        if thing not in everything and thing not in (known := all_names()):
            raise ValueError(unknown_name(thing, known))
        for case in cases if cases is not None else everything.get(thing, []):
            yield from _of_case(case)
    elif hasattr(thing, "params"):
        yield from _of_layer_object(thing, input_shape, cases)
    else:
        for case in cases if cases is not None else loss_cases():
            if isinstance(case, LossCase) and type(case.make()) is type(thing):
                yield subject_of_loss(case, thing)


@functools.cache
def cases_by_name() -> dict[str, list[Case]]:
    """Return the cases of everything that has any, by the name of the operation, layer or loss."""
    found: dict[str, list[Case]] = {}
    for op_case in op_cases():
        found.setdefault(op_case.op, []).append(op_case)
    objects: list[LayerCase | LossCase] = [*layer_cases(), *loss_cases()]
    for case in objects:
        found.setdefault(type(case.make()).__name__, []).append(case)
    return found


def unknown_name(name: str, known: Collection[str]) -> str:
    """Return a message for a name that nothing has, with the nearest one that something has."""
    spelled = {k.lower(): k for k in known} | {k: k for k in known}
    near = difflib.get_close_matches(name, list(spelled), n=1, cutoff=0.5)
    near = near or difflib.get_close_matches(name.lower(), list(spelled), n=1, cutoff=0.5)
    advice = f"did you mean {spelled[near[0]]!r}?" if near else "`tinymed gradcheck` without names checks everything"
    return f"nothing to check is called {name!r}; {advice}"


def _of_case(case: Case) -> Iterator[Subject]:
    if isinstance(case, OpCase):
        yield from _bodies(subject_of_op(case))
    elif isinstance(case, LossCase):
        yield subject_of_loss(case)
    else:
        yield from _modes(case)


def _bodies(subject: Subject) -> Iterator[Subject]:
    if subject.has_kernel:
        yield subject
    yield dataclasses.replace(subject, textbook_only=True)


def _modes(case: LayerCase, layer: Any = None) -> Iterator[Subject]:
    """Yield the layer in training and, where that gives another result, in inference."""
    training = subject_of_layer(case, True, layer)
    inference = subject_of_layer(case, False, layer)
    point = training.draw(np.random.default_rng(1), "float64")
    first = training.outputs(point)
    differs = not np.array_equal(first, inference.outputs(point))
    if differs:
        training.random = _draws_anew(training.owner, point)
    yield training
    if differs:
        yield inference


def _draws_anew(runner: LayerRunner, point: Point) -> bool:
    """Tell whether two forwards in a row differ: dropout and noise do, batch normalisation does not."""
    with runner.continuing(1):
        first = flat(runner.forward({name: on_device(value) for name, value in point.items()})[0])
        runner.seed = 2
        return not np.array_equal(
            first, flat(runner.forward({name: on_device(value) for name, value in point.items()})[0])
        )


def _of_layer_object(layer: Any, input_shape: Any, cases: Iterable[Case] | None) -> Iterator[Subject]:
    if cases is None and input_shape is None:
        shape = getattr(layer, "built_shape", None) or (
            (None, *layer.input_shape) if getattr(layer, "input_shape", None) else None
        )
        if shape is None:
            raise ValueError(f"{layer.name} needs input_shape=(3, ...), the shape of an input with the batch axis")
        input_shape = [_sized(s) for s in shape] if isinstance(shape, list) else _sized(shape)
    chosen = cases if cases is not None else [LayerCase(lambda: layer, input_shape)]
    for case in chosen:
        if isinstance(case, LayerCase):
            yield from _modes(case, layer)


def _sized(shape: tuple) -> tuple[int, ...]:
    return (3, *(6 if size is None else size for size in shape[1:]))


def all_names() -> list[str]:
    """Return the names of everything that can be checked: operations, layers, losses, optimizers and schedules."""
    return list(dict.fromkeys([*operations(), *cases_by_name(), *optimizer_classes(), *schedule_classes()]))


def run(
    names: Iterable[str] | None = None,
    backend: str | None = None,
    seed: int = 0,
    html: str | None = None,
) -> int:
    """Check what ``names`` lists, or everything, and print a table: what ``tinymed gradcheck`` does.

    Args:
        names: Operations, layers, losses, optimizers or schedules.
        backend: The array library to check on; the current one if omitted.
        seed: Seed of all random numbers.
        html: A file for the report with pictures, if wanted.

    Returns:
        The exit status: 0 if everything is right, 1 if not.

    Raises:
        ValueError: If a name is unknown; the message says the nearest valid one.
    """
    from rich.console import Console
    from rich.progress import Progress

    wanted = list(names or ())
    known = all_names()
    for name in wanted:
        if name not in known:
            raise ValueError(unknown_name(name, known))
    console = Console()
    if not console.is_terminal:
        console.width = 120
    with use_backend(backend or get_backend()), Progress(console=console, transient=True) as progress:
        report = check_all(wanted or None, seed, progress.track)
        if html is not None:
            add_curves(report, seed)
    console.print(report.table())
    if report.failures:
        console.print(report.explain_failures(), markup=False)
    console.print(TOLERANCES, markup=False)
    console.print(report.summary(), markup=False)
    if html is not None:
        from tinymed.gradcheck.html import write_html

        write_html(report, html)
        console.print(f"the report with pictures is in {html}", markup=False)
    return 0 if report.ok else 1


def check_all(
    names: Iterable[str] | None = None, seed: int = 0, track: Callable[[list[str]], Iterable[str]] = iter
) -> Report:
    """Check each of the names, or everything there is, in one report.

    Args:
        names: Operations, layers, losses, optimizers or schedules; everything, and that nothing is left out, if None.
        seed: Seed of all random numbers.
        track: Wraps the list of names, to show progress.
    """
    report, start = Report(), time.perf_counter()
    if names is None:
        report.rows += check_coverage()
    known = cases_by_name()
    optimizers, schedules = optimizer_classes(), schedule_classes()
    for name in track(all_names() if names is None else list(names)):
        if name in known:
            report.rows += check(name, seed=seed).rows
        elif name in optimizers:
            report.rows += check_optimizer(optimizers[name], seed)
        elif name in schedules:
            report.rows += check_schedule(schedules[name])
        elif names is not None:
            report.rows.append(Row(name, "", "coverage", "all", np.inf, 0.0, "it has no case"))
    report.seconds = time.perf_counter() - start
    return report


def add_curves(report: Report, seed: int = 0) -> None:
    """Add to the report, for each item, the error against the step size: the picture that says what the error is."""
    for name in report.items():
        for case in cases_by_name().get(name, [])[:1]:
            subject = next(_of_case(case))
            report.curves += curves_of(subject, np.random.default_rng(seed))
    from tinymed.gradcheck.faults import FAULTS

    wrong = next(fault for fault in FAULTS if fault.name == "softmax without its coupling")
    for title, subject in (
        ("softmax, right", next(subjects("softmax"))),
        ("softmax without its coupling", next(iter(wrong.subjects()))),  # type: ignore[misc]
    ):
        for curve in curves_of(subject, np.random.default_rng(seed)):
            curve.item = title
            report.example.append(curve)


TOLERANCES = (
    f"Tolerances: {GRADIENT_TOLERANCE:.0e} relative against central differences in float64 with a step chosen for each "
    f"tensor, {COMPLEX_TOLERANCE:.0e} with the complex step. Upstream gradients are random, never ones. Points on a "
    "kink, or where rounding alone decides, are drawn again; no tolerance is ever loosened."
)
"""What the report says of its own strictness."""
