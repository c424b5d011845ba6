"""The clinical goals of a case as a table. Values are those of verdict.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mqi_communicator.report.page import Block, Paragraph, Table
from mqi_communicator.results.documents import GoalDocument
from mqi_communicator.results.goal_result import GoalOutcome

_NONE = "–"
_ORDER = (GoalOutcome.NOT_MET, GoalOutcome.UNDECIDED, GoalOutcome.NOT_JUDGED, GoalOutcome.MET)
_NOTE = (
    "D of a volume, V of a dose, in the whole course unless the goal says per fraction; % of a dose is of the "
    "prescription. The result is that of the computed dose. In brackets: where its value without statistical noise is "
    "(2 σ). Noise raises D2 and lowers D98; a goal whose limit is in that interval is undecided."
)


def ordered(goals: Sequence[GoalDocument]) -> list[GoalDocument]:
    """What is not met first."""
    return sorted(goals, key=lambda goal: _ORDER.index(goal.word))


def table(goals: Sequence[GoalDocument], name: Callable[[int], str]) -> Table:
    """One row per goal. `name` gives the shown name of a structure by its number."""
    return Table(
        ("structure", "goal", "planned", "computed", "result", "note"),
        tuple(
            (name(goal.structure), goal.goal, _planned(goal), _computed(goal), goal.word.replace("_", " "), goal.note)
            for goal in goals
        ),
        (1.5, 1.7, 1.3, 2.0, 0.9, 2.2),
        outcome_column=4,
        numbers=(2, 3),
    )


def blocks(goals: Sequence[GoalDocument], name: Callable[[int], str], *, decides: bool) -> tuple[Block, ...]:
    """The table, with its note."""
    last = "They are a check of the verdict." if decides else "They are not part of the verdict."
    return Paragraph(f"{_NOTE} {last}", small=True), table(ordered(goals), name)


def value(number: float | None, unit: str) -> str:
    """A value with its unit, to four significant digits."""
    return _NONE if number is None else f"{number + 0.0:.4g} {unit}"


def _planned(goal: GoalDocument) -> str:
    return value(goal.planned, goal.unit) + (" (not met)" if goal.planned_meets is False else "")


def _computed(goal: GoalDocument) -> str:
    if goal.low is None or goal.high is None:
        return value(goal.computed, goal.unit)
    return f"{value(goal.computed, goal.unit)} ({goal.low + 0.0:.4g} to {goal.high + 0.0:.4g})"
