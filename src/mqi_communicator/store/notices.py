"""Which events each notification channel has handled, and what has happened since."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from mqi_communicator.case.event_names import current_name, recorded_names
from mqi_communicator.case.model import Event, Status
from mqi_communicator.store.schema import events, notices, work_items

BATCH = 1000  # events in one query
_CALLS = recorded_names("step.action_required", "step.waiting")  # both may leave a work item that requires action
_COMPARED = and_(events.c.event == "step.done", events.c.step == "compare")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one channel has got."""

    channel: str
    event: int  # id of the last event that was handled
    sent: float  # epoch seconds of the last message; 0 before the first


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """An event, and whether it still holds: its work item is still failed at that step, or still requires action."""

    event: Event
    holds: bool


def get_cursor(connection: Connection, channel: str) -> Cursor | None:
    """How far this channel has got; None before its first poll."""
    row = connection.execute(select(notices).where(notices.c.channel == channel)).one_or_none()
    return None if row is None else Cursor(row.channel, row.event, row.sent)


def save_cursor(connection: Connection, at: Cursor) -> None:
    """Write how far a channel has got."""
    connection.execute(notices.delete().where(notices.c.channel == at.channel))
    connection.execute(notices.insert().values(channel=at.channel, event=at.event, sent=at.sent))


def last_event(connection: Connection) -> int:
    """The id of the newest event; 0 where there is none."""
    return connection.execute(select(func.max(events.c.id))).scalar_one() or 0


def events_after(connection: Connection, last: int) -> tuple[int, list[StoreEvent]]:
    """Events after id `last` that may be worth a notification, and the id up to which the list is complete."""
    own = and_(work_items.c.case == events.c.case, work_items.c.beam == events.c.beam)
    query = (
        select(events, work_items.c.status, work_items.c.step.label("current_step"), work_items.c.needs_person)
        .join(work_items, own)
        .where(events.c.id > last, or_(events.c.event.in_((*_CALLS, "step.failed")), _COMPARED))
        .order_by(events.c.id)
        .limit(BATCH)
    )
    rows = connection.execute(query).all()
    found = []
    for row in rows:
        columns = {name: getattr(row, name) for name in Event.__slots__ if name not in ("event", "facts")}
        event = Event(**columns, event=current_name(row.event, row.beam), facts=json.loads(row.facts))
        wanted = row.status == Status.FAILED if row.event == "step.failed" else row.needs_person
        found.append(StoreEvent(event, bool(wanted and row.current_step == row.step)))
    return (rows[-1].id if len(rows) == BATCH else last_event(connection)), found
