"""How forward and backward behave: what they change, share, remember and repeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinymed import backend
from tinymed.gradcheck.report import Row
from tinymed.gradcheck.subject import Point, Subject, dtype_name, flat, largest, leaves, on_device, upstream


def _bits(value: Any) -> list[np.ndarray]:
    return [np.array(backend.to_host(leaf)) for leaf in leaves(value)]


def _same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(p, q, equal_nan=p.dtype.kind in "fc") for p, q in zip(a, b, strict=True)
    )


def check_mutation(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that forward and backward leave their arguments as they were."""
    host = subject.draw(rng, "float64")
    point = {name: on_device(np.array(value)) for name, value in host.items()}
    with subject.body():
        y, cache = subject.forward(point)
    for name, value in host.items():
        changed = not _same(_bits(point[name]), [value])
        yield subject.row("mutation", name, float(changed), 0.0, "forward changed it" if changed else "")
    output = _bits(y)
    dy = upstream(y, rng)
    before = _bits(dy)
    subject.gradients(dy, cache)
    after = {"upstream gradient": (before, _bits(dy)), "output": (output, _bits(y))}
    after |= {name: ([value], _bits(point[name])) for name, value in host.items()}
    for name, (was, now) in after.items():
        changed = not _same(was, now)
        yield subject.row("mutation", name, float(changed), 0.0, "backward changed it" if changed else "")


