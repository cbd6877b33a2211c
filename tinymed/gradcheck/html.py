"""The report as a page."""

from __future__ import annotations

import html
from pathlib import Path

from tinymed.gradcheck.report import Report


def write_html(report: Report, path: str | Path) -> None:
    """Write the report to ``path``."""
    Path(path).write_text(f"<!doctype html><meta charset=utf-8><pre>{html.escape(str(report))}</pre>", encoding="utf-8")
