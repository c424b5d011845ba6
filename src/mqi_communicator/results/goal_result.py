"""What became of a clinical goal. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GoalOutcome(StrEnum):
    """Whether the computed dose meets a goal."""

    MET = "met"
    NOT_MET = "not_met"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True, slots=True)
class GoalResult:
    """One goal of one structure. Values are in `unit`."""

    structure: int  # ROINumber
    goal: str
    unit: str
    limit: float
    planned: float | None
    computed: float | None
    low: float | None  # the computed value without noise is between `low` and `high`; None if the noise is unknown
    high: float | None
    planned_meets: bool | None
    outcome: GoalOutcome  # of the computed dose
    note: str = ""
