"""The HTTP API, /api/v1: the records that `mqi --json` prints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mqi_communicator.case.states import State
from mqi_communicator.case.views import CaseView
from mqi_communicator.store.orders import ConcurrentOrder
from mqi_communicator.web import actions, delivered, openapi, signing
from mqi_communicator.web.actions import whole_number
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import cookie_name, refusal, request_info
from mqi_communicator.web.live import store_stamp
from mqi_communicator.web.pages import RenderCache
from mqi_communicator.web.search import CURSOR, DAY, InvalidQuery, case_detail, filter_of, search
from mqi_communicator.web.signature_view import signature_view

MAX_PAGE = 500  # cases in one response


class SearchRequest(BaseModel):
    """Filters of a search."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(
        default="",
        max_length=200,
        description="Beginning of a case key, or part of a folder name; where the site shows them, part of a patient "
        "id or a plan label.",
    )
    word: Literal["", "pass", "review", "undecided", "not_judged", "fail"] = Field(
        default="", description="The verdict."
    )
    state: Literal["", State] = Field(default="", description="The state of the case.")
    machine: str = Field(default="", max_length=200, description="TreatmentMachineName.")
    signature: Literal["", "unsigned", "second_due", "signed", "rejected"] = Field(
        default="", description="State of the signature of the newest judgement."
    )
    since: str = Field(default="", pattern=DAY, description="First day on which the case was received: 2026-01-31.")
    until: str = Field(default="", pattern=DAY, description="Last day on which the case was received.")
    before: str = Field(default="", pattern=CURSOR, description="`after` of the previous page.")
    limit: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=50, ge=1, le=MAX_PAGE, strict=True, description="Maximum number of cases in the response."
    )


async def me(request: Request) -> Response:
    """GET /api/v1/me: the user, and the CSRF token that a POST must send."""
    who = request_info(request)
    csrf = who.session.csrf if who.session else ""
    return JSONResponse({"name": who.user.name, "role": who.user.role, "csrf": csrf})


async def status(request: Request) -> Response:
    """GET /api/v1/status: what `mqi status --all --json` prints, in pages."""
    given: dict[str, Any] = dict(request.query_params)
    if str(given.get("limit", "")).isdecimal():
        given["limit"] = int(given["limit"])
    return await _cases(request, given, query=True)


async def search_cases(request: Request) -> Response:
    """POST /api/v1/search: the filters are in the body, since a folder name may be a patient's."""
    given = await _body(request)
    if isinstance(given, Response):
        return given
    return await _cases(request, given, query=False)


async def _cases(request: Request, given: Mapping[str, Any], *, query: bool) -> Response:
    context = _context(request)
    if query and (unknown := sorted(set(given) - {"limit", "before"})):
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, f"{unknown[0]}: unknown parameter; use POST /api/v1/search")
    try:
        wanted = SearchRequest.model_validate(given)
        filters = wanted.model_dump(exclude={"before", "limit"})
        found = await search(context, filter_of(filters, context.policy), wanted.before, wanted.limit)
    except ValidationError as error:
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, _validation_message(error))
    except InvalidQuery as error:
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    body = [case.to_dict() for case in found.cases]
    return JSONResponse({"running": context.queries.running(), "cases": body, "after": found.after})


async def now(request: Request) -> Response:
    """GET /api/v1/now: what the start page shows."""
    context = _context(request)
    cache: RenderCache = request.app.state.cache
    seen = await cache.overviews.get(store_stamp(context))
    return JSONResponse(
        {
            "running": context.queries.running(),
            "overdue_s": round(seen.overdue_s, 1),
            "groups": {name: [case.to_dict() for case in group] for name, group in seen.groups.items()},
            "beyond": seen.beyond,
            "today": seen.today,
            "hosts": [asdict(host) for host in seen.hosts],
            "disks": [asdict(disk) for disk in await cache.disks.usage()],
        }
    )


async def show(request: Request) -> Response:
    """GET /api/v1/cases/KEY: what `mqi show --json` prints."""
    context = _context(request)
    found = await case_detail(context, str(request.path_params["key"]))
    if found is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no case with this key")
    return JSONResponse(context.queries.record(found.case, found.events))


