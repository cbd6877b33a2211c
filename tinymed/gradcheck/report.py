"""What the checks found: rows, a verdict, and a table to read."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

COLUMNS = (("gradient", "updates"), ("complex step",), ("adjoint",))
MEASURED = tuple(check for checks in COLUMNS for check in checks)
"""Checks whose error has a column of its own in the short table."""


@dataclass
class Row:
    """One finding.

    Arguments:
        item: Name of the operation, layer, loss, model or optimizer.
        case: The configuration, in words.
        check: Name of the check.
        tensor: What was compared: the input, a weight, the output.
        error: The error, relative unless the check says otherwise.
        tolerance: The largest error that passes.
        note: For a failure, where the error is largest and the two values there, or what went wrong.
    """

    item: str
    case: str
    check: str
    tensor: str
    error: float
    tolerance: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance; NaN never is."""
        return self.error <= self.tolerance

    @property
    def verdict(self) -> str:
        """``"ok"`` or ``"WRONG"``."""
        return "ok" if self.ok else "WRONG"


@dataclass
class Curve:
    """Error of a central difference against its step size, for one tensor of one item."""

    item: str
    tensor: str
    points: list[tuple[float, float]]


@dataclass
class Report:
    """All findings of one run.

    ``report.ok`` is the verdict, ``report.failures`` the rows that fail, ``print(report)`` a table and, for each
    failure, what it means.
    """

    rows: list[Row] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    example: list[Curve] = field(default_factory=list)
    """A right operation's curve and a wrong one's, to show the difference."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every row passes; a report without rows proves nothing and is not ok."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def failures(self) -> list[Row]:
        """The rows that fail."""
        return [row for row in self.rows if not row.ok]

    def caught_by(self) -> list[str]:
        """Return the names of the checks that failed, in the order in which they ran."""
        return list(dict.fromkeys(row.check for row in self.failures))

    def worst(self) -> list[Row]:
        """Return, for each item, check and tensor, the row with the largest error in proportion to its tolerance."""
        chosen: dict[tuple[str, str, str], Row] = {}
        for row in self.rows:
            key = (row.item, row.check, row.tensor)
            if key not in chosen or _severity(row) > _severity(chosen[key]):
                chosen[key] = row
        return list(chosen.values())

    def items(self) -> list[str]:
        """Return the names of what was checked."""
        return list(dict.fromkeys(row.item for row in self.rows))

    def table(self) -> Any:
        """Return a ``rich`` table with a line for each item and tensor: worst errors, other checks, verdict."""
        table = _new_table("item", "tensor", "error >", "complex step >", "adjoint >", "other checks", "verdict")
        for item in self.items():
            rows = [row for row in self.rows if row.item == item]
            others = list(dict.fromkeys(row.check for row in rows if row.check not in MEASURED))
            wrong = [check for check in others if any(not row.ok for row in rows if row.check == check)]
            remark = f"wrong: {', '.join(wrong)}" if wrong else f"{len(others)} right" if others else ""
            measured = [row for row in rows if row.check in MEASURED]
            tensors = list(dict.fromkeys(row.tensor.partition(" (")[0] for row in measured)) or [""]
            for place, tensor in enumerate(tensors):
                errors = [self._worst_of(measured, tensor, checks) for checks in COLUMNS]
                bad = any(not row.ok for row in measured if row.tensor.partition(" (")[0] == tensor)
                bad = bad or (place == 0 and bool(wrong))
                first = (item, remark) if place == 0 else ("", "")
                verdict = "WRONG" if bad else "ok"
                table.add_row(first[0], tensor, *errors, first[1], verdict, style="bold red" if bad else "")
        return table

    @staticmethod
    def _worst_of(rows: list[Row], tensor: str, checks: tuple[str, ...]) -> str:
        chosen = [row.error for row in rows if row.tensor.partition(" (")[0] == tensor and row.check in checks]
        return f"{max(chosen, key=lambda e: float('inf') if e != e else e):.1e}" if chosen else ""

    def details(self) -> Any:
        """Return a ``rich`` table with a line for each item, check and tensor."""
        table = _new_table("item", "check", "tensor", "error >", "tolerance >", "verdict")
        last = ""
        for row in sorted(self.worst(), key=lambda row: self.items().index(row.item)):
            shown, last = (row.item if row.item != last else ""), row.item
            numbers = (f"{row.error:.1e}", f"{row.tolerance:.0e}")
            table.add_row(shown, row.check, row.tensor, *numbers, row.verdict, style="" if row.ok else "bold red")
        return table

    def summary(self) -> str:
        """Return one line: how much was checked and how it ended."""
        wrong = len(self.failures)
        verdict = "all right" if self.ok else f"{wrong} wrong" if wrong else "nothing was checked"
        return f"{len(self.items())} items, {len(self.rows)} findings, {self.seconds:.1f} s: {verdict}"

    def explain_failures(self, limit: int = 20) -> str:
        """Return a few lines on each failure: case, error, where, and what the check means."""
        from tinymed.gradcheck.checks import MEANING

        lines = []
        for row in self.failures[:limit]:
            case = f" ({row.case})" if row.case else ""
            lines.append(f"{row.item}{case}: {row.check}, {row.tensor}: error {row.error:.2e} > {row.tolerance:.0e}")
            if row.note:
                lines.append(f"    {row.note}")
        for check in self.caught_by():
            lines.append(f"{check}: {MEANING[check]}")
        if len(self.failures) > limit:
            lines.append(f"... and {len(self.failures) - limit} more")
        return "\n".join(lines)

    def __str__(self) -> str:
        from rich.console import Console

        out = io.StringIO()
        table = self.details() if len(self.items()) == 1 else self.table()
        Console(file=out, width=110).print(table)
        parts = [out.getvalue().rstrip(), self.summary()]
        if self.failures:
            parts.insert(1, self.explain_failures())
        return "\n".join(parts)


def _new_table(*titles: str) -> Any:
    """Return an empty ``rich`` table; a title that ends in ``>`` belongs to a column of numbers."""
    from rich.table import Table

    table = Table(title="Gradient check", title_justify="left")
    for title in titles:
        number = title.endswith(" >")
        table.add_column(title.removesuffix(" >"), justify="right" if number else "left", no_wrap=number)
    return table


def _severity(row: Row) -> float:
    ratio = row.error / row.tolerance if row.tolerance else (0.0 if row.error == 0 else float("inf"))
    return float("inf") if ratio != ratio else ratio
