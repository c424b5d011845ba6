"""Appending to and reading the event chain, and verifying it against checkpoints outside the store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from mqi_communicator.case.model import Event
from mqi_communicator.store.chain import GENESIS, AuditCheckpoint, Entry, Finding, find_breaks, link
from mqi_communicator.store.schema import events


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of a verification of the whole chain."""

    events: int
    cases: int
    checkpoints: int  # that agree
    head: str  # the last event's link
    findings: tuple[Finding, ...]


def append(connection: Connection, event: Event) -> None:
    """Append an event to the chain. The transaction holds the store's write lock: no other writer can interfere."""
    last = connection.execute(select(events.c.id, events.c.link).order_by(events.c.id.desc()).limit(1)).one_or_none()
    of_case = select(func.max(events.c.seq)).where(events.c.case == event.case)
    values: dict[str, object] = {name: getattr(event, name) for name in Event.__slots__ if name != "facts"}
    values |= {
        "id": 1 if last is None else last.id + 1,
        "seq": 1 + (connection.execute(of_case).scalar_one() or 0),
        "at": float(event.at),
        "facts": json.dumps(dict(event.facts), sort_keys=True, default=str),
    }
    before = GENESIS if last is None else last.link
    connection.execute(events.insert().values(**values, link=link(before, values)))


def history(connection: Connection, case: str) -> list[Entry]:
    """Every event of a case, in order."""
    rows = connection.execute(select(events).where(events.c.case == case).order_by(events.c.id))
    return [Entry(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def head(connection: Connection) -> AuditCheckpoint:
    """The chain's last event as a checkpoint; id 0 where there is none."""
    last = connection.execute(select(events).order_by(events.c.id.desc()).limit(1)).one_or_none()
    return (
        AuditCheckpoint(0, GENESIS, "")
        if last is None
        else AuditCheckpoint(last.id, last.link, "", last.case, last.seq)
    )


def verify(connection: Connection, checkpoints: Sequence[AuditCheckpoint]) -> Audit:
    """Walk the chain from its beginning, and verify it against the checkpoints."""
    by_id: dict[int, list[AuditCheckpoint]] = {}
    for one in checkpoints:
        by_id.setdefault(one.id, []).append(one)
    findings = list(find_breaks(_all(connection), lambda number: by_id.get(number, ())))
    count, cases, last = connection.execute(
        select(func.count(), func.count(events.c.case.distinct()), func.max(events.c.id))
    ).one()
    for one in checkpoints:
        if one.id > (last or 0):
            what = f"was removed from the end of the chain; {one.where} contains it"
            findings.append(Finding(one.id, one.case, one.seq, what))
    wrong = {finding.id for finding in findings}
    agreeing = sum(one.id not in wrong for one in checkpoints)
    return Audit(count, cases, agreeing, head(connection).link, tuple(sorted(findings, key=lambda one: one.id)))


def _all(connection: Connection) -> Iterator[Entry]:
    rows = connection.execution_options(yield_per=1000).execute(select(events).order_by(events.c.id))
    for row in rows:
        yield Entry(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
