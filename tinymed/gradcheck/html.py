"""The report as a page that a reader who has never seen a gradient check can follow."""

from __future__ import annotations

import html
import math
from pathlib import Path

from tinymed.gradcheck.report import COLUMNS, MEASURED, Curve, Report, Row

_STYLE = """
:root { --ink: #1d2733; --soft: #5b6773; --line: #d9dfe5; --good: #1a7f4b; --bad: #b3261e; --blue: #2563a8; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
.verdict { font-size: 1.15rem; font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
p, li { max-width: 46rem; } .soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } caption { text-align: left; color: var(--soft); }
th, td { text-align: left; padding: .28rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { position: sticky; top: 0; background: #fff; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.first td { border-top: 2px solid var(--line); } tr.wrong td { background: #fdecea; }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .35rem 1rem; } dt { font-weight: 600; } dd { margin: 0; }
figure { margin: 0; } figcaption { font-size: .85rem; color: var(--soft); }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
code { background: #f2f5f8; padding: 0 .25em; border-radius: 3px; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } table { display: block; overflow-x: auto; } }
"""

_INTRODUCTION = """
<p>A network learns by its <em>gradients</em>: for each number that goes into a formula, how much the result changes
when that number changes a little. Here every gradient is a formula of its own, written by hand. A wrong one seldom
crashes: the network merely learns badly, and nobody knows why.</p>
<p>So each one is measured. The input <code>x</code> is moved by a small step to both sides, and
<code>(f(x + step) &minus; f(x &minus; step)) / (2 · step)</code> is compared with what the formula says. If
<code>f</code> has several outputs they are mixed with <em>random</em> weights first (the upstream gradient
<code>dy</code>). With weights of one, some mistakes could not be seen: the outputs of a softmax always sum to one, so
a softmax whose gradient is simply zero would pass.</p>
"""

_HOW_TO_READ_CURVES = """
<p>How large should the step be? Each picture shows, for one tensor, the difference between measured and written
gradient (upwards) against the step (to the right), both in powers of ten. A large step leaves the curve of the
function: the error falls from the right as the step shrinks. A tiny step drowns in the last digits of the computer's
numbers: the error rises again to the left. Together that makes a <strong>V</strong>. (For a formula that is a straight
line there is only its left half; where a long step reaches over a kink, as in a ReLU, the right half is a jump.)</p>
<p>A wrong gradient has no V: its line stays flat at the size of the mistake, whatever the step. The dashed line is the
tolerance. The check itself uses five points instead of two, and picks the step for each tensor; it comes out well
below the V.</p>
"""


def write_html(report: Report, path: str | Path) -> None:
    """Write the report to ``path``: one page without scripts or links, whole or not at all."""
    from tinymed.files import write_text

    write_text(path, page(report))


def page(report: Report) -> str:
    """Return the report as an HTML page."""
    from tinymed.gradcheck.checks import MEANING
    from tinymed.gradcheck.runner import TOLERANCES

    verdict = "good" if report.ok else "bad"
    checks = list(dict.fromkeys(row.check for row in report.rows))
    meanings = "".join(f"<dt>{c}</dt><dd>{html.escape(MEANING[c])}</dd>" for c in MEANING if c in checks)
    curves = "".join(_figure(curve) for curve in report.curves)
    example = "".join(_figure(curve) for curve in report.example)
    pictures = (
        f"<h2>Error against step size</h2>{_HOW_TO_READ_CURVES}<div class=curves>{example}</div>"
        f"<h3>The first case of everything that was checked</h3><div class=curves>{curves}</div>"
    )
    failures = f"<h2>What is wrong</h2>{_failures(report.failures)}" if report.failures else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>tinymed: gradient check</title><style>{_STYLE}</style></head><body>
