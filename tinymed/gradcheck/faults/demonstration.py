"""The zoo shown live."""

from __future__ import annotations

from tinymed.gradcheck.report import Row


def demonstrate_faults(seed: int = 0) -> int:
    """Let every fault loose on the checks, and print which check catches it: ``tinymed gradcheck --faults``.

    Args:
        seed: Seed of all random numbers.

    Returns:
        The exit status: 0 if all are caught, 1 if one gets through.
    """
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from tinymed.gradcheck.faults import FAULTS

    console = Console()
    table = Table(title="Deliberate mistakes, and the check that catches each", title_justify="left")
    for title in ("mistake", "in", "caught by", "error", "who had it"):
        table.add_column(title, justify="right" if title == "error" else "left")
    escaped = []
    for fault in track(FAULTS, "letting mistakes loose", console=console, transient=True):
        row = fault.catch(seed)
        if row is None:
            escaped.append(fault.name)
        style = "" if row is not None else "bold red"
        table.add_row(
            f"{fault.name}\n[dim]{fault.wrong}[/dim]",
            fault.target,
            _caught(row),
            _error(row),
            fault.seen_in,
            style=style,
        )
    console.print(table)
    caught = len(FAULTS) - len(escaped)
    console.print(f"{caught} of {len(FAULTS)} mistakes caught" + (f"; not: {', '.join(escaped)}" if escaped else ""))
    return 1 if escaped else 0


def _caught(row: Row | None) -> str:
    return "NOT CAUGHT" if row is None else row.check


def _error(row: Row | None) -> str:
    if row is None:
        return ""
    return "yes" if row.error == 1 and row.tolerance == 0 else f"{row.error:.1e}"
