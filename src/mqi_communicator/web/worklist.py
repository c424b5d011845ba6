"""The worklist of the first page: filters that are part of its address, and the cases to review and sign."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mqi_communicator.case.views import CaseView
from mqi_communicator.store import cases, worklist
from mqi_communicator.store.worklist import URGENCY, WorklistQuery
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.search import KEY, InvalidQuery, day_of

FILTERS = ("plan", "machine", "verdict", "signer", "since", "until")
SHOWN, MOST = 25, 500  # cases in the list, and in the whole list
LONGEST_FILTER = 200  # characters
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Worklist:
    """The cases to review and sign, the most urgent first."""

    cases: list[CaseView]
    counts: dict[str, int]  # verdict -> cases, in the order of urgency
    plan_label: str = ""  # of the filter `plan`

    @property
    def total(self) -> int:
        """How many cases there are, also beyond those that are shown."""
        return sum(self.counts.values())


def query_of(given: Mapping[str, str], *, passes: bool) -> WorklistQuery:
    """The filters of an address. InvalidQuery if one is invalid or unknown."""
    if unknown := sorted(set(given) - set(FILTERS)):
        raise InvalidQuery(f"{unknown[0]}: unknown filter; known are {', '.join(FILTERS)}")
    for name, text in given.items():
        if len(text) > LONGEST_FILTER:
            raise InvalidQuery(f"{name}: at most {LONGEST_FILTER} characters")
    if (verdict := given.get("verdict", "")) and verdict not in URGENCY:
        raise InvalidQuery(f"verdict: must be one of {', '.join(URGENCY)}")
    if (plan := given.get("plan", "")) and not KEY.fullmatch(plan):
        raise InvalidQuery("plan: must be the key of a case; the list then shows the cases with the same plan label")
    until = day_of(given.get("until", ""), "until")
    return WorklistQuery(
        plan=plan,
        machine=given.get("machine", ""),
        verdict=verdict,
        signer=given.get("signer", ""),
        since=day_of(given.get("since", ""), "since"),
        until=None if until is None else until + _DAY_S,
        passes=passes,
    )


def address_of(given: Mapping[str, str], *, whole: bool = False) -> str:
    """The address of the list with these filters. It holds opaque keys, no labels and no patient data."""
    filters = urlencode({name: given[name] for name in FILTERS if given.get(name)} | ({"show": "all"} if whole else {}))
    return f"/?{filters}" if filters else "/"


async def to_review(context: DashboardContext, wanted: WorklistQuery, limit: int = SHOWN) -> Worklist:
    """The list, in one read of the store."""
    return await context.database.read(read_worklist, context, wanted, limit, time.time())


def read_worklist(
    connection: Any, context: DashboardContext, wanted: WorklistQuery, limit: int, now: float
) -> Worklist:
    """The list as of one connection."""
    label = ""
    if wanted.plan and (named := cases.get_many(connection, [wanted.plan]).get(wanted.plan)):
        label = context.policy.shown.label(named.plan_label, named.patient_id)
    found = context.queries.view(connection, worklist.worklist(connection, wanted, limit), now)
    return Worklist(found, worklist.counts(connection, wanted), label)


def plans_of(found: Worklist) -> dict[str, str]:
    """The plan labels of the list, each with the key of one case that has it."""
    return {case.plan_label: case.case for case in reversed(found.cases) if case.plan_label}
