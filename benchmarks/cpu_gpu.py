"""Processor against GPU: every network of the articles and every operation on both, and beside PyTorch on the card.

Before anything is timed, losses must agree: processor and GPU over the first hundred steps, PyTorch over the first
three. Host time, device events, transfers and compilation are columns of their own; sweeps over sizes mark where the
GPU overtakes the processor. All of it takes less than eight minutes, and what does not fit into them is named.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card_report, common
from benchmarks.networks import find, keras_model, step_flops
from benchmarks.sized_operations import QUICK, ROWS, SAMPLES
from benchmarks.workers import Worker

CARD = "cupy"
"""The backend on the card; tests put NumPy in its place."""

NETWORKS = ("P0", "P3", "P4a", "P4b tanh 200", "P4b relu 200", "P4b tanh 2000", "P4b relu 2000")
QUICK_NETWORKS = ("P3", "P4b tanh 200")
BATCHES = (32, 256)
AGREEING = {"P0": 32, "P3": 32, "P4a": 4, "P4b tanh 200": 8, "P4b relu 200": 8}
"""Networks whose losses are compared for a hundred steps, with their batch: large ones take long on a processor."""

SWEPT = {"P0": (1, 4, 16, 64, 256), "P3": (1, 4, 16, 64, 256), "P4b tanh 200": (1, 4, 16, 64, 256)}
FIRST = 3
"""Steps of PyTorch whose losses must agree."""

SHARES = {"agreement": 0.2, "networks": 0.6, "sweeps": 0.7, "operations": 0.95}
"""The part of the time at which each part of the benchmark ends at the latest."""


@dataclass(frozen=True)
class Contender:
    """A library on a device, in one of its ways."""

    label: str
    factory: str
    arguments: tuple[tuple[str, Any], ...] = ()
    on_card: bool = True
    recorded: bool = True
    """Whether tinymed may record its steps as CUDA graphs."""
    shares: str = ""
    """The label of the contender whose process this one uses."""


def contenders() -> tuple[Contender, ...]:
    """Return who takes part."""
    tinymed, torch = "benchmarks.card_programs:tinymed_steps", "benchmarks.card_programs:torch_steps"
    return (
        Contender("CPU", tinymed, (("backend", "numpy"),), on_card=False),
        Contender("GPU", tinymed, (("backend", CARD),)),
        Contender("GPU, not recorded", tinymed, (("backend", CARD),), recorded=False, shares="GPU"),
        Contender("PyTorch", torch),
        Contender("PyTorch, channels last", torch, (("channels_last", True),)),
        Contender("PyTorch, compiled", torch, (("compiled", True),)),
    )


class Deadline:
    """When the time is over, and when that of each part is."""

    def __init__(self, minutes: float) -> None:
        self.start, self.seconds = time.monotonic(), 60 * minutes

    def over(self, part: str) -> bool:
        """Tell whether a part's time is over."""
        return time.monotonic() - self.start > SHARES[part] * self.seconds


def reason_without_card() -> str | None:
    """Return why there is no GPU to measure and what mends that, None if there is one."""
    from tinymed import cuda

    failure = cuda.probe()
    if not failure:
        return None
    trouble = cuda.trouble(cuda.facts(failure))
    return failure if trouble is None else trouble.line()


# --- the parts -----------------------------------------------------------------------------------------------------


