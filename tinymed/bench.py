"""How fast is tinymed here? The articles' networks with the textbook's formulas and with the kernels, side by side.

    from tinymed.bench import bench
    bench(["P0"], path="bench.png")

This is the short form: the folder ``benchmarks/`` of the repository measures more, and beside PyTorch and Keras.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinymed import backend, files
from tinymed.configurable import resolve

BATCH = 32
STEPS = 3
"""Training steps whose losses must agree before anything is timed."""

TOLERANCE = 1e-4


def _nodules() -> tuple[Any, Any, Any]:
    from tinymed.applications.nodules import build

    return _compiled(build(), "binary_crossentropy"), (64, 64, 3), lambda draw: draw.integers(0, 2, (BATCH, 1))


def _digits() -> tuple[Any, Any, Any]:
    from tinymed.applications.digits import build

    return _compiled(build(), "sparse_categorical_crossentropy"), (28, 28, 1), lambda draw: draw.integers(0, 10, BATCH)


def _electrocardiogram() -> tuple[Any, Any, Any]:
    from tinymed.layers import LSTM, Dense
    from tinymed.models import Sequential

    layers = [LSTM(50, return_sequences=True, input_shape=(200, 1)), LSTM(50), Dense(1)]
    return _compiled(Sequential(layers), "mean_squared_error"), (200, 1), lambda draw: draw.random((BATCH, 1))


NETWORKS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "P0": _nodules,
    "P3": _digits,
    "P4b": _electrocardiogram,
}
"""The articles' networks: two convolutions on 64 x 64 x 3 and on 28 x 28 x 1, two LSTM of 50 units on 200 steps."""


def _compiled(model: Any, loss: str) -> Any:
    model.compile(optimizer="adam", loss=loss)
    return model


def bench(
    networks: Iterable[str] | None = None, seconds: float = 1.0, path: files.PathLike | None = None, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Time a training step of each network: textbook, kernels with one thread, kernels with all threads.

    On another backend than NumPy there are no threads to choose: textbook and kernels.

    All ways begin with the same weights, and the losses of their first three steps must agree; then they take turns.

    Args:
        networks: Names from :data:`NETWORKS`; all if omitted.
        seconds: How long each way is timed for, in total.
        path: Where to save a picture.
        seed: Decides weights and batches.

    Returns:
        For each network the median milliseconds of a step of 32 samples, by way.

    Raises:
        ValueError: For a network that is not known.
        ArithmeticError: If the ways do not agree.
    """
    chosen = list(NETWORKS if networks is None else networks)
    for name in chosen:
        resolve(name, NETWORKS, "network")
    results = {name: _time(name, seconds, seed) for name in chosen}
    if path is not None:
        _draw(results, path)
    return results


def _ways() -> dict[str, Callable[[], contextlib.AbstractContextManager[Any]]]:
    """Return the ways to compute, each as a context to enter."""
    from tinymed.ops.registry import textbook

    if backend.get_backend() != "numpy":
        return {"textbook": textbook, "kernels": contextlib.nullcontext}
    from tinymed.kernels.cpu import threads

    @contextlib.contextmanager
    def with_threads(count: int) -> Any:
        before = threads.num_threads()
        threads.set_num_threads(count)
        try:
            yield
        finally:
            threads.set_num_threads(before)

    most = threads.num_threads()
    ways: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
        "textbook": textbook,
        "kernels, 1 thread": lambda: with_threads(1),
    }
    if most > 1:
        ways[f"kernels, {most} threads"] = lambda: with_threads(most)
    return ways


def _time(name: str, seconds: float, seed: int) -> dict[str, float]:
    ways = _ways()
    models, losses = {}, {}
    for way, context in ways.items():
        backend.set_seed(seed)
        model, shape, draw_targets = NETWORKS[name]()
        draw = np.random.default_rng(seed)
        x = draw.random((BATCH, *shape), dtype=np.float32)
        y = draw_targets(draw)
        with context():
            losses[way] = [float(np.asarray(model.train_on_batch(x, y)).flat[0]) for _ in range(STEPS)]
        models[way] = model
    first = next(iter(losses.values()))
    for way, found in losses.items():
        if not np.allclose(found, first, rtol=TOLERANCE, atol=0):
            raise ArithmeticError(f"{name}: losses {found} of {way!r} are not {first}: not timed")
    taken: dict[str, list[float]] = {way: [] for way in ways}
    turns = 5
    for _ in range(turns):
        for way, context in ways.items():
            with context():
                stop = time.perf_counter() + seconds / turns
                while time.perf_counter() < stop:
                    start = time.perf_counter()
                    models[way].train_on_batch(x, y)
                    taken[way].append((time.perf_counter() - start) * 1000)
    return {way: statistics.median(times) for way, times in taken.items()}


def _digits_of(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 20 else f"{milliseconds:.1f}"


def rows(results: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Return the lines of a table, its head first: milliseconds by way, and how many times faster the last way is.

    >>> rows({"P0": {"textbook": 300.0, "kernels, 1 thread": 60.0}})
    [('', 'textbook', 'kernels, 1 thread', 'times faster'), ('P0', '300', '60', '5.0')]
    """
    lines: list[tuple[str, ...]] = [("", *next(iter(results.values())), "times faster")]
    for name, times in results.items():
        slow, fast = times["textbook"], list(times.values())[-1]
        lines.append((name, *map(_digits_of, times.values()), f"{slow / fast:.1f}"))
    return lines


def _draw(results: dict[str, dict[str, float]], path: files.PathLike) -> None:
    """Draw the milliseconds as bars, on a logarithmic scale."""
    from tinymed.plots.style import BLUE, GREY, ORANGE, figure_with_axes, finished, style

    with style():
        figure, (axes,) = figure_with_axes(7, 1.2 + 0.9 * len(results))
        ways = list(next(iter(results.values())))
        height = 0.8 / len(ways)
        for place, (way, color) in enumerate(zip(ways, (GREY, ORANGE, BLUE), strict=False)):
            values = [times[way] for times in results.values()]
            at = [i + place * height for i in range(len(results))]
            bars = axes.barh(at, values, height * 0.9, color=color, label=way)
            axes.bar_label(bars, [f"{_digits_of(value)} ms" for value in values], padding=4, fontsize=9)
        axes.set_xscale("log")
        everything = [value for times in results.values() for value in times.values()]
        axes.set_xlim(min(everything) / 2, 3 * max(everything))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks([i + 0.4 - height / 2 for i in range(len(results))], list(results))
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlabel(f"milliseconds for a training step of {BATCH} samples (logarithmic)")
        axes.set_title("One training step")
        figure.legend(loc="outside lower center", ncols=len(ways))
        finished(figure, path)
