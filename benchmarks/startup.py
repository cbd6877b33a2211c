"""How long a newcomer waits: from the start of Python to the end of the first training step of P0.

tinymed starts once with an empty folder for compiled kernels (the very first run) and then with a used one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.networks import prepared
from benchmarks.peers import Contender, taking_part

COLD, WARM = "tinymed, very first run", "tinymed"


def seconds(contender: Contender, path: Path, options: Any, **extra: str) -> float:
    """Return the seconds from the start of a process to the end of its first step."""
    begin = time.perf_counter()
    with contender.start("P0", path, options, **extra) as worker:
        worker.call("train")
        return time.perf_counter() - begin


def measure(options: Any) -> dict[str, Any]:
    """Check the losses of every contender (which also fetches its files from the disk), then start each in turn."""
    found: dict[str, Any] = {"losses": {}, "seconds": {}, "absent": {}}
    with prepared("P0") as (path, _), tempfile.TemporaryDirectory() as folder:
        contenders: dict[str, Contender] = {}
        for contender in taking_part("P0", options):
            with contender.start("P0", path, options) as worker:
                if worker.absent:
                    found["absent"][contender.label] = worker.absent
                    continue
                found["losses"][contender.label] = worker.call("losses")
                contenders[contender.label] = contender
        found["disagree"] = common.disagreeing(found["losses"], "tinymed")
        found["seconds"] = {label: [] for label in (COLD, *contenders)}
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} ...", flush=True)
            cache = str(Path(folder) / str(min(number, 1)))
            if number < 2:  # compiling takes long; twice tells enough
                found["seconds"][COLD].append(seconds(contenders[WARM], path, options, NUMBA_CACHE_DIR=cache))
            for label, contender in contenders.items():
                found["seconds"][label].append(seconds(contender, path, options, NUMBA_CACHE_DIR=cache))
    return found


def report(found: dict[str, Any]) -> str:
    """Write a row for each contender."""
    rows = []
    for label, times in found["seconds"].items():
        spread = common.spread(times)
        rows.append([label, f"{spread['median']:.2f}", f"{min(times):.2f}", f"{max(times):.2f}"])
    notes = [f"* {label}: {reason}." for label, reason in found["absent"].items()]
    notes += [
        f"* **The losses of {label} are {error:.1e} away from tinymed's.**"
        for label, error in found["disagree"].items()
    ]
    return "\n".join([common.table(["import and first step of P0", "seconds", "least", "most"], rows), "", *notes])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the status is 1 if any losses disagree."""
    options = common.parsed(common.parser("startup", __doc__ or "", rounds=5), arguments)
    facts = common.machine(options)
    found = measure(options)
    common.publish(options, "Import and first step", facts, report(found), found)
    return int(bool(found["disagree"]))


if __name__ == "__main__":
    raise SystemExit(main())
