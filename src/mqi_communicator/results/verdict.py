"""Outcomes of checks, and how they combine: a verdict is the worst outcome of its named checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mqi_communicator.results.goal_result import GoalResult

from mqi_communicator.results.cause import cause


class CheckOutcome(StrEnum):
    """From best to worst."""

    PASS = "pass"  # noqa: S105 - not a password
    REVIEW = "review"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not_judged"
    FAIL = "fail"

    @property
    def severity(self) -> int:
        """0 for the best; the outcome with the highest decides."""
        return list(CheckOutcome).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One named check: its value, its limit, and how many points it covers."""

    name: str  # "gamma", "dose_scale", "position_offset", "range_r80", "falloff_r80_r20", "uncertainty", ...
    scope: str  # "plan", "beam <number>" or "structure <number>"
    outcome: CheckOutcome
    value: float | None
    unit: str  # "%", "ratio", "mm", ""
    limit: str  # as text: ">= 95 % pass, >= 90 % review"
    points: int | None  # voxels or profiles counted
    uncertainty: float | None  # relative MC uncertainty of the evaluated dose
    note: str = ""  # one sentence: what the value means, or why there is no verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst outcome of the checks, and its cause."""

    outcome: CheckOutcome
    why: str  # one sentence (`results.cause`)
    checks: tuple[Check, ...] = field(default_factory=tuple)
    goals: tuple[GoalResult, ...] = field(default_factory=tuple)


def worst(checks: tuple[Check, ...]) -> Verdict:
    """The verdict of some checks; not_judged if there are none."""
    if not checks:
        return Verdict(CheckOutcome.NOT_JUDGED, "no check was possible")
    outcome = max((check.outcome for check in checks), key=lambda one: one.severity)
    if outcome is CheckOutcome.PASS:
        return Verdict(outcome, f"all {len(checks)} checks passed", checks)
    deciding = [check for check in checks if check.outcome is outcome]
    return Verdict(outcome, cause(deciding, checks), checks)


def unjudged(checks: tuple[Check, ...], reasons: tuple[str, ...]) -> Verdict:
    """Keep the values of the checks but set every outcome to not_judged, for these reasons."""
    why = "; ".join(reasons)
    basis = Check("basis", "plan", CheckOutcome.NOT_JUDGED, None, "", "a basis for a verdict", None, None, why)
    shown = tuple(replace(check, outcome=CheckOutcome.NOT_JUDGED) for check in checks)
    return Verdict(CheckOutcome.NOT_JUDGED, why, (basis, *shown))
