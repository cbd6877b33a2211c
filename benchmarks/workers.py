"""Contenders in processes of their own: each library alone with its threads, all of them timed in turn.

The driver starts ``python -m benchmarks.workers FACTORY ARGUMENTS`` for each contender. The factory, such as
``benchmarks.programs:torch_program``, returns an object whose methods the driver then calls or times by name.
Questions and answers are lines of JSON on standard input and output.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class AbsentError(Exception):
    """Raised by a factory whose library is not installed or cannot do what is asked; the message says which."""


def environment(threads: int) -> dict[str, str]:
    """Return the environment in which every library computes on this many threads, and none on a GPU."""
    count = str(threads)
    names = ("TINYMED", "OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")
    return {
        **os.environ,
        **{f"{name}_NUM_THREADS": count for name in names},
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={count}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
    }


class Worker:
    """A contender's process.

    Arguments:
        factory: ``"module:function"``.
        arguments: Its keyword arguments, as JSON can write them.
        threads: How many threads may compute.
        extra: Further environment variables.
    """

    def __init__(
        self, factory: str, arguments: Mapping[str, Any], threads: int, extra: Mapping[str, str] | None = None
    ) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (close() closes it)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", factory, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env={**environment(threads), **(extra or {})},
            text=True,
        )
        self.absent = self._answer().get("absent")

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            self._log.seek(0)
            raise RuntimeError(f"{answer['error']}\n{self._log.read()[-3000:]}")
        return answer

    def _ask(self, **question: Any) -> Any:
        self.process.stdin.write(json.dumps(question) + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()["value"]

    def call(self, name: str, *arguments: Any) -> Any:
        """Return what the contender's method returns."""
        return self._ask(name=name, arguments=arguments)

    def time(self, name: str, *arguments: Any, seconds: float = 0.5) -> list[float]:
        """Return the milliseconds of each call, of at least two and as many as fit into so many seconds."""
        return self._ask(name=name, arguments=arguments, seconds=seconds)

    def close(self) -> None:
        """Let the process end."""
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait(60)
        self.process.stdout.close()  # type: ignore[union-attr]
        self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def contest(turns: Mapping[str, Callable[[], list[float]]], rounds: int, group: Any = None) -> dict[str, list[float]]:
    """Let everybody take a turn, round after round, beginning with another one each time.

    What disturbs the machine for a while then disturbs all alike. A contender that was much slower in the first
    round than another of the same group (a second layout of one library, say) drops out.

    Args:
        turns: For each name, a function that returns the milliseconds of some calls.
        rounds: How many rounds.
        group: Function from name to group; everybody is alone if omitted.

    Returns:
        For each name that stayed, the median of each round.
    """
    found: dict[str, list[float]] = {name: [] for name in turns}
    group = group or (lambda name: name)
    for number in range(rounds):
        names = list(found)
        for place in range(len(names)):
            name = names[(place + number) % len(names)]
            found[name].append(statistics.median(turns[name]()))
        if number == 0:
            best = {group(name): min(v[0] for n, v in found.items() if group(n) == group(name)) for name in found}
            found = {name: values for name, values in found.items() if values[0] < 1.5 * best[group(name)]}
    return found


# --- the other side ------------------------------------------------------------------------------------------------


def peak_memory() -> int:
    """Return the largest number of bytes of memory that this process has occupied so far."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def timed(action: Callable[[], Any], seconds: float) -> list[float]:
    """Return the milliseconds of each call; one more before them warms caches that were somebody else's."""
    gc.collect()
    action()
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds * 1000:
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1000)
    return times


def _respond(contender: Any, question: dict[str, Any]) -> dict[str, Any]:
    name = question["name"]
    method = peak_memory if name == "peak_memory" else getattr(contender, name)
    method = functools.partial(method, *question["arguments"])
    return {"value": timed(method, question["seconds"]) if "seconds" in question else method()}


def _main(factory: str, arguments: str) -> None:
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # whatever a library prints is no answer

        def answer(value: dict[str, Any]) -> None:
            answers.write(json.dumps(value) + "\n")
            answers.flush()

        try:
            module, _, name = factory.partition(":")
            contender = getattr(importlib.import_module(module), name)(**json.loads(arguments))
            answer({"value": None})
            for line in sys.stdin:
                answer(_respond(contender, json.loads(line)))
        except AbsentError as reason:
            answer({"absent": str(reason)})
        except Exception:
            answer({"error": traceback.format_exc()})


if __name__ == "__main__":
    # The module that factories import, not a second copy named __main__: AbsentError must be one class.
    importlib.import_module("benchmarks.workers")._main(*sys.argv[1:])
