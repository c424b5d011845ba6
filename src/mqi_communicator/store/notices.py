"""Notices: what has been told to people on each way, and what has happened since."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from mqi_communicator.case.event_names import current_name, recorded_names
from mqi_communicator.case.model import Event, Status
from mqi_communicator.store.schema import events, lines, notices

MOST = 1000  # events in one look
_CALLS = recorded_names("step.action_required", "step.waiting")  # both may leave a line that needs somebody
_COMPARED = and_(events.c.event == "step.done", events.c.step == "compare")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one way has told."""

    way: str
    told: int  # number of the last event that it has dealt with
    sent: float  # epoch seconds of the last message; 0 before the first


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """An event, and whether its line still is where that event left it: failed, or in need of a person."""

    event: Event
    still: bool


def mark(connection: Connection, way: str) -> Cursor | None:
    """How far this way has told; None before it ever looked."""
    row = connection.execute(select(notices).where(notices.c.way == way)).one_or_none()
    return None if row is None else Cursor(row.way, row.told, row.sent)


def save(connection: Connection, at: Cursor) -> None:
    """Write how far a way has told."""
    connection.execute(notices.delete().where(notices.c.way == at.way))
    connection.execute(notices.insert().values(way=at.way, told=at.told, sent=at.sent))


def last_event(connection: Connection) -> int:
    """The number of the newest event; 0 where there is none."""
    return connection.execute(select(func.max(events.c.id))).scalar_one() or 0


def happened(connection: Connection, told: int) -> tuple[int, list[StoreEvent]]:
    """What may be worth telling after event number `told`, and the number up to which this is all."""
    here = and_(lines.c.case == events.c.case, lines.c.beam == events.c.beam)
    query = (
        select(events, lines.c.status, lines.c.step.label("stands"), lines.c.needs_person)
        .join(lines, here)
        .where(events.c.id > told, or_(events.c.event.in_((*_CALLS, "step.failed")), _COMPARED))
        .order_by(events.c.id)
        .limit(MOST)
    )
    rows = connection.execute(query).all()
    found = []
    for row in rows:
        columns = {name: getattr(row, name) for name in Event.__slots__ if name not in ("event", "facts")}
        event = Event(**columns, event=current_name(row.event, row.beam), facts=json.loads(row.facts))
        wanted = row.status == Status.FAILED if row.event == "step.failed" else row.needs_person
        found.append(StoreEvent(event, bool(wanted and row.stands == row.step)))
    return (rows[-1].id if len(rows) == MOST else last_event(connection)), found
