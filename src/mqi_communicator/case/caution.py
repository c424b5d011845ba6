"""What a person should look at before trusting a verdict, found where the verdict is not made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """Becomes one check of the verdict: `review` asks a person to look, otherwise the number is shown as passed."""

    name: str  # stable name of the check, for example "ct_ends"
    scope: str  # "plan" or "beam <number>"
    note: str  # one sentence: what was found, and what it can mean
    review: bool = True
    value: float | None = None
    unit: str = ""
    limit: str = ""  # the limit in words