class Bench:
    """The contenders' processes, and what has been found so far.

    Arguments:
        options: The command line's.
    """

    def __init__(self, options: Any) -> None:
        self.options, self.deadline = options, Deadline(options.minutes)
        self.who = {c.label: c for c in contenders() if not c.label.startswith("PyTorch") or self._wanted("PyTorch")}
        self.workers: dict[str, Worker] = {}
        self.results: dict[str, Any] = {
            "precision": "tf32" if options.tf32 else "float32",
            "absent": {}, "left out": [], "agreement": {}, "networks": {}, "sweeps": {}, "operations": {}, "peaks": {},
        }  # fmt: skip

    def _wanted(self, library: str) -> bool:
        return bool(common.wanted(library, self.options))

    def worker(self, stack: contextlib.ExitStack, name: str, factory: str, on_card: bool, **arguments: Any) -> None:
        """Start a process; one that cannot take part says why."""
        extra = self._card_environment if on_card else {}
        try:
            worker = stack.enter_context(common.start(factory, arguments, self.options, **extra))
        except RuntimeError as error:  # it could not even begin
            self.results["absent"][name] = str(error).strip().splitlines()[-1]
            return
        if worker.absent:
            self.results["absent"][name] = worker.absent
        else:
            self.workers[name] = worker

    def start(self, stack: contextlib.ExitStack) -> None:
        """Start all processes, with an empty folder for compiled kernels, so that compilation is measured."""
        cache = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        self._card_environment = {
            "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
            "CUPY_CACHE_DIR": f"{cache}/cupy",
            "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor",
            "TRITON_CACHE_DIR": f"{cache}/triton",
        }
        for contender in self.who.values():
            if not contender.shares:
                precision = {"tf32": self.options.tf32} if contender.on_card else {}
                self.worker(stack, contender.label, contender.factory, contender.on_card,
                            **dict(contender.arguments), **precision)  # fmt: skip
        for device, backend in (("CPU", "numpy"), ("GPU", CARD)):
            factory = "benchmarks.sized_operations:sized_operations"
            precision = {"tf32": self.options.tf32} if device == "GPU" else {}
            self.worker(stack, f"operations on {device}", factory, device == "GPU", backend=backend, **precision)

    def ask(self, label: str, name: str, *arguments: Any) -> Any:
        """Return what a contender's method returns; None, and a note, if it fails."""
        process = self.who[label].shares or label if label in self.who else label
        try:
            answer = self.workers[process].call("attempt", name, *arguments)
        except RuntimeError as error:
            answer = {"error": str(error).strip().splitlines()[-1]}
            del self.workers[process]
        if "error" in answer:
            self.results["absent"][f"{label}: {name} {arguments[:1]}"] = answer["error"]
        return answer.get("value")

    def present(self) -> list[str]:
        """Return the contenders whose processes run."""
        return [label for label, contender in self.who.items() if (contender.shares or label) in self.workers]

    def agreement(self, name: str, path: str) -> None:
        """Compare the losses of processor and GPU over the first steps."""
        size, steps = AGREEING[name], 10 if self.options.quick else 100
        losses = {}
        for label in ("CPU", "GPU"):
            self.workers[label].call("open", name, path)
            losses[label] = self.ask(label, "losses", size, steps)
        if None not in losses.values():
            apart = common.disagreement(losses["GPU"], losses["CPU"])
            self.results["agreement"][name] = {
                "batch": size, "steps": steps, "apart": apart, "ok": apart <= self.tolerance, "losses": losses
            }  # fmt: skip

    def network(self, name: str, path: str, facts: dict[str, Any]) -> None:
        """Time a training step with each contender whose first losses are right, for each batch size."""
        found = self.results["networks"].setdefault(name, {"facts": facts, "batches": {}, "disagree": {}})
        right: list[str] = []
        expected = None
        for label in self.present():
            process = self.who[label].shares or label
            refusal = self.workers[process].call("refuses", name)
            if refusal:
                self.results["absent"][f"{label}, {name}"] = refusal
                continue
            self.workers[process].call("open", name, path)
            losses = self.ask(label, "losses", self.options.batches[0], FIRST, self.who[label].recorded)
            if losses is None:
                continue
            expected = losses if expected is None else expected
            apart = common.disagreement(losses, expected)
            if apart <= self.tolerance:
                right.append(label)
            else:
                found["disagree"][label] = apart
        for size in self.options.batches:
            rows = found["batches"].setdefault(str(size), {})
            for label in right:
                if self.deadline.over("networks"):
                    self.results["left out"].append(f"{name}, batch {size}: {label}")
                    continue
                if label == "CPU" and self._too_long(found, size):
                    self.results["left out"].append(f"{name}, batch {size}: {label} (a step would take too long)")
                    continue
                process = self.who[label].shares or label
                self.workers[process].call("open", name, path)
                measured = self.ask(label, "measure", size, self.options.seconds, self.who[label].recorded)
                if measured is not None:
                    rows[label] = measured

    @property
    def tolerance(self) -> float:
        """How far losses may lie apart: factors rounded to TF32 have three digits."""
        return 1e-2 if self.options.tf32 else common.TOLERANCE

    def _too_long(self, found: dict[str, Any], size: int) -> bool:
        """Tell whether a processor's step can be expected to take more than some seconds, from a smaller batch's."""
        known = [(int(n), rows["CPU"]["step"]) for n, rows in found["batches"].items() if "CPU" in rows]
        return any(ms * size / n > 5000 for n, ms in known if n < size)

    def sweep(self, name: str, path: str) -> None:
        """Time a training step on both devices for growing batches."""
        sizes = SWEPT[name][:3] if self.options.quick else SWEPT[name]
        times: dict[str, list[float]] = {}
        for label in ("CPU", "GPU"):
            self.workers[label].call("open", name, path)
            times[label] = []
            for size in sizes:
                if self.deadline.over("sweeps"):
                    break
                measured = self.ask(label, "measure", size, self.options.seconds / 2, True)
                if measured is None:
                    break
                times[label].append(measured["step"])
        count = min(map(len, times.values()))
        if count < len(sizes):
            self.results["left out"].append(f"{name}: batches from {sizes[count]}")
        if count:
            cpu, gpu = times["CPU"][:count], times["GPU"][:count]
            self.results["sweeps"][name] = {
                "sizes": sizes[:count], "CPU": cpu, "GPU": gpu, "crossover": card_report.crossover(sizes, cpu, gpu)
            }  # fmt: skip

    def operation(self, op: str, folder: Path) -> None:
        """Compare an operation's numbers on both devices, then time it for growing inputs."""
        devices = {device: f"operations on {device}" for device in ("CPU", "GPU")}
        arrays: dict[str, list[np.ndarray]] = {}
        for device, label in devices.items():
            path = folder / f"{device}.npz"
            self.ask(label, "save", op, 2, str(path))
            if not path.exists():
                return
            with np.load(path) as file:
                arrays[device] = [file[key] for key in file]
            path.unlink()
        apart = max(common.disagreement(ours, right) for ours, right in zip(arrays["GPU"], arrays["CPU"], strict=True))
        row: dict[str, Any] = {"apart": apart}
        self.results["operations"][op] = row
        if apart > common.TOLERANCE:
            return
        samples = SAMPLES[:3] if self.options.quick else SAMPLES
        swept = {
            device: self.ask(label, "sweep", op, samples, self.options.seconds / 10, 0.3)
            for device, label in devices.items()
        }
        if None in swept.values():
            return
        row.update(card_report.joined(swept["CPU"], swept["GPU"]))

    def peaks(self) -> None:
        """Find what both devices can do at most."""
        for device in ("CPU", "GPU"):
            found = self.ask(f"operations on {device}", "peaks", 2 * self.options.seconds)
            if found is not None:
                self.results["peaks"][device] = found

    def run(self, names: Sequence[str]) -> dict[str, Any]:
        """Run all parts, the most important first, and return what was found."""
        with contextlib.ExitStack() as stack:
            self.start(stack)
            missing = [label for label in ("CPU", "GPU") if label not in self.workers]
            if missing:
                raise RuntimeError(f"{missing[0]}: {self.results['absent'].get(missing[0])}")
            self.peaks()
            files = {}
            for name in names:
                print(f"{name} ...", flush=True)
                path, facts = stack.enter_context(started(name))
                files[name] = path
                if name in AGREEING and not self.deadline.over("agreement"):
                    self.agreement(name, path)
                self.network(name, path, facts)
            for name in (name for name in names if name in SWEPT):
                if not self.deadline.over("sweeps"):
                    print(f"{name}, growing batches ...", flush=True)
                    self.sweep(name, files[name])
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._operations(folder)
        return self.results

    def _operations(self, folder: Path) -> None:
        chosen = QUICK if self.options.quick else tuple(ROWS)
        print(f"{len(chosen)} operations ...", flush=True)
        for place, op in enumerate(chosen):
            if self.deadline.over("operations"):
                self.results["left out"].append(f"{len(chosen) - place} of {len(chosen)} operations, from {op} on")
                return
            if "operations on CPU" in self.workers and "operations on GPU" in self.workers:
                self.operation(op, folder)


