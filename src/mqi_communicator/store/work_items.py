"""Lines: where each case and each beam stands, and the events that brought it there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from sqlalchemy import Connection, Row, and_, or_, select, update

from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.store.audit import append, history
from mqi_communicator.store.chain import Entry
from mqi_communicator.store.schema import batched, cases, events, lines

_LIVE = (Status.READY, Status.WAITING)
NOT_ENDED = (*_LIVE, Status.HELD)  # said as what they are: an index finds these among many that have ended


class WorkItemChanged(RuntimeError):  # noqa: N818 - it tells what happened
    """The line is not where it was read: somebody else has changed it meanwhile."""


def _values(item: WorkItem) -> dict[str, object]:
    return {name: getattr(item, name) for name in WorkItem.__slots__}


def _line(row: Row[tuple[object, ...]]) -> WorkItem:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return WorkItem(**{**values, "status": Status(values["status"])})


def add(connection: Connection, /, item: WorkItem, event: Event) -> None:
    """A new line, unless it exists."""
    known = connection.execute(select(lines.c.step).where(_is(item.case, item.beam))).one_or_none()
    if known is None:
        connection.execute(lines.insert().values(**_values(item)))
        append(connection, event)


def begin(connection: Connection, /, item: WorkItem) -> None:
    """A beam sets out on its way, unless it has, or its case has ended. What its case was ordered holds for it too."""
    own = get(connection, item.case)
    if own.status.ended:
        return
    status = Status.HELD if own.status is Status.HELD else item.status
    born = replace(item, status=status, wanted=own.wanted, reason=own.reason if own.wanted else item.reason)
    add(connection, born, Event(item.since, item.case, item.beam, "beam.started", item.step, "", born.status))


def _is(case: str, beam: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a SQL expression
    return and_(lines.c.case == case, lines.c.beam == beam)


def move(connection: Connection, /, before: WorkItem, after: WorkItem, event: Event | None) -> None:
    """Write a line's new state and its event together. LineMoved, and nothing written, if it is not at `before`.

    Only what decides where a line stands is compared; orders may have set `wanted` or `due` meanwhile.
    """
    values = _values(after)
    if before.wanted == after.wanted:
        del values["wanted"]
    due = connection.execute(select(lines.c.due).where(_is(before.case, before.beam))).scalar_one()
    if due != before.due and after.status in _LIVE:  # poked meanwhile: the wake-up must not be lost
        values["due"] = min(due, after.due)
    here = and_(
        _is(before.case, before.beam),
        lines.c.step == before.step,
        lines.c.status == before.status,
        lines.c.run == before.run,
    )
    if connection.execute(update(lines).where(here).values(**values)).rowcount != 1:
        raise WorkItemChanged(f"{before.case} beam {before.beam} is no longer at {before.step}/{before.status}")
    if event is not None:
        append(connection, event)


def due(connection: Connection, /, now: float) -> list[WorkItem]:
    """The live lines whose time has come, by the rank of their cases."""
    here = or_(
        and_(lines.c.status.in_(_LIVE), lines.c.due <= now),
        and_(lines.c.status == Status.HELD, lines.c.wanted != ""),
    )
    query = select(lines).join(cases, cases.c.key == lines.c.case).where(here)
    return [_line(row) for row in connection.execute(query.order_by(cases.c.rank, lines.c.due))]


def next_due(connection: Connection, /) -> float | None:
    """When the next live line's time will come (epoch seconds)."""
    query = select(lines.c.due).where(lines.c.status.in_(_LIVE)).order_by(lines.c.due).limit(1)
    return connection.execute(query).scalar_one_or_none()


def get(connection: Connection, /, case: str, beam: int = CASE_ITEM) -> WorkItem:
    """One line."""
    return _line(connection.execute(select(lines).where(_is(case, beam))).one())


def of_case(connection: Connection, /, case: str) -> list[WorkItem]:
    """The case's own line first, then its beams by number."""
    return [_line(row) for row in connection.execute(select(lines).where(lines.c.case == case).order_by(lines.c.beam))]


def own(connection: Connection, /) -> list[WorkItem]:
    """The own line of every case."""
    return [_line(row) for row in connection.execute(select(lines).where(lines.c.beam == CASE_ITEM))]


def live(connection: Connection, /) -> list[WorkItem]:
    """All lines that have not ended."""
    return [_line(row) for row in connection.execute(select(lines).where(lines.c.status.in_(NOT_ENDED)))]


def all_items(connection: Connection, /, keys: Iterable[str]) -> dict[str, list[WorkItem]]:
    """The lines of several cases, by case."""
    wanted = list(keys)
    found: dict[str, list[WorkItem]] = {key: [] for key in wanted}
    for part in batched(wanted):
        query = select(lines).where(lines.c.case.in_(part)).order_by(lines.c.case, lines.c.beam)
        for row in connection.execute(query):
            item = _line(row)
            found[item.case].append(item)
    return found


def wake(connection: Connection, /, case: str, beam: int, now: float) -> None:
    """Let a live line be looked at now rather than later."""
    connection.execute(update(lines).where(_is(case, beam), lines.c.status.in_(_LIVE)).values(due=now))


def wake_beams(connection: Connection, /, case: str, now: float) -> None:
    """Let the beams of a case that wait before their job be looked at now; one that is being looked at, once more."""
    here = and_(lines.c.case == case, lines.c.beam != CASE_ITEM, lines.c.step == "submit", lines.c.status.in_(_LIVE))
    connection.execute(update(lines).where(here).values(due=now))


def wake_step(connection: Connection, /, step: str, now: float) -> None:
    """Let all lines that wait at a step be looked at now; one that is being looked at, once more."""
    here = and_(lines.c.step == step, lines.c.status.in_(_LIVE))
    connection.execute(update(lines).where(here).values(due=now))


def wake_all(connection: Connection, /, now: float) -> None:
    """Let every live line that waits be looked at now."""
    connection.execute(update(lines).where(lines.c.status.in_(_LIVE), lines.c.due > now).values(due=now))


def explain(connection: Connection, /, item: WorkItem, reason: str) -> None:
    """Say what a line that is due still waits for. One that was looked at meanwhile has said so itself."""
    if item.reason != reason:
        here = and_(
            _is(item.case, item.beam),
            lines.c.step == item.step,
            lines.c.status == item.status,
            lines.c.reason == item.reason,
            lines.c.due == item.due,
        )
        connection.execute(update(lines).where(here).values(reason=reason))


def events_of(connection: Connection, /, case: str) -> list[Event]:
    """Everything that happened to a case, in order."""
    return [event_of(entry) for entry in history(connection, case)]


def event_of(entry: Entry) -> Event:
    """A recorded event under its current name."""
    columns = {name: getattr(entry, name) for name in Event.__slots__ if name not in ("event", "facts")}
    return Event(**columns, event=entry.name, facts=json.loads(entry.facts))


def usual_duration(connection: Connection, /, steps: tuple[str, ...], limit: int = 20) -> float | None:
    """How long these steps usually take together, in s: the sum of their medians. None before each was done once."""
    total = 0.0
    for step in steps:
        query = (
            select(events.c.facts)
            .where(events.c.step == step, events.c.event == "step.done")
            .order_by(events.c.id.desc())
            .limit(limit)
        )
        took = [
            facts["took_s"] for text in connection.execute(query).scalars() if "took_s" in (facts := json.loads(text))
        ]
        if not took:
            return None
        total += median(took)
    return total
