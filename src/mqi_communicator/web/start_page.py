"""The first page: what is to be reviewed and signed, then what needs an operator, runs and waits."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mqi_communicator.store import figures
from mqi_communicator.store.worklist import URGENCY, WorklistQuery
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import refusal
from mqi_communicator.web.live import store_stamp
from mqi_communicator.web.pages import RenderCache
from mqi_communicator.web.rendering import page
from mqi_communicator.web.search import InvalidQuery
from mqi_communicator.web.worklist import FILTERS, MOST, SHOWN, Worklist, address_of, plans_of, query_of, to_review


async def start_page(request: Request) -> Response:
    """GET /: the worklist with the filters of the address, current cases, hosts and disks."""
    context: DashboardContext = request.app.state.context
    cache: RenderCache = request.app.state.cache
    given = {name: text for name, text in request.query_params.items() if text}
    whole = given.pop("show", "") == "all"
    problem, wanted = "", WorklistQuery(passes=context.policy.passes)
    try:
        wanted = query_of(given, passes=context.policy.passes)
    except InvalidQuery as error:
        problem = str(error)
    found = await to_review(context, wanted, MOST if whole else SHOWN)
    waiting = found if not wanted.filtered else await to_review(context, WorklistQuery(passes=context.policy.passes), 1)
    seen = await cache.overviews.get(store_stamp(context))
    return page(
        request,
        "worklist.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        seen=seen,
        list=found,
        to_review=waiting.total,
        given={name: given.get(name, "") for name in FILTERS},
        filtered=wanted.filtered or bool(problem),
        address=address_of({} if problem else given, whole=whole),
        whole_list=address_of({} if problem else given, whole=True),
        problem=problem,
        outcomes=URGENCY,
        plans=plans_of(found),
        machines=await context.database.read(figures.machines),
        signers=sorted(context.users.users()),
        disks=await cache.disks.usage(),
        stalled=seen.overdue_s > context.stalled_after_s,
        doing=context.queries.doing,
    )


async def worklist(request: Request) -> Response:
    """GET /api/v1/worklist: what is to be reviewed and signed, with the filters of the first page."""
    context: DashboardContext = request.app.state.context
    given = {name: text for name, text in request.query_params.items() if text}
    try:
        found: Worklist = await to_review(context, query_of(given, passes=context.policy.passes), MOST)
    except InvalidQuery as error:
        return refusal(request.url.path, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    opened = {case.case: context.presence.users(case.case) for case in found.cases}
    cases = [case.to_dict() | {"open_by": opened[case.case]} for case in found.cases]
    return JSONResponse({"counts": found.counts, "cases": cases})
