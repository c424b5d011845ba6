"""The transaction that records the outcome of a step: the item's new state, and what it changes for its family."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem
from mqi_communicator.case.outcome import Extend, Outcome, Resend
from mqi_communicator.flow.transitions.decide import EXTENDED, RESEND_S, UPLOAD, extended, resend
from mqi_communicator.store import work_items


def record_outcome(
    connection: Connection, item: WorkItem, moved: WorkItem, event: Event | None, outcome: Outcome | Fault
) -> None:
    """Store the item's new state; make those due that wait for it. WorkItemChanged if `item` is not what is stored."""
    work_items.move(connection, item, moved, event)
    if isinstance(outcome, Resend):
        _resend_case(connection, item.case, outcome.why, moved)
    if isinstance(outcome, Extend):
        _extend_beams(connection, item.case, outcome.why, moved.due)
    if moved.beam == CASE_ITEM and moved.status.ended:
        work_items.wake_first(connection, UPLOAD, moved.due)
    if moved.beam != CASE_ITEM and moved.status.ended:
        work_items.wake(connection, item.case, CASE_ITEM, moved.due)
    if moved.beam == CASE_ITEM and moved.step != item.step:
        work_items.wake_beams(connection, item.case, moved.due)


def _resend_case(connection: Connection, case: str, why: str, beam: WorkItem) -> None:
    own = work_items.get(connection, case)
    again = resend(own, why, beam.since)
    if again != own:
        now = beam.due - RESEND_S
        event = Event(now, own.case, own.beam, "case.resent", own.step, own.status, UPLOAD, why=why)
        work_items.move(connection, own, replace(again, due=now, since=now), event)


def _extend_beams(connection: Connection, case: str, why: str, now: float) -> None:
    own, *beams = work_items.of_case(connection, case)
    for beam in beams:
        again = extended(beam, own, why, now)
        to = f"{again.step}/{again.status}"
        event = Event(now, beam.case, beam.beam, EXTENDED, beam.step, beam.status, to, why=why)
        work_items.move(connection, beam, again, event)
