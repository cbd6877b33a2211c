"""The proof of the gradient check: every mistake with a hundred seeds, everything right with two hundred.

    python benchmarks/gradcheck.py                                     # writes benchmarks/results/gradcheck.md
    python benchmarks/gradcheck.py --seeds 5 --alarms 5 --out taste.md  # a taste
    python benchmarks/gradcheck.py --only lstm gru --again              # these once more, after a change

A mistake counts as caught only if the check that the zoo names for it fails; a false alarm is any finding that
fails on tinymed's own operations, layers, losses, optimizers and schedules.

It takes an hour or more, so each result is written down as it comes (``--records``, a line of JSON each, with the
commit), and a run that was broken off goes on where it stopped. Lines of several such files, of other seeds or other
machines, can be joined; the last line about the same thing counts.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import tinymed
from tinymed.files import write_text
from tinymed.gradcheck import FAULTS
from tinymed.gradcheck.checks import MEANING
from tinymed.gradcheck.faults import Fault
from tinymed.gradcheck.runner import all_names, check, check_all

Record = dict[str, Any]
HERE = Path(__file__).parent


def catch(index: int, seeds: int) -> Record:
    """Count how often one fault is caught, and note the smallest error that gave it away."""
    rows = [FAULTS[index].catch(seed) for seed in range(seeds)]
    errors = [row.error for row in rows if row is not None]
    return {"fault": FAULTS[index].name, "of": seeds, "caught": len(errors), "error": min(errors, default=None)}


def alarm(seed: int, names: list[str], checks: list[str] | None) -> Record:
    """Check everything that these names stand for with one seed: findings of each, and those that fail."""
    start, found, false = time.process_time(), {}, []
    for name in names:
        report = check(name, seed=seed, only=checks) if checks else check_all([name], seed)
        found[name] = len(report.rows)
        for row in report.failures:
            false.append([name, f"{row.item} ({row.case}), {row.check}, {row.tensor}: {row.error:.2e}"])
    return {"seed": seed, "names": found, "checks": checks, "false": false, "seconds": time.process_time() - start}


def read(path: Path) -> list[Record]:
    """Return the records of earlier runs; a last line that was not finished does not count."""
    records = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def missing(records: list[Record], options: argparse.Namespace) -> Iterator[tuple[Any, ...]]:
    """Yield what is still to be run."""
    caught = {r["fault"] for r in records if r.get("of") == options.seeds}
    for index, fault in enumerate(FAULTS if options.seeds else []):
        if fault.name not in caught or (options.only and options.again and fault.target in options.only):
            yield catch, index, options.seeds
    done = collections.defaultdict(set)
    for record in records:
        if record.get("checks") == options.checks:
            done[record.get("seed")] |= set(record.get("names", ()))
    wanted = options.only or all_names()
    for seed in range(options.first, options.alarms):
        left = [name for name in wanted if options.again or name not in done[seed]]
        if left:
            yield alarm, seed, left, options.checks


def commit() -> str:
    """Return the commit of the source that runs, with a mark if files differ from it."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
        state = subprocess.run(
            ["git", "status", "--porcelain", "--", "../tinymed"], cwd=HERE, capture_output=True, text=True
        )
    except OSError:
        return "unknown"
    return (head.stdout.strip() or "unknown") + (" with changes" if state.stdout.strip() else "")


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="seeds for each mistake; none if 0")
    parser.add_argument("--alarms", type=int, default=200, help="seeds for everything that is right")
    parser.add_argument("--first", type=int, default=0, help="the first of those seeds")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many to run at once")
    parser.add_argument("--only", nargs="+", default=[], help="the only names to look for false alarms in")
    parser.add_argument("--checks", nargs="+", help="the only checks to run on them, after a change to these")
    parser.add_argument("--again", action="store_true", help="run what has been run before, too")
    parser.add_argument("--records", type=Path, default=Path("outputs/gradcheck.jsonl"), help="what is done")
    parser.add_argument("--commit", default=commit(), help="what to call the source, if it is no checkout")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gradcheck.md", help="the page")
    options = parser.parse_args()

    options.records.parent.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TINYMED_NUM_THREADS", "1")  # of each process
    records = read(options.records)
    tasks = list(missing(records, options))
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        futures: list[Future[Record]] = [pool.submit(*task) for task in tasks]
        for count, future in enumerate(as_completed(futures), start=1):
            record = {**future.result(), "commit": options.commit}
            records.append(record)
            with options.records.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(f"{count:4d}/{len(tasks)}  {line_about(record)}", flush=True)
    write_text(options.out, page(records, options))
    print(f"written to {options.out}")


def line_about(record: Record) -> str:
    """Say in one line what was found."""
    if "fault" in record:
        return f"{record['fault']}: {record['caught']} of {record['of']}"
    wrong = "".join(f"\n  {text}" for _, text in record["false"])
    return f"seed {record['seed']}: {sum(record['names'].values())} findings, {record['seconds']:.1f} s{wrong}"


