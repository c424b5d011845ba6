"""How an operator's order changes the state of work items. Pure, like `decide`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mqi_communicator.case.model import CASE_ITEM, Event, Priority, Status, WorkItem
from mqi_communicator.flow.transitions.decide import COMPARE, FIRST_BEAM_STEP, PREPARE, TIDY, UPLOAD

Moves = list[tuple[WorkItem, WorkItem]]


def moves_of_order(
    order: str, items: Sequence[WorkItem], now: float, beam: int = CASE_ITEM, judged_at: str = COMPARE
) -> tuple[Moves, str]:
    """The moves that an order makes on the items of a case, and the answer to its giver. No moves: the answer says why.

    `beam`: the beam of an order about one beam. `judged_at`: the step that makes the verdict, "" if none does.
    """
    match order:
        case "hold":
            return _all(items, _hold, "held", f"nothing to hold: the case {_state(items[0])}")
        case "release":
            return _all(items, lambda item: _release(item, now), "released", "nothing to release: the case is not held")
        case "cancel":
            return _cancel_case(items, now)
        case "retry":
            return _retry_case(items, now, judged_at)
        case "lost":
            return _lost([item for item in items if item.beam == beam != CASE_ITEM], now)
        case "rejudge":
            return _rejudge(items[0], now, judged_at)
        case _:
            return [], f"unknown order {order}"


def _state(own: WorkItem) -> str:
    if own.wanted:
        return "is being cancelled"
    return f"is {own.status} already" if own.status.ended or own.status is Status.HELD else f"is {own.status}"


def _all(items: Sequence[WorkItem], move, done: str, refused: str) -> tuple[Moves, str]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    moves = [(item, moved) for item in items if (moved := move(item)) != item]
    return moves, done if moves else refused


def _hold(item: WorkItem) -> WorkItem:
    if item.status.ended or item.status is Status.HELD or item.wanted:
        return item
    return replace(item, status=Status.HELD, reason="held by order", needs_person=False)


def _release(item: WorkItem, now: float) -> WorkItem:
    if item.status is not Status.HELD:
        return item
    return replace(item, status=Status.READY, due=now, reason="")


def _cancel_case(items: Sequence[WorkItem], now: float) -> tuple[Moves, str]:
    """Delivered results stay valid: if the case counted as cancelled, equal content would be computed once more."""
    own = items[0]
    if own.step == TIDY and not own.status.ended and not own.wanted:
        return [], "nothing to cancel: the results are delivered, and the case's files on the host are being removed"
    if all(item.wanted or item.status.ended for item in items) and own.status is not Status.FAILED:
        return [], f"nothing to cancel: the case {_state(own)}"
    return _all(items, lambda item: _cancel(item, now), "being cancelled", f"nothing to cancel: the case {_state(own)}")


def _cancel(item: WorkItem, now: float) -> WorkItem:
    """A failed case can be cancelled too: its files on the host are then removed."""
    failed_case = item.status is Status.FAILED and item.beam == CASE_ITEM
    if item.status.ended and not failed_case:
        return item
    status = Status.READY if item.status is Status.HELD or failed_case else item.status
    return replace(
        item, status=status, wanted="cancel", due=now, reason="being cancelled", advice="", needs_person=False
    )


def _retry_case(items: Sequence[WorkItem], now: float, judged_at: str) -> tuple[Moves, str]:
    """If a beam is computed again, the case returns to the upload, since its input may have been removed. A case that
    is not at its upload yet stays where it is: while it is being extended, its old input must not be sent."""
    own = items[0]
    if own.wanted:
        return [], "the case is being cancelled; retry it afterwards"
    refused = f"nothing to retry: the case is {own.status}, and nothing of it has failed"
    moves, answer = _all(items, lambda item: _retry(item, now, judged_at), "retried", refused)
    if all(after.run == before.run for before, after in moves):
        return moves, answer
    status = Status.HELD if own.status is Status.HELD else Status.READY
    step = own.step if own.step in ("admit", PREPARE) else UPLOAD
    again = replace(_retry(own, now, judged_at), step=step, status=status, tries=0, due=now, since=now)
    return [(own, again), *(move for move in moves if move[0] is not own)], answer


def _retry(item: WorkItem, now: float, judged_at: str) -> WorkItem:
    """A failed beam starts a new run; a failed case continues at the step that failed; after a problem, an item that
    waits is due now."""
    if item.status is Status.WAITING and not item.wanted and (item.tries or item.needs_person or item.advice):
        return replace(item, due=now, tries=0)
    if item.status not in (Status.FAILED, Status.CANCELLED):
        return item
    fresh = replace(
        item, status=Status.READY, tries=0, due=now, since=now, reason="", advice="", wanted="", needs_person=False
    )
    if item.beam == CASE_ITEM:  # results that cannot be delivered are made again
        undelivered = item.step in ("deliver", "publish") and item.status is Status.FAILED
        return replace(fresh, step=judged_at) if undelivered else fresh
    return replace(fresh, step=FIRST_BEAM_STEP, run=item.run + 1, base_run=item.run + 1)


def _lost(beams: Sequence[WorkItem], now: float) -> tuple[Moves, str]:
    """An operator has checked that the beam's job is dead: another run may follow."""
    if not beams:
        return [], "the case has no such beam"
    (item,) = beams
    if item.status is not Status.WAITING or item.step not in ("follow", FIRST_BEAM_STEP):
        return [], f"no job of that beam is awaited: the beam is {item.status} at {item.step}"
    if item.wanted:
        return [(item, replace(item, due=now))], "declared lost; the beam is being cancelled"
    if item.step == FIRST_BEAM_STEP:
        return [(item, replace(item, due=now, reason="", needs_person=False))], "declared lost; the next run may start"
    fresh = replace(item, step=FIRST_BEAM_STEP, status=Status.READY, run=item.run + 1, tries=0, due=now, since=now)
    return [(item, replace(fresh, reason="", advice="", needs_person=False))], "declared lost; the next run may start"


def _rejudge(own: WorkItem, now: float, judged_at: str) -> tuple[Moves, str]:
    """Compare the kept doses or records once more; results that were delivered stay."""
    if not judged_at:
        return [], "a delivery has no verdict; its fractions have"
    if own.status is not Status.DONE:
        return [], f"only a case that is done can be judged again: this one is {own.status} at {own.step}"
    again = replace(own, step=judged_at, status=Status.READY, tries=0, due=now, since=now, reason="", advice="")
    return [(own, again)], "judged again with the current limits"


def priority_refusal(own: WorkItem, before: Priority, wanted: Priority) -> str:
    """Why an order to set the priority does nothing; "" if it does something."""
    if own.status.ended or own.wanted:
        return f"no priority to set: the case {_state(own)}"
    return f"no priority to set: it is {wanted.value} already" if before is wanted else ""


def event_of(order: str, who: str, why: str, before: WorkItem, after: WorkItem, now: float) -> Event:
    """The event of one item's move by an order."""
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
