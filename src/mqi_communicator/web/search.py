"""Finding cases, by key or by filters."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mqi_communicator.case.identity import IdentityPolicy
from mqi_communicator.case.model import Event
from mqi_communicator.case.signing import SignatureState
from mqi_communicator.case.views import CaseView
from mqi_communicator.store import cases, history, orders, work_items
from mqi_communicator.store.history import CaseQuery, PageCursor
from mqi_communicator.store.orders import Order
from mqi_communicator.web.context import DashboardContext

OUTCOMES = ("pass", "review", "undecided", "not_judged", "fail")
SIGNATURES = tuple(state.value for state in SignatureState if state)
STATUSES = ("ready", "waiting", "held", "done", "failed", "cancelled")
DAY = r"^$|^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"
CURSOR = r"^$|^[0-9]{1,12}([.][0-9]{1,9})?~[a-z0-9]{1,40}$"
KEY = re.compile(r"[a-z0-9]{1,40}")
PAGE = 50
EVENTS = 500  # shown on the page of a case
_DAY_S = 86400.0


class InvalidQuery(ValueError):  # noqa: N818 - named after what happened
    """A filter or cursor is invalid; the message says which."""


@dataclass(frozen=True, slots=True)
class CaseDetail:
    """One case with its events and orders."""

    case: CaseView
    events: list[Event]
    orders: list[Order]


async def case_detail(context: DashboardContext, key: str) -> CaseDetail | None:
    """The case with this key, in one read of the store; None if there is none."""

    def query(connection: Any) -> CaseDetail | None:
        try:
            row = cases.get(connection, key)
        except KeyError:
            return None
        (seen,) = context.queries.view(connection, [row], time.time())
        return CaseDetail(seen, work_items.events_of(connection, key), orders.of_case(connection, key))

    return await context.database.read(query)


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


def filter_of(given: Mapping[str, str], shown: IdentityPolicy) -> CaseQuery:
    """The filters of a form or query. InvalidQuery if one is invalid."""
    word, status = given.get("word", ""), given.get("status", "")
    if word and word not in OUTCOMES:
        raise InvalidQuery(f"word: must be one of {', '.join(OUTCOMES)}")
    if status and status not in STATUSES:
        raise InvalidQuery(f"status: must be one of {', '.join(STATUSES)}")
    signature = given.get("signature", "")
    if signature and signature not in SIGNATURES:
        raise InvalidQuery(f"signature: must be one of {', '.join(SIGNATURES)}")
    until = day_of(given.get("until", ""), "until")
    return CaseQuery(
        text=given.get("text", "").strip()[:200],
        word=word,
        status=status,
        machine=given.get("machine", "")[:200],
        signature=signature,
        since=day_of(given.get("since", ""), "since"),
        until=None if until is None else until + _DAY_S,
        shown=shown,
    )


def day_of(text: str, name: str) -> float | None:
    """The beginning of a day, in epoch seconds."""
    if not text:
        return None
    if not re.fullmatch(DAY, text):
        raise InvalidQuery(f"{name}: must be a date like 2026-01-31")
    year, month, day = map(int, text.split("-"))
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))  # mktime takes the 31st of February as a day in March
