"""One number of a verdict: kept for trends over cases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One check of one case: its number, its outcome, and the treatment machine of the plan."""

    case: str
    name: str
    scope: str
    at: float  # epoch seconds
    machine: str
    word: str
    value: float | None
    unit: str
