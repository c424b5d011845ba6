"""The verdict as rows of text, for a terminal, a page or a report. Pure."""

from __future__ import annotations

from mqi_communicator.case import numbers
from mqi_communicator.results.verdict import Check, Verdict

HEADINGS = ("check", "scope", "verdict", "value", "limit", "points", "note")


def rows(verdict: Verdict) -> tuple[tuple[str, ...], ...]:
    """One row of cells per check, in the order of HEADINGS."""
    return tuple(_row(check) for check in verdict.checks)


def _row(check: Check) -> tuple[str, ...]:
    points = "" if check.points is None else str(check.points)
    return check.name, check.scope, check.outcome.value, value_text(check), check.limit, points, check.note


def value_text(check: Check) -> str:
    """The number with its unit; a dash if there is none."""
    return numbers.value_text(check.value, check.unit, check.name)


def text(verdict: Verdict) -> str:
    """The verdict as plain text: outcome, reason, and an aligned table without the notes."""
    table = (HEADINGS[:5], *(row[:5] for row in rows(verdict)))
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([f"{verdict.outcome.value}: {verdict.why}", "", *lines, ""])
