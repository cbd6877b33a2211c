"""What a step costs on a processor or a GPU: the host's time to ask for it, the device's to do it, and in a row."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


class HostClock:
    """The processor's clock: who asks also does."""

    def wait(self) -> None:
        """Wait until everything asked for is done."""

    def mark(self) -> Any:
        """Return a mark between what was asked for before and what will be."""
        return None

    def between(self, before: Any, after: Any) -> float | None:
        """Return the milliseconds that the device took between two marks; None where there is no other device."""
        return None


class CupyClock(HostClock):
    """The GPU's clock, through CuPy's events."""

    def __init__(self) -> None:
        import cupy

        self.cupy = cupy

    def wait(self) -> None:
        """Wait until everything asked for is done."""
        self.cupy.cuda.Device().synchronize()

    def mark(self) -> Any:
        """Return an event."""
        event = self.cupy.cuda.Event()
        event.record()
        return event

    def between(self, before: Any, after: Any) -> float:
        """Return the milliseconds between two events."""
        return float(self.cupy.cuda.get_elapsed_time(before, after))


class TorchClock(HostClock):
    """The GPU's clock, through PyTorch's events."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def wait(self) -> None:
        """Wait until everything asked for is done."""
        self.torch.cuda.synchronize()

    def mark(self) -> Any:
        """Return an event."""
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, before: Any, after: Any) -> float:
        """Return the milliseconds between two events."""
        return float(before.elapsed_time(after))


def measured(action: Callable[[], Any], clock: HostClock, seconds: float) -> dict[str, float | None]:
    """Return the milliseconds of an action, after one call that is not counted.

    Args:
        action: What is timed; on a GPU it may return before its work is done.
        clock: The device's.
        seconds: How long to go on, at least one more call of each kind.

    Returns:
        ``host``: until the call returns. ``device``: between events around it, None on a processor. ``step``: from call
        to call when many follow each other, which is what training takes.
    """
    start = time.perf_counter()
    action()
    clock.wait()
    first = time.perf_counter() - start
    host: list[float] = []
    device: list[float | None] = []
    until = time.perf_counter() + seconds / 2
    while not host or (time.perf_counter() < until and first < seconds):
        before, start = clock.mark(), time.perf_counter()
        action()
        handed = time.perf_counter()
        after = clock.mark()
        clock.wait()
        host.append((handed - start) * 1000)
        device.append(clock.between(before, after))
    one = (time.perf_counter() - until + seconds / 2) / len(host)
    count = max(1, int(seconds / 2 / one))
    start = time.perf_counter()
    for _ in range(count):
        action()
    clock.wait()
    step = (time.perf_counter() - start) * 1000 / count
    known = [ms for ms in device if ms is not None]
    return {
        "host": statistics.median(host), "device": statistics.median(known) if known else None, "step": step
    }  # fmt: skip


def once(action: Callable[[], Any], clock: HostClock) -> float:
    """Return the milliseconds of one call, done and waited for."""
    clock.wait()
    start = time.perf_counter()
    action()
    clock.wait()
    return (time.perf_counter() - start) * 1000


def warmed(action: Callable[[], Any], clock: HostClock, calls: int, longest: float = 4.0) -> tuple[int, float]:
    """Call an action some times, at least twice, until that takes too long; return how often, and the seconds."""
    clock.wait()
    start = time.perf_counter()
    for count in range(1, calls + 1):
        action()
        if count >= 2 and time.perf_counter() - start > longest:
            break
    clock.wait()
    return count, time.perf_counter() - start


def attempted(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Return what a function returns as ``value``, or what went wrong as ``error``, in one line."""
    try:
        return {"value": function(*arguments)}
    except Exception as error:  # a contender that fails is named, and the others go on
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