@contextlib.contextmanager
def started(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lend a file with a network's initial weights, and what is known of its step on one sample."""
    import tinymed

    tinymed.set_seed(0)
    model = keras_model(tinymed, find(name))
    weights = model.get_weights()
    outputs = sum(int(np.prod(t.shape[1:])) for node in model.nodes for t in node.outputs)
    facts = {
        "flops": step_flops(model, 1)[0], "weights": int(sum(w.size for w in weights)), "activations": outputs
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        np.savez(path, **{f"w{i}": weight for i, weight in enumerate(weights)})  # type: ignore[arg-type]
        del model, weights
        yield str(path), facts


def card_facts() -> dict[str, str]:
    """Return the card's name and the versions that matter for it."""
    from tinymed import cuda

    found = cuda.driver()
    versions = {**cuda.wheels(), "NVRTC": cuda.compiler()}
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    card = str(found.cards[0]) if found and found.cards else "no card"
    return {"card": card, "driver": str(found) if found else "", "versions": named}


def parser() -> Any:
    """Return the options."""
    found = common.parser("cpu_gpu", __doc__ or "", rounds=1)
    found.add_argument("--networks", help=f"comma-separated, of: {', '.join(NETWORKS)} (default: all; quick: two)")
    found.add_argument("--batches", help="comma-separated batch sizes (default 32,256; quick: 32)")
    found.add_argument(
        "--tf32", action="store_true", help="round the factors of products to TF32, tinymed's and PyTorch's"
    )
    found.add_argument("--minutes", type=float, default=8.0, help="how long all of it may take (default 8)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the status is 1 if there is no GPU, or if any numbers disagree."""
    options_of = parser()
    options = common.parsed(options_of, arguments)
    default = QUICK_NETWORKS if options.quick else NETWORKS
    names = [n.strip() for n in options.networks.split(",")] if options.networks else list(default)
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        options_of.error(f"unknown network {unknown[0]!r}; there are {', '.join(NETWORKS)}")
    try:
        options.batches = [int(n) for n in options.batches.split(",")] if options.batches else list(BATCHES)
    except ValueError:
        options_of.error(f"--batches takes whole numbers, such as 32,256, not {options.batches!r}")
    options.batches = options.batches[:1] if options.quick else options.batches
    reason = reason_without_card() if CARD == "cupy" else None
    if reason:
        print(f"benchmarks.cpu_gpu: no GPU to measure: {reason}", file=sys.stderr)
        return 1
    facts = {**common.machine(options), **({"card": card_facts()} if CARD == "cupy" else {})}
    bench = Bench(options)
    results = bench.run(names)
    facts["minutes"] = round((time.monotonic() - bench.deadline.start) / 60, 1)
    common.publish(options, "Processor against GPU", facts, card_report.report(results, facts), results)
    if options.out is not None:
        from benchmarks import card_pictures

        card_pictures.draw_all(results, options.out)
    return int(card_report.disagrees(results))


if __name__ == "__main__":
    raise SystemExit(main())
