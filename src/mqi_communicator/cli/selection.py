"""Which cases `mqi status` shows: what is open and what ended last, or those that match filters."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from mqi_communicator.case.states import GROUP_TITLES, Group
from mqi_communicator.case.times import midnight
from mqi_communicator.case.views import DEFAULT_POLICY, CaseView, ViewPolicy, group_of
from mqi_communicator.flow.view import view
from mqi_communicator.store import cases, history, worklist
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import Database
from mqi_communicator.store.history import CaseQuery, PageCursor
from mqi_communicator.store.worklist import WorklistQuery

LAST = 20  # ended cases that are shown
_BATCH = 500
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Current:
    """What is to be reviewed or open, by group, and what ended last."""

    groups: dict[Group, list[CaseView]]
    to_review: int  # how many there are, also beyond those that are listed
    completed: list[CaseView]
    done_today: int


def current(connection: Any, now: float, last: int, policy: ViewPolicy = DEFAULT_POLICY) -> Current:
    """The most urgent cases to review, everything open, failed cases of the last days, and the `last` cases that ended,
    each once, in one read of the store."""
    wanted = WorklistQuery(passes=policy.passes)
    review, failed = worklist.worklist(connection, wanted, LAST), history.recently_failed(connection, now)
    listed = {case.key: case for case in (*review, *cases.unfinished(connection), *failed)}
    groups: dict[Group, list[CaseView]] = {group: [] for group in GROUP_TITLES}
    for case in view(connection, list(listed.values()), now, policy):
        groups[group_of(case)].append(case)
    ended = history.last_ended(connection, _ENDED, last + len(listed))
    completed = [case for case in ended if case.key not in listed][:last]
    return Current(
        groups,
        sum(worklist.counts(connection, wanted).values()),
        view(connection, completed, now, policy),
        history.counts(connection, midnight(now)).get("done", 0),
    )


def matching(
    database: Database, wanted: CaseQuery, watch: Path, limit: int | None, policy: ViewPolicy = DEFAULT_POLICY
) -> Iterator[list[CaseView]]:
    """The cases that match, newest first, in batches. Each batch is one read, so that a slow reader holds no lock."""

    def read(connection: Any, size: int, before: PageCursor | None) -> tuple[list[Case], list[CaseView]]:
        found = history.search(connection, wanted, watch, limit=size, before=before)
        return found, view(connection, found, time.time(), policy)

    before: PageCursor | None = None
    left = limit
    while left is None or left > 0:
        found, views = database.read_now(read, _BATCH if left is None else min(left, _BATCH), before)
        if not found:
            return
        yield views
        before = (found[-1].seen, found[-1].key)
        left = None if left is None else left - len(found)


def since(text: str, now: float) -> float:
    """A day, a local time or an age as epoch seconds: 2026-01-31, 2026-01-31T08:00, 90m, 36h, 7d, 2w."""
    if age := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        return now - int(age[1]) * _UNITS[age[2]]
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"):
        try:
            return time.mktime(time.strptime(text, form))
        except ValueError:
            continue
    raise typer.BadParameter(f"{text}: give a day (2026-01-31), a time (2026-01-31T08:00) or an age (90m, 36h, 7d, 2w)")
