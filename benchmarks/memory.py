"""Peak memory of a process that trains P4a: start, weights and data included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import common
from benchmarks.networks import NETWORKS, prepared
from benchmarks.peers import taking_part


def measure(network: str, options: Any) -> dict[str, Any]:
    """Train some steps in a fresh process for each contender; return losses, and bytes at the peak."""
    found: dict[str, Any] = {"losses": {}, "bytes": {}, "absent": {}}
    with prepared(network) as (path, _):
        for contender in taking_part(network, options):
            print(f"{contender.label} ...", flush=True)
            with contender.start(network, path, options) as worker:
                if worker.absent:
                    found["absent"][contender.label] = worker.absent
                    continue
                found["losses"][contender.label] = worker.call("losses")
                for _ in range(options.rounds):
                    worker.call("train")
                found["bytes"][contender.label] = worker.call("peak_memory")
    found["disagree"] = common.disagreeing(found["losses"], "tinymed")
    return found


def report(found: dict[str, Any]) -> str:
    """Write a row for each contender."""
    ours = found["bytes"]["tinymed"]
    rows = [[label, f"{size / 1e9:.2f}", f"{ours / size:.2f}"] for label, size in found["bytes"].items()]
    notes = [f"* {label}: {reason}." for label, reason in found["absent"].items()]
    notes += [
        f"* **The losses of {label} are {error:.1e} away from tinymed's.**"
        for label, error in found["disagree"].items()
    ]
    return "\n".join([common.table(["", "GB at the peak", "tinymed / this"], rows), "", *notes])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the status is 1 if any losses disagree."""
    parser = common.parser("memory", __doc__ or "", rounds=3)
    parser.add_argument("--network", help=f"of: {', '.join(NETWORKS)} (default P4a; quick: P3)")
    options = common.parsed(parser, arguments)
    network = options.network or ("P3" if options.quick else "P4a")
    facts = common.machine(options)
    found = measure(network, options)
    common.publish(options, f"Peak memory of training {network}", facts, report(found), found)
    return int(bool(found["disagree"]))


if __name__ == "__main__":
    raise SystemExit(main())
