"""The HTML pages."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mqi_communicator.case.figure import FRACTION
from mqi_communicator.case.model import WITH_DOSE, CaseKind
from mqi_communicator.case.states import STATES
from mqi_communicator.store import figures
from mqi_communicator.store.orders import ConcurrentOrder
from mqi_communicator.web import actions, delivered, signing
from mqi_communicator.web.chart import Trend, trend_of
from mqi_communicator.web.checks import CheckRuns
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.disks import Disks
from mqi_communicator.web.guard import request_info
from mqi_communicator.web.layer_map import layer_map
from mqi_communicator.web.overview import Overviews
from mqi_communicator.web.record import record_of
from mqi_communicator.web.rendering import page
from mqi_communicator.web.search import (
    EVENTS,
    OUTCOMES,
    SIGNATURES,
    InvalidQuery,
    case_detail,
    filter_of,
    search,
)
from mqi_communicator.web.signature_view import obstacle, signature_view
from mqi_communicator.web.timeline import durations, timeline

_TRENDS = (("gamma", "plan"), ("dose_scale", "plan"), ("fraction_mu", FRACTION), ("layer_position", FRACTION))
_MACHINES = 12  # shown


@dataclass(slots=True)
class RenderCache:
    """What pages keep between requests."""

    context: DashboardContext
    overviews: Overviews = field(init=False)
    disks: Disks = field(init=False)
    check_run: CheckRuns = field(init=False)

    def __post_init__(self) -> None:
        folders = self.context.folders
        self.overviews = Overviews(self.context)
        self.disks = Disks(
            {"workspace": folders.workspace, "results": folders.results, "watched folder": folders.watch}
        )
        self.check_run = CheckRuns(self.context)


async def case(request: Request) -> Response:
    """GET /case/KEY."""
    return await case_page(request, str(request.path_params["key"]))


async def case_page(
    request: Request,
    key: str,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    problem: str = "",
    given: Any = None,
    sign_problem: str = "",
    sign_given: Any = None,
) -> Response:
    """The page of a case; with what was wrong about an order or a signature, and what was entered."""
    context = _context(request)
    found = await case_detail(context, key)
    if found is None:
        return error_page(request, "There is no case with this key.")
    seen, events = found.case, found.events
    files, checks, logs, recorded, layers = await asyncio.to_thread(_on_disk, context, found.case)
    signed = await asyncio.to_thread(signature_view, seen, context.queries)
    made = timeline(seen, events, time.time())
    return page(
        request,
        "case.html",
        status,
        case=seen,
        events=events[::-1][:EVENTS],
        orders=found.orders,
        order_text=actions.order_text,
        status_text=actions.status_text,
        known=found.orders[0].id if found.orders else 0,
        applicable=actions.applicable(seen),
        timeline=made,
        durations=durations(made),
        doing=context.queries.doing,
        files=files,
        checks=checks,
        record=recorded,
        layers=layers,
        earlier=found.earlier,
        fractions=found.fractions,
        doses=found.doses,
        logs=logs,
        problem=problem,
        given=given or {},
        signed=signed,
        obstacle=obstacle(seen, signed, request_info(request).user),
        sign_problem=sign_problem,
        sign_given=sign_given or {},
    )


def _on_disk(context: DashboardContext, seen: Any) -> tuple[Any, Any, Any, Any, Any]:
    logs = {beam.beam: delivered.log_tail(seen, beam.beam, beam.run, context.folders) for beam in seen.beams}
    try:
        folders = context.folders
        files, checks = delivered.listing(seen, folders), context.queries.checks_of(seen)
        recorded = record_of(seen, folders) if seen.kind in WITH_DOSE else None
        return files, checks, logs, recorded, layer_map(seen, folders) if seen.kind == CaseKind.FRACTION else ()
    except (OSError, ValueError, KeyError, TypeError):  # a damaged results folder must not break the page
        return [], [], logs, None, ()


async def order(request: Request) -> Response:
    """POST /case/KEY/order."""
    key, form, user = str(request.path_params["key"]), request_info(request).form, request_info(request).user
    if not user.may("operator"):
        return await case_page(
            request, key, HTTPStatus.FORBIDDEN, problem="Orders require the role operator or physicist."
        )
    if await case_detail(_context(request), key) is None:
        return error_page(request, "There is no case with this key.")
    given: dict[str, Any] = {name: form[name] for name in ("order", "reason", "priority", "known") if form.get(name)}
    if (known := form.get("known", "")).isdecimal():
        given["known"] = int(known)
    if given.get("order") != "priority":
        given.pop("priority", None)
    try:
        wanted = actions.OrderRequest.model_validate(given)
    except ValidationError as error:
        message = _validation_message(error)
        return await case_page(request, key, HTTPStatus.UNPROCESSABLE_ENTITY, problem=message, given=given)
    try:
        await actions.submit(_context(request), key, wanted, user)
    except ConcurrentOrder as first:
        message = (
            f"{first.order.who} gave the order {first.order.order} after this page was loaded. Check its result first."
        )
        return await case_page(request, key, HTTPStatus.CONFLICT, problem=message, given=given)
    return RedirectResponse(f"/case/{key}#orders", HTTPStatus.SEE_OTHER)


async def sign(request: Request) -> Response:
    """POST /case/KEY/sign."""
    key, form = str(request.path_params["key"]), request_info(request).form
    found = await case_detail(_context(request), key)
    if found is None:
        return error_page(request, "There is no case with this key.")
    given: dict[str, Any] = {name: form[name] for name in ("decision", "reason", "seen", "password") if form.get(name)}
    given["number"] = int(form["number"]) if form.get("number", "").isdecimal() else 1
    try:
        await signing.sign(request, found.case, signing.SignatureRequest.model_validate(given))
    except ValidationError:
        refused = signing.Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "Select accept or reject, and reload the page first."
        )
    except signing.Refusal as error:
        refused = error
    else:
        return RedirectResponse(f"/case/{key}#signature", HTTPStatus.SEE_OTHER)
    entered = {name: form.get(name, "") for name in ("decision", "reason")}
    answer = await case_page(request, key, refused.status, sign_problem=refused.message, sign_given=entered)
    if refused.retry_after_s:
        answer.headers["Retry-After"] = str(int(refused.retry_after_s) + 1)
    return answer


def _validation_message(error: ValidationError) -> str:
    where = {str(one["loc"][0]) if one["loc"] else "" for one in error.errors()}
    if "order" in where:
        return "Select an action."
    if "reason" in where:
        return "Enter a reason of 3 to 500 characters; it is recorded."
    return "Invalid order. Reload the page."


async def file(request: Request) -> Response:
    """GET /case/KEY/file/NAME: a delivered file; HTML is sandboxed."""
    context = _context(request)
    found = await case_detail(context, str(request.path_params["key"]))
    name = str(request.path_params["name"])
    there = None if found is None else await asyncio.to_thread(delivered.content, found.case, context.folders, name)
    if there is None:
        return error_page(request, "There is no such file.")
    what, data = there
    sandbox_policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
    headers = {"Content-Disposition": f'inline; filename="{what.name}"'}
    if not what.kind.startswith("application/pdf"):
        headers["Content-Security-Policy"] = sandbox_policy
    return Response(data, media_type=what.kind, headers=headers)


async def history(request: Request) -> Response:
    """GET and POST /history. A folder name may be a patient's, so the filters are in the body, not in the URL."""
    context, form = _context(request), request_info(request).form
    problem, found = "", None
    try:
        found = await search(context, filter_of(form, context.policy), form.get("before", ""))
    except InvalidQuery as error:
        problem = str(error)
    machines = (await context.database.read(figures.machines))[:_MACHINES]
    searching = any(form.get(name) for name in ("text", "word", "state", "signature", "since", "until", "before"))
    trends = [] if searching else await _trends(context, form.get("machine", ""), machines)
    return page(
        request,
        "history.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        found=found,
        form=form,
        outcomes=OUTCOMES,
        states=STATES,
        signatures=SIGNATURES,
        machines=machines,
        trends=trends,
        problem=problem,
    )


