"""One number of a verdict: kept for trends over cases."""

from __future__ import annotations

from dataclasses import dataclass

FRACTION = "fraction"  # the scope of a check of all that was recorded of a fraction


@dataclass(frozen=True, slots=True)
class Figure:
    """One check of one case: its number, its outcome, and the treatment machine."""

    case: str
    name: str
    scope: str
    at: float  # epoch seconds
    machine: str
    word: str
    value: float | None
    unit: str
