"""The words of a verdict and how checks add up. Pure. A verdict is the worst of its named checks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class CheckOutcome(StrEnum):
    """From best to worst: a verdict takes the worst word of its checks."""

    PASS = "pass"  # noqa: S105 - not a password
    REVIEW = "review"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not_judged"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One named check: its number, its limit, and how much it looked at."""

    name: str  # "gamma", "dose_scale", "position_offset", "range_r80", "falloff_r80_r20", "uncertainty", ...
    scope: str  # "plan" or "beam <number>"
    outcome: CheckOutcome
    value: float | None
    unit: str  # "%", "ratio", "mm", ""
    limit: str  # the limit in words: ">= 95 % pass, >= 90 % review"
    points: int | None  # voxels or profiles counted
    uncertainty: float | None  # relative MC uncertainty of the dose looked at
    note: str = ""  # one sentence: what it means, or why it could not be judged


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst of the checks, and why."""

    outcome: CheckOutcome
    why: str  # one line
    checks: tuple[Check, ...] = field(default_factory=tuple)


def worst(checks: tuple[Check, ...]) -> Verdict:
    """Add the checks up. No check at all is not_judged: silence is not a pass."""
    if not checks:
        return Verdict(CheckOutcome.NOT_JUDGED, "nothing could be checked")
    order = list(CheckOutcome)
    outcome = max((check.outcome for check in checks), key=order.index)
    if outcome is CheckOutcome.PASS:
        return Verdict(outcome, f"all {len(checks)} checks passed", checks)
    blamed = [check for check in checks if check.outcome is outcome]
    scopes: dict[str, list[str]] = {}
    for check in blamed:
        scopes.setdefault(check.name, []).append(check.scope)
    names = ", ".join(f"{name} ({', '.join(where)})" for name, where in scopes.items())
    return Verdict(outcome, f"{names}: {blamed[0].note or blamed[0].limit}", checks)


def unjudged(checks: tuple[Check, ...], reasons: tuple[str, ...]) -> Verdict:
    """Keep the numbers and take back the words: there was no basis to judge on, for these reasons."""
    why = "; ".join(reasons)
    basis = Check("basis", "plan", CheckOutcome.NOT_JUDGED, None, "", "a basis to judge on", None, None, why)
    shown = tuple(replace(check, outcome=CheckOutcome.NOT_JUDGED) for check in checks)
    return Verdict(CheckOutcome.NOT_JUDGED, f"not judged: {why}", (basis, *shown))
