"""The first page of a report, which is signed: the plan, the checks and goals in short. It always fits one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mqi_communicator.report import goal_table, tables
from mqi_communicator.report.page import Block, Facts, Paragraph, Section, SignatureLines, Table
from mqi_communicator.results.documents import CheckDocument, GoalDocument
from mqi_communicator.results.verdict import CheckOutcome

_SIGNING = (
    "Signed in the dashboard or with mqi sign: signature.json beside this file names the signer and the digests of "
    "what was signed, and report-signed.pdf shows it. Signed by hand: this form is filled in. Else it is not signed."
)
_SIGNED_BY_HAND = ("decision (accept or reject)", "name", "role", "date and time", "reason", "signature")
FORM = SignatureLines(_SIGNED_BY_HAND, _SIGNING)
_CHECKS, _GOALS = 10, 8  # rows


def sections(
    facts: Sequence[tuple[str, str]],
    beams: Block,
    more_beams: int,
    checks: Sequence[CheckDocument],
    goals: Sequence[GoalDocument],
    name: Callable[[int], str],
) -> tuple[Section, ...]:
    """The sections of the first page. `more_beams`: how many are only in the details."""
    made = [
        Section("Plan", (Facts(tuple(facts), pairs=2), beams, *_more(more_beams, "beam"))),
        Section(_heading(checks), _checks(checks)),
    ]
    if goals:
        met = sum(goal.word == "met" for goal in goals)
        shown = goal_table.ordered(goals)[:_GOALS]
        made.append(
            Section(
                f"Clinical goals: {met} of {len(goals)} met by the computed dose",
                (goal_table.table(shown, name), *_more(len(goals) - len(shown), "goal")),
            )
        )
    return tuple(made)


def _heading(checks: Sequence[CheckDocument]) -> str:
    passed = sum(check.word is CheckOutcome.PASS for check in checks)
    return f"Checks: {passed} of {len(checks)} pass"


def _checks(checks: Sequence[CheckDocument]) -> tuple[Block, ...]:
    """One row per name with its worst scope, what does not pass first; without notes, which pass and have no value."""
    worst: dict[str, CheckDocument] = {}
    for check in checks:
        if check.word is CheckOutcome.PASS and check.value is None:
            continue
        known = worst.get(check.name)
        if known is None or check.word.severity > known.word.severity:
            worst[check.name] = check
    rows = sorted(worst.values(), key=lambda check: -check.word.severity)
    shown = rows[:_CHECKS]
    table = Table(
        ("check", "scope", "result", "value", "limit"),
        tuple(
            (
                tables.name_of(check.name),
                check.scope,
                check.word.value.replace("_", " "),
                tables.value_of(check),
                check.limit,
            )
            for check in shown
        ),
        (1.6, 1.1, 0.9, 1.0, 4.0),
        outcome_column=2,
        numbers=(3,),
    )
    return table, *_more(len(rows) - len(shown), "kind of check", "kinds of checks")


def _more(count: int, one: str, many: str = "") -> tuple[Paragraph, ...]:
    if count <= 0:
        return ()
    return (Paragraph(f"{count} more {one if count == 1 else many or one + 's'}: see the details.", small=True),)
