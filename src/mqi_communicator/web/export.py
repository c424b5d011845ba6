"""The history as CSV, streamed in batches, so that memory use does not depend on the number of cases."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mqi_communicator.case.identity import IdentityPolicy
from mqi_communicator.case.views import cell
from mqi_communicator.store import history
from mqi_communicator.store.cases import Case
from mqi_communicator.store.history import PageCursor
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.filters import iso
from mqi_communicator.web.guard import refusal, request_info
from mqi_communicator.web.search import InvalidQuery, filter_of

COLUMNS = (
    "case",
    "patient_id",
    "plan_label",
    "machine",
    "folder",
    "revision",
    "seen",
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
)
_BATCH = 1000


async def csv_file(request: Request) -> Response:
    """POST /history.csv: the cases that match the form."""
    context: DashboardContext = request.app.state.context
    try:
        wanted = filter_of(request_info(request).form, context.shown)
    except InvalidQuery as error:
        return refusal(request.url.path, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    async def rows() -> AsyncIterator[str]:
        yield _text([COLUMNS])
        before: PageCursor | None = None
        while True:
            found = await context.database.read(
                history.search, wanted, context.folders.watch, limit=_BATCH, before=before
            )
            if not found:
                return
            before = (found[-1].seen, found[-1].key)
            yield _text([_row(case, context.shown) for case in found])

    name = time.strftime("mqi-history-%Y-%m-%d.csv")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8", headers=headers)


def _row(case: Case, shown: IdentityPolicy) -> list[str]:
    identity = (shown.patient(case.patient_id), shown.label(case.plan_label, case.patient_id), case.machine)
    facts = (case.word, case.why, case.host, case.priority, case.superseded_by, case.same_as, case.constancy)
    signed = (case.signature, case.signed_by, iso(case.signed_at or None))
    arrival = (case.source.name, str(case.revision), iso(case.seen))
    return [cell(value) for value in (case.key, *identity, *arrival, *facts, *signed)]


def _text(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