async def _trends(context: DashboardContext, wanted: str, machines: list[str]) -> list[Trend]:
    """A chart for each check and machine with more than one case."""
    found = []
    for machine in [wanted] if wanted in machines else machines:
        for name, scope in _TRENDS:
            made = trend_of(machine, name, await context.database.read(figures.trend, machine, name, scope))
            if made is not None and len(made.points) > 1:
                found.append(made)
    return found


async def system(request: Request) -> Response:
    """GET /system: the effective configuration, checks, versions, users."""
    context, cache = _context(request), _cache(request)
    return page(
        request,
        "system.html",
        settings=context.settings,
        versions=context.versions,
        check_run=cache.check_run,
        users=[{"name": user.name, "role": user.role} for user in context.users.users().values()],
        disks=await cache.disks.usage(),
    )


async def check(request: Request) -> Response:
    """POST /system/check."""
    if not request_info(request).user.may("operator"):
        return error_page(request, "Running checks requires the role operator or physicist.", HTTPStatus.FORBIDDEN)
    _cache(request).check_run.begin(request_info(request).user.name)
    return RedirectResponse("/system#checks", HTTPStatus.SEE_OTHER)


def error_page(request: Request, message: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> Response:
    """An error page."""
    return page(request, "error.html", status, message=message, title=status.phrase)


def _context(request: Request) -> DashboardContext:
    context: DashboardContext = request.app.state.context
    return context


def _cache(request: Request) -> RenderCache:
    cache: RenderCache = request.app.state.cache
    return cache