def check_aliasing(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that no gradient shares memory with another, with the upstream gradient or with an input."""
    if backend.get_backend() != "numpy":
        return
    point = {name: on_device(value) for name, value in subject.draw(rng, "float64").items()}
    with subject.body():
        y, cache = subject.forward(point)
    dy = upstream(y, rng)
    gradients = subject.gradients(dy, cache)
    others = {f"input {name}": value for name, value in point.items()} | {"upstream gradient": dy}
    for name in subject.tensors:
        shared = [other for other, array in others.items() if _share(gradients[name], array)]
        note = f"shares memory with {', '.join(shared)}" if shared else ""
        yield subject.row("aliasing", name, float(bool(shared)), 0.0, note)
        others[f"gradient of {name}"] = gradients[name]


def _share(a: Any, b: Any) -> bool:
    return any(np.shares_memory(p, q) for p in leaves(a) for q in leaves(b))


def check_dtypes(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that results have the dtype of the inputs, and that float16 is summed in float32."""
    for dtype, tolerance in (("float32", 1e-4), ("float16", 4e-3)):
        if dtype == "float16" and (subject.kind != "op" or not hasattr(backend._current()["xp"], "float16")):
            continue
        seed = int(rng.integers(2**31))
        narrow = subject.draw(np.random.default_rng(seed), dtype)
        y, cache = subject.run(narrow)
        dy = upstream(y, rng)
        results = {"output": y, **subject.gradients(dy, cache)}
        for name, value in results.items():
            wrong = {dtype_name(leaf) for leaf in leaves(value)} - {dtype}
            wrong = {kind for kind in wrong if kind.startswith("float")}
            note = f"{dtype} in, {', '.join(sorted(wrong))} out" if wrong else ""
            yield subject.row("dtypes", f"{name} ({dtype})", float(bool(wrong)), 0.0, note)
        if dtype == "float16":
            wide = {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in narrow.items()}
            exact, _ = subject.run(wide)
            if largest(flat(exact)) < 6e4:
                yield subject.compare("dtypes", "output (float16 values)", y, exact, tolerance)


def check_repeatability(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that running again gives the same bits."""
    point = subject.draw(rng, "float32")
    yield _identical(subject, "repeatability", _run(subject, point), _run(subject, point))


def check_threads(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that any number of threads gives the same bits as one."""
    if not subject.has_kernel or subject.textbook_only or backend.get_backend() != "numpy":
        return
    from tinymed.kernels.cpu import threads

    point = subject.draw(rng, "float32")
    before = threads.num_threads()
    runs = {}
    try:
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            runs[count] = _run(subject, point)
    finally:
        threads.set_num_threads(before)
    for count in (2, 5):
        row = _identical(subject, "threads", runs[1], runs[count])
        row.tensor = f"{row.tensor}, {count} threads"
        yield row


def _run(subject: Subject, point: Point, seed: int = 5) -> dict[str, list[np.ndarray]]:
    y, gradients = subject.at(point, rng=np.random.default_rng(seed))
    return {"output": _bits(y)} | {name: _bits(gradients[name]) for name in subject.tensors}


def _identical(subject: Subject, check: str, first: dict, second: dict) -> Row:
    for name, bits in first.items():
        if not _same(bits, second[name]):
            gap = max(
                (largest(p - q) if p.shape == q.shape else np.inf) for p, q in zip(bits, second[name], strict=True)
            )
            return subject.row(check, name, max(gap, 5e-324), 0.0, "two runs differ")
    return subject.row(check, "all", 0.0, 0.0)


def check_reuse(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that other calls in between, inference too, and a second backward leave a call's gradient as it was."""
    point, other = subject.draw(rng, "float64"), subject.draw(rng, "float64")
    y, cache = subject.run(point)
    dy = upstream(y, rng)
    first = {name: _bits(g) for name, g in subject.gradients(dy, cache).items()}
    second = {name: _bits(g) for name, g in subject.gradients(dy, cache).items()}
    yield _identical(subject, "reuse", first, second)

    if subject.kind == "layer":  # the weights must stay; the batch is another, and of another size
        other = {name: other[name] if _is_input(name) else value for name, value in point.items()}
        other = {name: np.concatenate([v, v[:1]]) if _is_input(name) else v for name, v in other.items()}
    y, cache = subject.run(point)
    y_other, cache_other = subject.run(other)
    if subject.kind == "layer":
        with subject.owner.inferring():
            subject.run(other)
    subject.gradients(upstream(y_other, rng), cache_other)
    third = {name: _bits(g) for name, g in subject.gradients(dy, cache).items()}
    row = _identical(subject, "reuse", first, third)
    row.tensor = f"{row.tensor}, after another batch"
    yield row


def _is_input(name: str) -> bool:
    return name == "x" or name.startswith("x[")


def check_state(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that inference and backward leave a layer's weights and state as they were."""
    if subject.kind not in ("layer", "model"):
        return
    runner = subject.owner
    point = subject.draw(rng, "float64")
    runner.reset("float64")
    layer = runner.layer("float64")
    untouched = {"state": _bits(list(layer.state.values()))}
    y, cache = subject.run(point)
    before = {"weights": _bits(list(layer.params.values())), "state": _bits(list(layer.state.values()))}
    if not runner.training:
        before |= untouched
    subject.gradients(upstream(y, rng), cache)
    what = "backward changed it" if runner.training else "inference or backward changed it"
    for name, store in {"weights": layer.params, "state": layer.state}.items():
        changed = not _same(before[name], _bits(list(store.values())))
        yield subject.row("state", name, float(changed), 0.0, what if changed else "")


def check_expectation(subject: Subject, rng: np.random.Generator) -> Iterator[Row]:
    """Check that the mean over many random draws in training is the result of inference."""
    if not subject.random:
        return
    runner = subject.owner
    point = subject.draw(rng, "float64")
    device = {name: on_device(value) for name, value in point.items()}
    with runner.inferring():
        wanted = flat(runner.forward(device)[0])
    draws = []
    with runner.continuing(0):
        for runner.seed in range(400):
            draws.append(flat(runner.forward(device)[0]))
    values = np.array(draws)
    deviation = np.sqrt(np.mean(np.var(values, axis=0)) / values.size) + 1e-300  # of the mean over all elements
    weights = np.sign(wanted)  # so that values of both signs do not cancel
    error = abs(float(np.mean((values - wanted) * weights))) / deviation
    yield subject.row("expectation", "output", error, 6.0, "mean differs by so many standard deviations")
