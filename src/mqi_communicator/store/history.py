"""Queries over many cases: recently completed ones, and a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from mqi_communicator.case.model import CASE_ITEM, Status
from mqi_communicator.case.signing import DUE
from mqi_communicator.case.states import ON_HOST, State
from mqi_communicator.case.views import DEFAULT_POLICY, ViewPolicy
from mqi_communicator.store.cases import Case, as_case
from mqi_communicator.store.schema import cases, unindexed, work_items
from mqi_communicator.store.work_items import NOT_ENDED
from mqi_communicator.store.worklist import due

PageCursor = tuple[float, str]  # (seen, key) of the last case of a page: the next page starts after it
_FAILED = 50  # failed cases that are listed under action required
_FAILED_S = 14 * 86400.0  # for how long


@dataclass(frozen=True, slots=True)
class CaseQuery:
    """Conditions of a search; empty ones do not apply.

    `text` is the start of a key, or a part of a folder's name or of the patient id or plan label that the site shows.
    """

    text: str = ""
    word: str = ""
    state: State | None = None
    machine: str = ""
    signature: str = ""
    since: float | None = None  # epoch seconds, of arrival
    until: float | None = None
    policy: ViewPolicy = DEFAULT_POLICY


def search(
    connection: Connection, wanted: CaseQuery, watch: Path, *, limit: int, before: PageCursor | None = None
) -> list[Case]:
    """The newest `limit` cases that match, after `before`. Names are relative to `watch`, the watched folder."""
    query = select(cases).where(*_conditions(wanted, watch))
    if before is not None:
        query = query.where(tuple_(cases.c.seen, cases.c.key) < before)
    query = query.order_by(cases.c.seen.desc(), cases.c.key.desc()).limit(limit)
    if wanted.state != "to_review" or wanted.text:
        return [as_case(row) for row in connection.execute(query)]
    parts = (query.where(cases.c.signature == signature) for signature in DUE)  # each in the order of an index
    found = [as_case(row) for part in parts for row in connection.execute(part)]
    return sorted(found, key=lambda case: (case.seen, case.key), reverse=True)[:limit]


def recently_ended(connection: Connection, status: str, limit: int, since: float = 0.0) -> list[Case]:
    """The cases that reached this final status, the latest first."""
    here = and_(work_items.c.case == cases.c.key, work_items.c.beam == CASE_ITEM)
    query = select(cases).join(work_items, here).where(work_items.c.status == status, work_items.c.since >= since)
    return [as_case(row) for row in connection.execute(query.order_by(work_items.c.since.desc()).limit(limit))]


def recently_failed(connection: Connection, now: float) -> list[Case]:
    """The failed cases that are listed under action required, the latest first. `now`: epoch seconds."""
    return recently_ended(connection, "failed", _FAILED, now - _FAILED_S)


def last_ended(connection: Connection, statuses: Sequence[str], limit: int) -> list[Case]:
    """The cases that reached one of these final statuses, the latest first."""
    here = and_(work_items.c.case == cases.c.key, work_items.c.beam == CASE_ITEM)
    found: list[tuple[float, Case]] = []
    for status in statuses:  # one by one: each is read in the order of an index, and no further than the limit
        query = select(cases, work_items.c.since).join(work_items, here).where(work_items.c.status == status)
        rows = connection.execute(query.order_by(work_items.c.since.desc()).limit(limit))
        found += [(row.since, as_case(row)) for row in rows]
    return [case for _since, case in sorted(found, key=lambda pair: pair[0], reverse=True)[:limit]]


def counts(connection: Connection, since: float) -> dict[str, int]:
    """How many cases have each status; of those that have ended, only if after `since`."""
    own = work_items.c.beam == CASE_ITEM
    ranges = [(status, own) for status in NOT_ENDED] + [
        (status, and_(own, work_items.c.since >= since)) for status in Status if status.ended
    ]
    # one range of an index for each status: a single condition with OR reads every case
    parts = [
        select(literal(str(status)), func.count()).select_from(work_items).where(work_items.c.status == status, here)
        for status, here in ranges
    ]
    return {str(status): int(number) for status, number in connection.execute(union_all(*parts)) if number}


def _conditions(wanted: CaseQuery, watch: Path) -> Iterator[ColumnElement[bool]]:
    if wanted.text:
        name = func.substr(cast(cases.c.source, Text), len(str(watch)) + 2)
        starts = cases.c.key.startswith(wanted.text.lower(), autoescape=True)
        shown = wanted.policy.shown
        parts = [name] + ([cases.c.patient_id] if shown.patient_id else [])
        parts += [cases.c.plan_label] if shown.plan_label and shown.patient_id else []
        yield or_(starts, *(part.contains(wanted.text, autoescape=True) for part in parts))
    # a text is searched in an index that contains the names, and no other one is of use then
    of = unindexed if wanted.text else _as_it_is
    if wanted.word:
        yield of(cases.c.word) == wanted.word
    if wanted.state is not None:
        yield from _in_state(wanted.state, wanted.policy)
    if wanted.machine:
        yield of(cases.c.machine) == wanted.machine
    if wanted.signature:
        yield of(cases.c.signature) == wanted.signature
    if wanted.since is not None:
        yield cases.c.seen >= wanted.since
    if wanted.until is not None:
        yield cases.c.seen < wanted.until


def _as_it_is(column: Column[str]) -> ColumnElement[str]:
    return column


def _in_state(state: State, policy: ViewPolicy) -> Iterator[ColumnElement[bool]]:
    """The conditions of a case in this state: `case.views.state_of_case`."""
    own, other = work_items.alias("own"), work_items.alias("other")
    others = select(other.c.case).where(other.c.case == own.c.case)
    person = others.where(other.c.needs_person).exists()
    computing = others.where(
        other.c.beam != CASE_ITEM, other.c.step.in_(ON_HOST), other.c.status.in_((Status.READY, Status.WAITING))
    ).exists()
    status = own.c.status
    conditions: dict[State, ColumnElement[bool]] = {
        "to_review": or_(status == Status.DONE, and_(status.in_(NOT_ENDED), ~person)),
        "action_required": and_(status.in_(NOT_ENDED), person),
        "running": and_(status.in_((Status.READY, Status.WAITING)), ~person, or_(status == Status.READY, computing)),
        "waiting": and_(~person, status == Status.WAITING, ~computing),
        "held": and_(~person, status == Status.HELD),
        "done": status == Status.DONE,
        "failed": status == Status.FAILED,
        "cancelled": status == Status.CANCELLED,
    }
    mine = select(own.c.case).where(own.c.beam == CASE_ITEM, conditions[state])
    if state in ("to_review", "done"):  # most cases: a lookup for each is cheaper than a list
        yield mine.where(own.c.case == cases.c.key).exists()
    else:
        yield cases.c.key.in_(mine)
    if state == "to_review":
        yield due(passes=policy.passes)
    elif state in ("running", "waiting", "held", "done"):
        yield ~due(passes=policy.passes)
