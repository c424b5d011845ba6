"""What a physicist should check before trusting a verdict, found outside the code that makes the verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """Becomes one check of the verdict: `review` calls for a review, otherwise the number is shown as passed."""

    name: str  # stable name of the check, for example "ct_ends"
    scope: str  # "plan", "beam <number>" or "structure <number>"
    note: str  # one sentence: what was found, and what it can mean
    review: bool = True
    value: float | None = None
    unit: str = ""
    limit: str = ""  # the limit as text
