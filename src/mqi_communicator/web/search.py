"""Finding cases, by key or by filters."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mqi_communicator.case.model import Event
from mqi_communicator.case.signing import SignatureState
from mqi_communicator.case.states import STATES, State
from mqi_communicator.case.views import CaseView, ViewPolicy
from mqi_communicator.store import cases, deliveries, history, orders, work_items
from mqi_communicator.store.history import CaseQuery, PageCursor
from mqi_communicator.store.orders import Order
from mqi_communicator.web.context import DashboardContext

OUTCOMES = ("pass", "review", "undecided", "not_judged", "fail")
SIGNATURES = tuple(state.value for state in SignatureState if state)
DAY = r"^$|^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"
CURSOR = r"^$|^[0-9]{1,12}([.][0-9]{1,9})?~[a-z0-9]{1,40}$"
KEY = re.compile(r"[a-z0-9]{1,40}")
PAGE = 50
EVENTS = 500  # shown on the page of a case
_DAY_S = 86400.0


class InvalidQuery(ValueError):  # noqa: N818 - named after what happened
    """A filter or cursor is invalid; the message says which."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict of this case, or another revision of its plan."""

    case: str
    revision: int
    number: int | None  # of the judgement of this case; None for another revision
    at: float  # of the verdict; for another revision, when it was received
    verdict: str  # "" if there is none
    results: str  # "" where they are not those of the last judgement


@dataclass(frozen=True, slots=True)
class CaseDetail:
    """One case with its events and orders."""

    case: CaseView
    events: list[Event]
    orders: list[Order]
    earlier: tuple[Judgement, ...]
    fractions: tuple[CaseView, ...]  # of a plan: those of which something is recorded
    doses: Mapping[str, CaseView]  # of a plan or a fraction: the last case that computes a fraction's dose, by label


async def case_detail(context: DashboardContext, key: str) -> CaseDetail | None:
    """The case with this key, in one read of the store; None if there is none."""

    def query(connection: Any) -> CaseDetail | None:
        try:
            row = cases.get(connection, key)
        except KeyError:
            return None
        (seen,) = context.queries.view(connection, [row], time.time())
        events = work_items.events_of(connection, key)
        others = cases.of_lineage(connection, row.lineage, but=key) if row.lineage else []
        given, now = orders.of_case(connection, key), time.time()
        fractions = context.queries.view(connection, deliveries.fractions_of(connection, key), now)
        computed = deliveries.doses_of(connection, row.parent or key)
        doses = context.queries.view(connection, [one for one in computed if not one.superseded_by], now)
        return CaseDetail(
            seen,
            events,
            given,
            _judgements(seen, events, others),
            _in_order(fractions),
            {one.fraction: one for one in doses},
        )

    return await context.database.read(query)


def _in_order(fractions: Sequence[CaseView]) -> tuple[CaseView, ...]:
    """By number, after those of which only a date is known."""
    return tuple(sorted(fractions, key=lambda one: (one.fraction[:1], len(one.fraction), one.fraction)))


def _judgements(seen: CaseView, events: Sequence[Event], others: Sequence[cases.Case]) -> tuple[Judgement, ...]:
    """The verdicts of this case and of the other revisions of its plan, newest first."""
    made = [
        event
        for event in events
        if event.step in ("compare", "judge") and event.event == "step.done" and event.facts.get("word")
    ]
    own = [
        Judgement(seen.case, seen.revision, number, event.at, str(event.facts["word"]), "")
        for number, event in enumerate(made, start=1)
    ]
    own = [*own[:-1], *(replace(one, results=seen.results) for one in own[-1:])]
    found = [Judgement(one.key, one.revision, None, one.seen, one.word, one.results) for one in others]
    return tuple(sorted([*own, *found], key=lambda one: (one.revision, one.at), reverse=True))


@dataclass(frozen=True, slots=True)
class Page:
    """Some cases, newest first, and the cursor of the next page."""

    cases: list[CaseView]
    after: str  # "" on the last page


async def search(context: DashboardContext, wanted: CaseQuery, before: str, limit: int = PAGE) -> Page:
    """One page. InvalidQuery for an invalid cursor."""
    cursor = _cursor(before)

    def query(connection: Any) -> Page:
        found = history.search(connection, wanted, context.folders.watch, limit=limit + 1, before=cursor)
        shown = found[:limit]
        after = f"{shown[-1].seen!r}~{shown[-1].key}" if len(found) > limit else ""
        return Page(context.queries.view(connection, shown, time.time()), after)

    return await context.database.read(query)


def _cursor(text: str) -> PageCursor | None:
    if not text:
        return None
    if not re.fullmatch(CURSOR, text):
        raise InvalidQuery("before: use `after` of the previous page")
    seen, _, key = text.partition("~")
    return float(seen), key


def filter_of(given: Mapping[str, str], policy: ViewPolicy) -> CaseQuery:
    """The filters of a form or query. InvalidQuery if one is invalid."""
    word = given.get("word", "")
    if word and word not in OUTCOMES:
        raise InvalidQuery(f"word: must be one of {', '.join(OUTCOMES)}")
    signature = given.get("signature", "")
    if signature and signature not in SIGNATURES:
        raise InvalidQuery(f"signature: must be one of {', '.join(SIGNATURES)}")
    until = day_of(given.get("until", ""), "until")
    return CaseQuery(
        text=given.get("text", "").strip()[:200],
        word=word,
        state=_state_of(given.get("state", "")),
        machine=given.get("machine", "")[:200],
        signature=signature,
        since=day_of(given.get("since", ""), "since"),
        until=None if until is None else until + _DAY_S,
        policy=policy,
    )


def _state_of(text: str) -> State | None:
    found = next((state for state in STATES if state == text), None)
    if text and found is None:
        raise InvalidQuery(f"state: must be one of {', '.join(STATES)}")
    return found


def day_of(text: str, name: str) -> float | None:
    """The beginning of a day, in epoch seconds."""
    if not text:
        return None
    if not re.fullmatch(DAY, text):
        raise InvalidQuery(f"{name}: must be a date like 2026-01-31")
    year, month, day = map(int, text.split("-"))
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))  # mktime takes the 31st of February as a day in March
