"""The interface for programs: /api/v1, the same records that `mqi --json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mqi_communicator.store.orders import ConcurrentOrder
from mqi_communicator.web import actions, openapi
from mqi_communicator.web.actions import whole_number
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import asked, cookie_name, refusal
from mqi_communicator.web.live import mark_of
from mqi_communicator.web.pages import RenderCache
from mqi_communicator.web.search import CURSOR, DAY, NotUnderstood, search, wanted_of, whole

MOST = 500  # cases in one answer


class SearchAsked(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(default="", max_length=200, description="Start of a key, or part of a folder's name.")
    word: Literal["", "pass", "review", "undecided", "not_judged", "fail"] = Field(default="", description="A verdict.")
    status: Literal["", "ready", "waiting", "held", "done", "failed", "cancelled"] = Field(
        default="", description="The status of the case's own line."
    )
    machine: str = Field(default="", max_length=200, description="TreatmentMachineName.")
    since: str = Field(default="", pattern=DAY, description="First day of arrival: 2026-01-31.")
    until: str = Field(default="", pattern=DAY, description="Last day of arrival.")
    before: str = Field(default="", pattern=CURSOR, description="`after` of the page before.")
    limit: Annotated[int, BeforeValidator(whole_number)] = Field(
        default=50, ge=1, le=MOST, strict=True, description="Cases in the answer."
    )


async def me(request: Request) -> Response:
    """GET /api/v1/me: who is signed in, and the token that orders must bring."""
    who = asked(request)
    csrf = who.session.csrf if who.session else ""
    return JSONResponse({"name": who.user.name, "role": who.user.role, "csrf": csrf})


async def status(request: Request) -> Response:
    """GET /api/v1/status: what `mqi status --json` prints, a page at a time."""
    given: dict[str, Any] = dict(request.query_params)
    if str(given.get("limit", "")).isdecimal():
        given["limit"] = int(given["limit"])
    return await _cases(request, given, query=True)


async def look_for(request: Request) -> Response:
    """POST /api/v1/search: names may be patients', so they travel in the body."""
    given = await _body(request)
    if isinstance(given, Response):
        return given
    return await _cases(request, given, query=False)


async def _cases(request: Request, given: Mapping[str, Any], *, query: bool) -> Response:
    house = _house(request)
    if query and (strange := sorted(set(given) - {"limit", "before"})):
        return _no(HTTPStatus.UNPROCESSABLE_ENTITY, f"{strange[0]}: not known here; POST /api/v1/search")
    try:
        wanted = SearchAsked.model_validate(given)
        looked = wanted.model_dump(include={"text", "word", "status", "machine", "since", "until"})
        found = await search(house, wanted_of(looked), wanted.before, wanted.limit)
    except ValidationError as error:
        return _no(HTTPStatus.UNPROCESSABLE_ENTITY, _words(error))
    except NotUnderstood as error:
        return _no(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    told = [case.to_dict() for case in found.cases]
    return JSONResponse({"running": house.ways.running(), "cases": told, "after": found.after})


async def now(request: Request) -> Response:
    """GET /api/v1/now: what the first page shows."""
    house = _house(request)
    shelf: RenderCache = request.app.state.shelf
    seen = await shelf.overviews.get(mark_of(house))
    return JSONResponse(
        {
            "running": house.ways.running(),
            "overdue_s": round(seen.overdue_s, 1),
            "groups": {name: [case.to_dict() for case in group] for name, group in seen.groups.items()},
            "beyond": seen.beyond,
            "today": seen.today,
            "hosts": [asdict(host) for host in seen.hosts],
            "disks": [asdict(disk) for disk in await shelf.disks.look()],
        }
    )


async def show(request: Request) -> Response:
    """GET /api/v1/cases/KEY: what `mqi show --json` prints."""
    house = _house(request)
    found = await whole(house, str(request.path_params["key"]))
    if found is None:
        return _no(HTTPStatus.NOT_FOUND, "there is no case with this key")
    return JSONResponse(house.ways.record(found.case, found.events))


async def why(request: Request) -> Response:
    """GET /api/v1/cases/KEY/why: what `mqi why --json` prints."""
    found = await whole(_house(request), str(request.path_params["key"]))
    if found is None:
        return _no(HTTPStatus.NOT_FOUND, "there is no case with this key")
    case = found.case
    told = {"case": case.case, "why": case.why, "advice": case.advice, "needs_person": case.needs_person}
    return JSONResponse(told)


async def order(request: Request) -> Response:
    """POST /api/v1/cases/KEY/orders."""
    house, key, user = _house(request), str(request.path_params["key"]), asked(request).user
    if not user.may("operator"):
        return _no(HTTPStatus.FORBIDDEN, "your role is to look: it gives no orders")
    given = await _body(request)
    if isinstance(given, Response):
        return given
    if await whole(house, key) is None:
        return _no(HTTPStatus.NOT_FOUND, "there is no case with this key")
    try:
        wanted = actions.OrderAsked.model_validate(given)
        done = await actions.give(house, key, wanted, user)
    except ValidationError as error:
        return _no(HTTPStatus.UNPROCESSABLE_ENTITY, _words(error))
    except ConcurrentOrder as first:
        return _no(HTTPStatus.CONFLICT, f"{first}; its number is {first.order.id}")
    told = {"case": key, "order": wanted.order, "number": done.number, "running": done.running, "answer": done.answer}
    return JSONResponse(told, HTTPStatus.ACCEPTED)


async def described(request: Request) -> Response:
    """GET /api/v1/openapi.json."""
    return JSONResponse(openapi.document(SearchAsked, cookie_name(_house(request))))


async def _body(request: Request) -> dict[str, Any] | Response:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return _no(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    try:
        given = json.loads(await request.body())
    except (ValueError, RecursionError):
        return _no(HTTPStatus.BAD_REQUEST, "that is no JSON")
    if not isinstance(given, dict):
        return _no(HTTPStatus.UNPROCESSABLE_ENTITY, "send one JSON object")
    return given


def _words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _no(status: HTTPStatus, words: str) -> Response:
    return refusal("/api/", status, words)


def _house(request: Request) -> DashboardContext:
    house: DashboardContext = request.app.state.house
    return house
