"""The history as CSV, streamed in batches, so that memory use does not depend on the number of cases."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mqi_communicator.case.figure import Figure
from mqi_communicator.case.identity import IdentityPolicy
from mqi_communicator.case.states import State
from mqi_communicator.case.views import cell
from mqi_communicator.results.trend import largest_deviation
from mqi_communicator.store import figures, history
from mqi_communicator.store.cases import Case
from mqi_communicator.store.history import CaseQuery, PageCursor
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.filters import iso
from mqi_communicator.web.guard import refusal, request_info
from mqi_communicator.web.search import InvalidQuery, filter_of

NUMBERS = {  # check -> column
    "gamma": "gamma_percent",
    "dose_scale": "dose_scale",
    "position_offset": "position_offset_mm",
    "range_r80": "range_r80_mm",
    "penumbra": "penumbra_mm",
    "uncertainty": "uncertainty_percent",
    "fraction_mu": "fraction_mu_percent",
    "beam_mu": "beam_mu_percent",
    "layer_position": "layer_position_mm",
    "spot_position": "spot_position_mm",
}
COLUMNS = (
    "case",
    "patient_id",
    "plan_label",
    "machine",
    "folder",
    "revision",
    "seen",
    "state",
    "verdict",
    "why",
    "host",
    "priority",
    "superseded_by",
    "same_as",
    "constancy",
    "signature",
    "signed_by",
    "signed_at",
    *NUMBERS.values(),
    "kind",
    "plan_case",
    "fraction",
)
_BATCH = 1000


async def csv_file(request: Request) -> Response:
    """POST /history.csv: the cases that match the form."""
    context: DashboardContext = request.app.state.context
    try:
        wanted = filter_of(request_info(request).form, context.policy)
    except InvalidQuery as error:
        return refusal(request.url.path, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    async def rows() -> AsyncIterator[str]:
        yield _text([COLUMNS])
        before: PageCursor | None = None
        while True:
            found = await context.database.read(_batch, context, wanted, before)
            if not found:
                return
            before = (found[-1].case.seen, found[-1].case.key)
            yield _text([_row(one, context.policy.shown) for one in found])

    name = time.strftime("mqi-history-%Y-%m-%d.csv")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8", headers=headers)


@dataclass(frozen=True, slots=True)
class _Exported:
    """A case, its state, and the numbers of its verdict."""

    case: Case
    state: State
    numbers: Sequence[Figure]


def _batch(connection: Any, context: DashboardContext, wanted: CaseQuery, before: PageCursor | None) -> list[_Exported]:
    """The next cases."""
    found = history.search(connection, wanted, context.folders.watch, limit=_BATCH, before=before)
    by_case: dict[str, list[Figure]] = {}
    for figure in figures.of_cases(connection, [case.key for case in found]):
        by_case.setdefault(figure.case, []).append(figure)
    views = context.queries.view(connection, found, time.time())
    return [_Exported(case, view.state, by_case.get(case.key, [])) for case, view in zip(found, views, strict=True)]


def _number(numbers: Sequence[Figure], check: str) -> str:
    """That of the plan; of a check that is made for each beam alone, the one with the largest magnitude."""
    found = [figure for figure in numbers if figure.name == check and figure.value is not None]
    values = [figure.value for figure in found if figure.scope == "plan"] or [figure.value for figure in found]
    value = largest_deviation([value for value in values if value is not None])
    return "" if value is None else f"{value:.6g}"


def _row(one: _Exported, shown: IdentityPolicy) -> list[str]:
    case = one.case
    identity = (shown.patient(case.patient_id), shown.label(case.plan_label, case.patient_id), case.machine)
    facts = (case.word, case.why, case.host, case.priority, case.superseded_by, case.same_as, case.constancy)
    signed = (case.signature, case.signed_by, iso(case.signed_at or None))
    arrival = (case.source.name, str(case.revision), iso(case.seen), one.state)
    texts = [cell(value) for value in (case.key, *identity, *arrival, *facts, *signed)]
    belongs = [cell(value) for value in (case.kind, case.parent, case.fraction)]
    return [*texts, *(_number(one.numbers, check) for check in NUMBERS), *belongs]


def _text(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
