"""Where a training step of tinymed spends its time: layers forward and backward, loss, optimizer, metrics, the rest."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import common
from benchmarks.networks import BATCH, NETWORKS, prepared
from benchmarks.programs import tinymed_program


class Clock:
    """Adds up the milliseconds that wrapped methods take within one step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def wrap(self, owner: Any, method: str, label: str) -> None:
        """Let every call of ``owner.method`` be counted under ``label``."""
        function: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[label] += (time.perf_counter() - start) * 1000

        setattr(owner, method, timed)


def profile(name: str, steps: int) -> dict[str, Any]:
    """Return milliseconds (median, least) of each part of a step, and of the whole step without and with the clock."""
    with prepared(name) as (path, _):
        program = tinymed_program(name, str(path))
    losses = program.losses()
    bare = []
    for _ in range(steps):
        start = time.perf_counter()
        program.train()
        bare.append((time.perf_counter() - start) * 1000)
    model, clock = program.model, Clock()
    for layer in model.layers:
        clock.wrap(layer, "forward", f"{layer.name} forward")
        clock.wrap(layer, "backward", f"{layer.name} backward")
    objective, scores = model._ready()
    clock.wrap(objective, "forward", "loss forward")
    clock.wrap(objective, "backward", "loss backward")
    clock.wrap(model.optimizer, "update", "optimizer")
    clock.wrap(objective, "predictions", "last activation")
    clock.wrap(scores, "update", "metrics")
    clock.wrap(model, "_take", "checks of the data")
    records, whole = [], []
    for _ in range(steps):
        clock.spent.clear()
        start = time.perf_counter()
        program.train()
        whole.append((time.perf_counter() - start) * 1000)
        records.append(dict(clock.spent))
    for total, record in zip(whole, records, strict=True):
        record["rest of the step (Python)"] = total - sum(record.values())
    flops = {layer.name: BATCH * f for layer, f in zip(model.layers, model.flops_by_node().values(), strict=False)}
    return {
        "losses": losses,
        "parts": {label: _typical([record[label] for record in records]) for label in records[0]},
        "step": _typical(bare),
        "step with the clock": _typical(whole),
        "flops": flops,
        "first": model.layers[0].name,
    }


def _typical(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values), min(values)


def report(found: dict[str, Any]) -> str:
    """Write the parts in their order, with the speed of those that are mostly arithmetic."""
    rows = []
    whole, least_of_whole = found["step with the clock"]
    for label, (ms, least) in found["parts"].items():
        layer, _, way = label.partition(" ")
        flops = found["flops"].get(layer, 0) * (1 if way == "forward" or layer == found["first"] else 2)
        speed = f"{flops / least / 1e6:.0f}" if flops > 1e7 else ""
        rows.append([label, f"{ms:.2f}", f"{least:.2f}", f"{ms / whole:.0%}", speed])
    rows.append(["whole step, with the clock", f"{whole:.2f}", f"{least_of_whole:.2f}", "100%", ""])
    rows.append(["whole step, without", *(f"{ms:.2f}" for ms in found["step"]), "", ""])
    return common.table(["part", "ms (median)", "least", "share", "GFLOP/s (least)"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the profile of one network or several."""
    parser = common.parser("profile", __doc__ or "", rounds=50)
    parser.add_argument("networks", nargs="*", default=["P0"], help=f"of: {', '.join(NETWORKS)}")
    options = common.parsed(parser, arguments)
    from tinymed.kernels.cpu.threads import set_num_threads

    set_num_threads(options.threads)
    facts = common.machine(options)
    found = {name: profile(name, options.rounds) for name in options.networks}
    text = "\n\n".join(f"## {name}\n\n{report(result)}" for name, result in found.items())
    common.publish(options, "Where a training step spends its time", facts, text, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