async def why(request: Request) -> Response:
    """GET /api/v1/cases/KEY/why: what `mqi why --json` prints."""
    found = await case_detail(_context(request), str(request.path_params["key"]))
    if found is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no case with this key")
    case = found.case
    body = {"case": case.case, "why": case.why, "advice": case.advice, "needs_person": case.needs_person}
    return JSONResponse(body)


async def order(request: Request) -> Response:
    """POST /api/v1/cases/KEY/orders."""
    context, key, user = _context(request), str(request.path_params["key"]), request_info(request).user
    if not user.may("operator"):
        return _refuse(HTTPStatus.FORBIDDEN, "orders require the role operator or physicist")
    given = await _body(request)
    if isinstance(given, Response):
        return given
    if await case_detail(context, key) is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no case with this key")
    try:
        wanted = actions.OrderRequest.model_validate(given)
        done = await actions.submit(context, key, wanted, user, request_info(request).token)
    except ValidationError as error:
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, _validation_message(error))
    except ConcurrentOrder as first:
        return _refuse(HTTPStatus.CONFLICT, f"{first}; it is order number {first.order.id}")
    body = {"case": key, "order": wanted.order, "number": done.number, "running": done.running, "answer": done.answer}
    return JSONResponse(body, HTTPStatus.ACCEPTED)


async def signatures(request: Request) -> Response:
    """GET /api/v1/cases/KEY/signatures: the signatures, and what the next one must name as seen."""
    found = await case_detail(_context(request), str(request.path_params["key"]))
    if found is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no case with this key")
    view = await asyncio.to_thread(signature_view, found.case, _context(request).queries)
    signed = [one.model_dump(mode="json", by_alias=True) for one in view.signatures]
    facts = {"state": view.state, "invalid": view.invalid, "seen": view.seen, "number": view.number}
    return JSONResponse({**facts, "signatures": signed})


async def sign(request: Request) -> Response:
    """POST /api/v1/cases/KEY/signatures."""
    key, given = str(request.path_params["key"]), await _body(request)
    if isinstance(given, Response):
        return given
    found = await case_detail(_context(request), key)
    if found is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no case with this key")
    try:
        done = await signing.sign(request, found.case, signing.SignatureRequest.model_validate(given))
    except ValidationError as error:
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, _validation_message(error))
    except signing.Refusal as refused:
        return _refuse(refused.status, refused.message)
    body = {"case": key, "order": "sign", "number": done.number, "running": done.running, "answer": done.answer}
    return JSONResponse(body, HTTPStatus.ACCEPTED)


async def files(request: Request) -> Response:
    """GET /api/v1/cases/KEY/files: the delivered files that can be downloaded."""
    context = _context(request)
    found = await case_detail(context, str(request.path_params["key"]))
    if found is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no case with this key")
    listed = await asyncio.to_thread(_listed, found.case, context)
    return JSONResponse({"files": [asdict(one) for one in listed]})


def _listed(case: CaseView, context: DashboardContext) -> list[delivered.Delivered]:
    try:
        return delivered.listing(case, context.folders)
    except OSError:  # the results folder is missing
        return []


async def file(request: Request) -> Response:
    """GET /api/v1/cases/KEY/files/NAME."""
    context, name = _context(request), str(request.path_params["name"])
    found = await case_detail(context, str(request.path_params["key"]))
    there = None if found is None else await asyncio.to_thread(delivered.content, found.case, context.folders, name)
    if there is None:
        return _refuse(HTTPStatus.NOT_FOUND, "there is no such file")
    what, data = there
    disposition = {"Content-Disposition": f'attachment; filename="{what.name}"'}
    return Response(data, media_type=what.kind, headers=disposition)


async def openapi_document(request: Request) -> Response:
    """GET /api/v1/openapi.json."""
    return JSONResponse(openapi.document(SearchRequest, cookie_name(_context(request))))


async def _body(request: Request) -> dict[str, Any] | Response:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return _refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError):
        return _refuse(HTTPStatus.BAD_REQUEST, "the body is not valid JSON")
    if not isinstance(given, dict):
        return _refuse(HTTPStatus.UNPROCESSABLE_ENTITY, "send one JSON object")
    return given


def _validation_message(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _refuse(status: HTTPStatus, message: str) -> Response:
    return refusal("/api/", status, message)


def _context(request: Request) -> DashboardContext:
    context: DashboardContext = request.app.state.context
    return context