<h1>Gradient check</h1>
<p class="verdict {verdict}">{html.escape(report.summary())}</p>
{_INTRODUCTION}
<p class="soft">{html.escape(TOLERANCES)}</p>
{failures}
<h2>What each check means</h2>
<dl>{meanings}</dl>
<h2>Results</h2>
{_table(report)}
{pictures if report.curves else ""}
</body></html>
"""


def _table(report: Report) -> str:
    lines = []
    for item in report.items():
        rows = [row for row in report.rows if row.item == item]
        others = list(dict.fromkeys(row.check for row in rows if row.check not in MEASURED))
        wrong = [check for check in others if any(not row.ok for row in rows if row.check == check)]
        remark = f"wrong: {', '.join(wrong)}" if wrong else f"{len(others)} passed" if others else ""
        measured = [row for row in rows if row.check in MEASURED]
        tensors = list(dict.fromkeys(row.tensor.partition(" (")[0] for row in measured)) or [""]
        for place, tensor in enumerate(tensors):
            own = [row for row in measured if row.tensor.partition(" (")[0] == tensor]
            bad = any(not row.ok for row in own) or (place == 0 and bool(wrong))
            cells = "".join(f'<td class="n">{_worst(own, checks)}</td>' for checks in COLUMNS)
            name, note = (item, remark) if place == 0 else ("", "")
            kind = " ".join(filter(None, ["first" if place == 0 else "", "wrong" if bad else ""]))
            verdict = '<td class="bad">WRONG</td>' if bad else '<td class="good">ok</td>'
            lines.append(
                f'<tr class="{kind}"><td>{html.escape(name)}</td><td>{html.escape(tensor)}</td>{cells}'
                f"<td>{html.escape(note)}</td>{verdict}</tr>"
            )
    head = (
        '<tr><th>item</th><th>tensor</th><th class="n">error</th><th class="n">complex step</th>'
        '<th class="n">adjoint</th><th>other checks</th><th>verdict</th></tr>'
    )
    caption = "Largest relative error of each tensor over all its cases; an empty place: the check does not apply."
    return f"<table><caption>{caption}</caption><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def _worst(rows: list[Row], checks: tuple[str, ...]) -> str:
    errors = [row.error for row in rows if row.check in checks]
    return f"{max(errors, key=lambda e: math.inf if math.isnan(e) else e):.1e}" if errors else ""


def _failures(rows: list[Row]) -> str:
    lines = [
        f"<tr class=wrong><td>{html.escape(row.item)}</td><td>{html.escape(row.case)}</td><td>{row.check}</td>"
        f'<td>{html.escape(row.tensor)}</td><td class="n">{row.error:.1e}</td><td>{html.escape(row.note)}</td></tr>'
        for row in rows
    ]
    head = "<tr><th>item</th><th>case</th><th>check</th><th>tensor</th><th>error</th><th>where</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 300, 190, 38, 16, 30, 10
_STEPS, _ERRORS = (-12.0, 0.0), (-16.0, 1.0)
"""The powers of ten that the axes show."""


def _x(step: float) -> float:
    low, high = _STEPS
    return _LEFT + (math.log10(step) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _y(error: float) -> float:
    low, high = _ERRORS
    part = (min(max(math.log10(error), low), high) - low) / (high - low)
    return _HEIGHT - _BOTTOM - part * (_HEIGHT - _BOTTOM - _TOP)


def _figure(curve: Curve) -> str:
    """Return one picture: error against step size on logarithmic axes, as SVG."""
    from tinymed.gradcheck.gradient import TOLERANCE

    path = " ".join(f"{_x(step):.1f},{_y(error):.1f}" for step, error in curve.points)
    marks = []
    for power in (-12, -9, -6, -3, 0):
        marks.append(f'<text x="{_x(10.0**power):.0f}" y="{_HEIGHT - 16}" text-anchor="middle">1e{power}</text>')
    for power in (-15, -10, -5, 0):
        y = _y(10.0**power)
        marks.append(f'<text x="{_LEFT - 4}" y="{y + 4:.0f}" text-anchor="end">1e{power}</text>')
        marks.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e8ecf0"/>')
    limit = _y(TOLERANCE)
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="error against step size, {html.escape(curve.item)}, {html.escape(curve.tensor)}">'
        f"{''.join(marks)}"
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{limit:.1f}" y2="{limit:.1f}" stroke="#b3261e" '
        f'stroke-dasharray="4 3"/>'
        f'<polyline points="{path}" fill="none" stroke="#2563a8" stroke-width="2"/>'
        f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">step</text></svg>'
        f"<figcaption><strong>{html.escape(curve.item)}</strong>, {html.escape(curve.tensor)}</figcaption></figure>"
    )