def page(records: list[Record], options: argparse.Namespace) -> str:
    """Return the page."""
    zoo = {r["fault"]: r for r in records if r.get("of") == options.seeds}
    full = sum(zoo[f.name]["caught"] == options.seeds for f in FAULTS if f.name in zoo)
    lines = [
        "# The gradient check, checked",
        "",
        f"tinymed {tinymed.__version__}, Python {platform.python_version()}, NumPy {np.__version__}. Written by "
        f"`python benchmarks/gradcheck.py --seeds {options.seeds} --alarms {options.alarms}`.",
        "",
        "Two questions. *Does it find what is wrong?* Mistakes that students make, and that engines have shipped, are "
        "built in on purpose; each must be found by the one check that is named for it. *Does it leave alone what is "
        "right?* Everything that tinymed has is checked with many seeds; nothing may be found.",
        "",
        f"* **{full} of {len(FAULTS)} mistakes** are caught by the named check in {options.seeds} of {options.seeds} "
        f"seeds (commit {', '.join(_commits(zoo.values()))}).",
        *alarms(records, options),
        "",
        "See a mistake being caught: `tinymed gradcheck --faults`. What each check does stands at the end. Seeds that "
        "once raised a false alarm are kept, each with its cause, in tests/gradcheck.",
        "",
    ]
    families = {id(f): importlib.import_module(name) for f, name in _families()}
    for family in dict.fromkeys(families.values()):
        title = (family.__doc__ or "").partition("\n")[0].removeprefix("Mistakes in ").rstrip(".")
        lines += [f"## {title[:1].upper()}{title[1:]}", ""]
        lines += ["| mistake | in | caught by | times | smallest error | who had it |", "|---|---|---|---|---|---|"]
        lines += [_row(fault, zoo.get(fault.name)) for fault in FAULTS if families[id(fault)] is family]
        lines.append("")
    used = {fault.caught_by for fault in FAULTS}
    lines += ["## The checks", "", *(f"* **{name}**: {text}" for name, text in MEANING.items() if name in used)]
    return "\n".join(lines) + "\n"


def alarms(records: list[Record], options: argparse.Namespace) -> Iterator[str]:
    """Yield what is to be said of false alarms: for each name and seed the last record counts."""
    last: dict[tuple[str, int], tuple[int, str]] = {}
    false: dict[tuple[str, int], list[str]] = {}
    seconds: collections.Counter[int] = collections.Counter()
    again: dict[tuple[str, str], set[tuple[str, int]]] = collections.defaultdict(set)
    for record in (r for r in records if "names" in r):
        seed, checks = record["seed"], record.get("checks")
        for name, count in record["names"].items():
            new = [text for item, text in record["false"] if item == name]
            if checks:  # these checks once more: what the others found stays
                again[" and ".join(checks), record["commit"]].add((name, seed))
                kept = [text for text in false.get((name, seed), ()) if not any(f"), {c}, " in text for c in checks)]
                false[name, seed] = kept + new
                continue
            last[name, seed] = (count, record["commit"])
            false[name, seed] = new
        if set(all_names()) <= set(record["names"]):
            seconds[seed] = record["seconds"]
    known = [key for key in last if key[0] in all_names() and key[1] < options.alarms]
    found = [f"seed {seed}: {text}" for name, seed in known for text in false[name, seed]]
    seeds = collections.Counter(name for name, _ in known)
    complete = sum(seeds[name] == options.alarms for name in all_names())
    time_taken = (
        f"; one run takes {np.median(list(seconds.values())):.0f} s of one core in the median" if seconds else ""
    )
    yield (
        f"* **{len(found)} false alarms** in {options.alarms} runs of each of {complete} operations, layers, losses, "
        f"optimizers and schedules ({sum(last[key][0] for key in known):,} findings{time_taken})."
    )
    yield from (f"  * {text}" for text in found)
    for count, names in sorted(_by(lambda name: seeds[name], all_names()).items()):
        if count != options.alarms:
            yield f"  * with {count} seeds only: {', '.join(names)}"
    groups = _by(lambda name: ", ".join(_commits({"commit": c} for (n, _), (_, c) in last.items() if n == name)), seeds)
    for commits, names in groups.items():
        yield f"  * commit {commits}: {'all others' if len(names) > 40 else ', '.join(names)}"
    for (checks, made), pairs in again.items():
        names = dict.fromkeys(name for name, _ in sorted(pairs))
        seeds_run = len({seed for _, seed in pairs})
        yield f"  * the checks {checks} once more, commit {made}, {seeds_run} seeds: {', '.join(names)}"


def _by(key: Any, names: Any) -> dict[Any, list[str]]:
    groups: dict[Any, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _commits(records: Any) -> list[str]:
    return list(dict.fromkeys(record["commit"] for record in records))


def _families() -> Iterator[tuple[Fault, str]]:
    """Yield each fault with the module that it stands in."""
    from tinymed.gradcheck import faults

    for module in faults._FAMILIES:
        for fault in module.FAULTS:
            yield fault, module.__name__


def _row(fault: Fault, record: Record | None) -> str:
    times = f"{record['caught']} of {record['of']}" if record else "not run"
    error = f"{record['error']:.1e}" if record and record["error"] is not None else ""
    return f"| {fault.name}: {fault.wrong} | {fault.target} | {fault.caught_by} | {times} | {error} | {fault.seen_in} |"


if __name__ == "__main__":
    main()
