"""Work items: the state of each case and each beam. Every change is written together with its event."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from sqlalchemy import Connection, Row, and_, or_, select, update

from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.store.audit import append, history
from mqi_communicator.store.chain import event_of
from mqi_communicator.store.schema import batched, cases, events, work_items

_LIVE = (Status.READY, Status.WAITING)
NOT_ENDED = (*_LIVE, Status.HELD)  # listed, not negated: then an index finds them


class WorkItemChanged(RuntimeError):  # noqa: N818 - named after what happened
    """The work item was changed by another writer after it was read."""


def _values(item: WorkItem) -> dict[str, object]:
    return {name: getattr(item, name) for name in WorkItem.__slots__}


def _item(row: Row[tuple[object, ...]]) -> WorkItem:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return WorkItem(**{**values, "status": Status(values["status"])})


def add(connection: Connection, /, item: WorkItem, event: Event) -> None:
    """Insert a work item and its event, unless it exists."""
    known = connection.execute(select(work_items.c.step).where(_is(item.case, item.beam))).one_or_none()
    if known is None:
        connection.execute(work_items.insert().values(**_values(item)))
        append(connection, event)


def add_beam(connection: Connection, /, item: WorkItem) -> None:
    """Insert the work item of a beam, unless it exists or its case has ended. Orders for its case apply to it too."""
    own = get(connection, item.case)
    if own.status.ended:
        return
    status = Status.HELD if own.status is Status.HELD else item.status
    new = replace(item, status=status, wanted=own.wanted, reason=own.reason if own.wanted else item.reason)
    add(connection, new, Event(item.since, item.case, item.beam, "beam.started", item.step, "", new.status))


def _is(case: str, beam: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a SQL expression
    return and_(work_items.c.case == case, work_items.c.beam == beam)


def move(connection: Connection, /, before: WorkItem, after: WorkItem, event: Event | None) -> None:
    """Write a work item's new state and its event. WorkItemChanged, and nothing written, if it is not at `before`.

    Step, status and run are compared; orders may have set `wanted` or `due` meanwhile.
    """
    values = _values(after)
    if before.wanted == after.wanted:
        del values["wanted"]
    due = connection.execute(select(work_items.c.due).where(_is(before.case, before.beam))).scalar_one()
    if due != before.due and after.status in _LIVE:  # woken meanwhile: the wake-up must not be lost
        values["due"] = min(due, after.due)
    here = and_(
        _is(before.case, before.beam),
        work_items.c.step == before.step,
        work_items.c.status == before.status,
        work_items.c.run == before.run,
    )
    if connection.execute(update(work_items).where(here).values(**values)).rowcount != 1:
        raise WorkItemChanged(f"{before.case} beam {before.beam} is no longer at {before.step}/{before.status}")
    if event is not None:
        append(connection, event)


def due(connection: Connection, /, now: float) -> list[WorkItem]:
    """The live work items that are due, by the rank of their cases."""
    here = or_(
        and_(work_items.c.status.in_(_LIVE), work_items.c.due <= now),
        and_(work_items.c.status == Status.HELD, work_items.c.wanted != ""),
    )
    query = select(work_items).join(cases, cases.c.key == work_items.c.case).where(here)
    return [_item(row) for row in connection.execute(query.order_by(cases.c.rank, work_items.c.due))]


def next_due(connection: Connection, /, after: float = 0.0) -> float | None:
    """When the next live work item is due that is not due at `after` (epoch seconds)."""
    live = (work_items.c.status.in_(_LIVE), work_items.c.due > after)
    query = select(work_items.c.due).where(*live).order_by(work_items.c.due).limit(1)
    return connection.execute(query).scalar_one_or_none()


def get(connection: Connection, /, case: str, beam: int = CASE_ITEM) -> WorkItem:
    """One work item."""
    return _item(connection.execute(select(work_items).where(_is(case, beam))).one())


def of_case(connection: Connection, /, case: str) -> list[WorkItem]:
    """The work item of the case first, then those of its beams by number."""
    query = select(work_items).where(work_items.c.case == case).order_by(work_items.c.beam)
    return [_item(row) for row in connection.execute(query)]


def undone_cases(connection: Connection, /) -> list[WorkItem]:
    """The work items of the cases that are neither done nor cancelled nor being cancelled."""
    query = select(work_items).where(
        work_items.c.beam == CASE_ITEM, work_items.c.status.in_((*NOT_ENDED, Status.FAILED)), work_items.c.wanted == ""
    )
    return [_item(row) for row in connection.execute(query)]


def not_cancelled(connection: Connection, /, keys: Iterable[str]) -> list[WorkItem]:
    """The work items of those of these cases that are neither cancelled nor being cancelled."""
    found: list[WorkItem] = []
    for part in batched(list(keys)):
        own = (work_items.c.beam == CASE_ITEM, work_items.c.status != Status.CANCELLED, work_items.c.wanted == "")
        found += map(_item, connection.execute(select(work_items).where(work_items.c.case.in_(part), *own)))
    return found


def live(connection: Connection, /) -> list[WorkItem]:
    """All work items that have not ended."""
    return [_item(row) for row in connection.execute(select(work_items).where(work_items.c.status.in_(NOT_ENDED)))]


def of_cases(connection: Connection, /, keys: Iterable[str]) -> dict[str, list[WorkItem]]:
    """The work items of several cases, by case."""
    wanted = list(keys)
    found: dict[str, list[WorkItem]] = {key: [] for key in wanted}
    for part in batched(wanted):
        query = select(work_items).where(work_items.c.case.in_(part)).order_by(work_items.c.case, work_items.c.beam)
        for row in connection.execute(query):
            item = _item(row)
            found[item.case].append(item)
    return found


def wake(connection: Connection, /, case: str, beam: int, now: float) -> None:
    """Make a live work item due now."""
    connection.execute(update(work_items).where(_is(case, beam), work_items.c.status.in_(_LIVE)).values(due=now))


def wake_beams(connection: Connection, /, case: str, now: float) -> None:
    """Make the beams of a case that wait for submission due now; one whose step is running, once more."""
    here = and_(
        work_items.c.case == case,
        work_items.c.beam != CASE_ITEM,
        work_items.c.step == "submit",
        work_items.c.status.in_(_LIVE),
    )
    connection.execute(update(work_items).where(here).values(due=now))


def wake_step(connection: Connection, /, step: str, now: float) -> None:
    """Make all work items that wait at a step due now; one whose step is running, once more."""
    here = and_(work_items.c.step == step, work_items.c.status.in_(_LIVE))
    connection.execute(update(work_items).where(here).values(due=now))


def wake_first(connection: Connection, /, step: str, now: float) -> None:
    """Make the first of the work items due now that wait at a step without a host, by the rank of their cases."""
    first = (
        select(work_items.c.case, work_items.c.beam)
        .join(cases, cases.c.key == work_items.c.case)
        .where(work_items.c.step == step, work_items.c.status.in_(_LIVE), work_items.c.due > now, cases.c.host == "")
        .order_by(cases.c.rank)
        .limit(1)
    )
    for case, beam in connection.execute(first).all():
        wake(connection, case, beam, now)


def wake_all(connection: Connection, /, now: float) -> None:
    """Make every live work item due now."""
    connection.execute(update(work_items).where(work_items.c.status.in_(_LIVE), work_items.c.due > now).values(due=now))


def set_reason(connection: Connection, /, item: WorkItem, reason: str) -> None:
    """Set the reason for which a due work item still waits, unless its step has run meanwhile."""
    if item.reason != reason:
        here = and_(
            _is(item.case, item.beam),
            work_items.c.step == item.step,
            work_items.c.status == item.status,
            work_items.c.reason == item.reason,
            work_items.c.due == item.due,
        )
        connection.execute(update(work_items).where(here).values(reason=reason))


def events_of(connection: Connection, /, case: str) -> list[Event]:
    """The events of a case, in order."""
    return [event_of(entry) for entry in history(connection, case)]


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
