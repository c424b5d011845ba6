"""Operator orders, as moves of lines. Pure, like `decide`: the other half of where a state changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mqi_communicator.case.model import CASE_LINE, Event, Line, Status
from mqi_communicator.flow.transitions.decide import COMPARE, FIRST_BEAM_STEP, PREPARE, TIDY, UPLOAD

Moves = list[tuple[Line, Line]]


def obey(order: str, lines: Sequence[Line], now: float, beam: int = CASE_LINE) -> tuple[Moves, str]:
    """What an order does to the lines of a case, and the answer to who gave it. No moves: the answer says why.

    `beam` is the one that an order about one beam means.
    """
    match order:
        case "hold":
            return _all(lines, _hold, "held", "nothing to hold: the case has ended or is being cancelled")
        case "release":
            return _all(lines, lambda line: _release(line, now), "released", "the case was not held")
        case "cancel":
            return _cancel_case(lines, now)
        case "retry":
            return _retry_case(lines, now)
        case "lost":
            return _lost([line for line in lines if line.beam == beam != CASE_LINE], now)
        case "rejudge":
            return _rejudge(lines[0], now)
        case _:
            return [], f"unknown order {order}"


def _all(lines: Sequence[Line], move, yes: str, no: str) -> tuple[Moves, str]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    moves = [(line, moved) for line in lines if (moved := move(line)) != line]
    return moves, yes if moves else no


def _hold(line: Line) -> Line:
    if line.status.ended or line.status is Status.HELD or line.wanted:
        return line
    return replace(line, status=Status.HELD, reason="held by order", needs_person=False)


def _release(line: Line, now: float) -> Line:
    if line.status is not Status.HELD:
        return line
    return replace(line, status=Status.READY, due=now, reason="")


def _cancel_case(lines: Sequence[Line], now: float) -> tuple[Moves, str]:
    """What is delivered stays delivered: were it called cancelled, the same content would be computed once more."""
    own = lines[0]
    if own.step == TIDY and not own.status.ended and not own.wanted:
        return [], "nothing to cancel: the results are delivered, and what lies on the host is being removed"
    return _all(lines, lambda line: _cancel(line, now), "being cancelled", "nothing to cancel: it has ended")


def _cancel(line: Line, now: float) -> Line:
    """A failed case can be cancelled too: what it left on the host goes away."""
    failed_case = line.status is Status.FAILED and line.beam == CASE_LINE
    if line.status.ended and not failed_case:
        return line
    status = Status.READY if line.status is Status.HELD or failed_case else line.status
    return replace(
        line, status=status, wanted="cancel", due=now, reason="being cancelled", advice="", needs_person=False
    )


def _retry_case(lines: Sequence[Line], now: float) -> tuple[Moves, str]:
    """Where a beam is computed again, the case goes by way of the upload: its input may have been tidied away. One
    that stands before its upload stays there: while it is extended, its old input is not the one to send."""
    own = lines[0]
    if own.wanted:
        return [], "it is being cancelled; retry it when that has ended"
    moves, answer = _all(lines, lambda line: _retry(line, now), "tried again", "nothing to retry: nothing has failed")
    if all(after.run == before.run for before, after in moves):
        return moves, answer
    status = Status.HELD if own.status is Status.HELD else Status.READY
    step = own.step if own.step in ("admit", PREPARE) else UPLOAD
    again = replace(_retry(own, now), step=step, status=status, tries=0, due=now, since=now)
    return [(own, again), *(move for move in moves if move[0] is not own)], answer


def _retry(line: Line, now: float) -> Line:
    """A failed beam begins a new run; a waiting line is looked at now; a failed case goes on where it stood."""
    if line.status is Status.WAITING and not line.wanted:
        return replace(line, due=now, tries=0)
    if line.status not in (Status.FAILED, Status.CANCELLED):
        return line
    fresh = replace(
        line, status=Status.READY, tries=0, due=now, since=now, reason="", advice="", wanted="", needs_person=False
    )
    if line.beam == CASE_LINE:  # results that cannot be delivered are made anew
        return replace(fresh, step="compare") if line.step == "deliver" and line.status is Status.FAILED else fresh
    return replace(fresh, step=FIRST_BEAM_STEP, run=line.run + 1, base_run=line.run + 1)


def _lost(beams: Sequence[Line], now: float) -> tuple[Moves, str]:
    """A person has looked, and answers for it that the beam's job is dead: another may follow."""
    if not beams:
        return [], "the case has no such beam"
    (line,) = beams
    if line.status is not Status.WAITING or line.step not in ("follow", FIRST_BEAM_STEP):
        return [], f"nobody waits for word of that beam's job: it is {line.status} at {line.step}"
    if line.wanted:
        return [(line, replace(line, due=now))], "taken for dead; the beam is being cancelled"
    if line.step == FIRST_BEAM_STEP:
        return [(line, replace(line, due=now, reason="", needs_person=False))], "taken for dead; the next run may begin"
    fresh = replace(line, step=FIRST_BEAM_STEP, status=Status.READY, run=line.run + 1, tries=0, due=now, since=now)
    return [(line, replace(fresh, reason="", advice="", needs_person=False))], "taken for dead; the next run may begin"


def _rejudge(own: Line, now: float) -> tuple[Moves, str]:
    """The kept doses are compared once more; the results that were delivered stay."""
    if own.status is not Status.DONE:
        return [], f"only a case that is done can be judged again: this one is {own.status} at {own.step}"
    again = replace(own, step=COMPARE, status=Status.READY, tries=0, due=now, since=now, reason="", advice="")
    return [(own, again)], "judged again, with the limits that the communicator runs with"


def event_of(order: str, who: str, why: str, before: Line, after: Line, now: float) -> Event:
    """The record of one line's move by an order."""
    return Event(
        at=now,
        case=before.case,
        beam=before.beam,
        event=f"order.{order}",
        step=before.step,
        before=before.status,
        after=after.status if after.step == before.step else f"{after.step}/{after.status}",
        who=who,
        why=why,
    )
