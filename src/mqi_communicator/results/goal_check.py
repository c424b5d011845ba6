"""Clinical goals as a check of the verdict, where the site wants one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mqi_communicator.results.clinical_goals import ClinicalGoals
from mqi_communicator.results.goal_result import GoalOutcome, GoalResult
from mqi_communicator.results.verdict import Check, CheckOutcome, worst

_NAMED = 3  # goals in the note


def goal_check(options: ClinicalGoals, goals: Sequence[GoalResult]) -> tuple[Check, ...]:
    """The check of all goals: the worst of them; none if the site does not want it."""
    if options.check == "none":
        return ()
    found = [(_outcome(goal, CheckOutcome(options.check)), goal) for goal in goals]
    outcome = worst(tuple(_check(one, 0, "") for one, _ in found)).outcome if found else CheckOutcome.REVIEW
    open_goals = [goal for one, goal in found if one is not CheckOutcome.PASS]
    note = f"all {len(goals)} clinical goals are met by the computed dose"
    if open_goals:
        listed = "; ".join(map(_text, open_goals[:_NAMED]))
        more = f"; and {len(open_goals) - _NAMED} more" if len(open_goals) > _NAMED else ""
        note = f"the computed dose does not meet, or is not known to meet, {len(open_goals)} of {len(goals)} clinical "
        note += f"goals: {listed}{more}"
    if not goals:
        note = "no structure of the plan has a name for which the site has clinical goals"
    return (_check(outcome, len(open_goals), note, len(goals)),)


def _outcome(goal: GoalResult, wanted: CheckOutcome) -> CheckOutcome:
    """A goal that the planned dose does not meet either, or that cannot be judged, is for a physicist to decide."""
    match goal.outcome:
        case GoalOutcome.MET:
            return CheckOutcome.PASS
        case GoalOutcome.UNDECIDED:
            return CheckOutcome.UNDECIDED
        case GoalOutcome.NOT_JUDGED:
            return CheckOutcome.REVIEW
        case GoalOutcome.NOT_MET:
            return wanted if goal.planned_meets else CheckOutcome.REVIEW


def _check(outcome: CheckOutcome, value: float, note: str, goals: int = 0) -> Check:
    limit = "every clinical goal is met by the computed dose"
    return Check("clinical_goals", "plan", outcome, float(value), "", limit, goals, None, note)


def _text(goal: GoalResult) -> str:
    value = "" if goal.computed is None else f" (computed {goal.computed:.4g} {goal.unit})"
    return f"structure {goal.structure} {goal.goal}{value}{f', {goal.note}' if goal.note else ''}"


def unjudged_goals(goals: Sequence[GoalResult], why: str) -> tuple[GoalResult, ...]:
    """The values of these goals without an outcome."""
    return tuple(replace(goal, outcome=GoalOutcome.NOT_JUDGED, note=why) for goal in goals)
