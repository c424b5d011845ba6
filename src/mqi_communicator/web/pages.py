"""The pages for people."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mqi_communicator.store import figures
from mqi_communicator.store.orders import ConcurrentOrder
from mqi_communicator.web import actions, delivered
from mqi_communicator.web.chart import Trend, trend_of
from mqi_communicator.web.checks import CheckRuns
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.disks import Disks
from mqi_communicator.web.guard import asked
from mqi_communicator.web.live import mark_of
from mqi_communicator.web.overview import Overviews, group_of
from mqi_communicator.web.rendering import page
from mqi_communicator.web.search import EVENTS, STATUSES, WORDS, NotUnderstood, search, wanted_of, whole
from mqi_communicator.web.timeline import minutes, timeline

_TRENDS = ("gamma", "dose_scale")
_MACHINES = 12  # shown


@dataclass(slots=True)
class RenderCache:
    """What pages keep between two requests."""

    house: DashboardContext
    overviews: Overviews = field(init=False)
    disks: Disks = field(init=False)
    inspection: CheckRuns = field(init=False)

    def __post_init__(self) -> None:
        places = self.house.places
        self.overviews = Overviews(self.house)
        self.disks = Disks({"workspace": places.workspace, "results": places.results, "watched folder": places.watch})
        self.inspection = CheckRuns(self.house)


async def now(request: Request) -> Response:
    """GET /: what waits, runs, needs a person."""
    house, shelf = _house(request), _shelf(request)
    seen = await shelf.overviews.get(mark_of(house))
    stalled = seen.overdue_s > house.stalled_after_s
    return page(request, "now.html", seen=seen, disks=await shelf.disks.look(), stalled=stalled, doing=house.ways.doing)


async def case(request: Request) -> Response:
    """GET /case/KEY."""
    return await _case(request, str(request.path_params["key"]))


async def _case(
    request: Request, key: str, status: HTTPStatus = HTTPStatus.OK, *, problem: str = "", given: Any = None
) -> Response:
    house = _house(request)
    found = await whole(house, key)
    if found is None:
        return missing(request, "There is no case with this key.")
    seen, events = found.case, found.events
    files, checks, logs = await asyncio.to_thread(_on_disk, house, found.case)
    made = timeline(seen, events, time.time())
    return page(
        request,
        "case.html",
        status,
        case=seen,
        events=events[::-1][:EVENTS],
        orders=found.orders,
        told=actions.told,
        known=found.orders[0].id if found.orders else 0,
        fitting=actions.fitting(seen),
        runs=seen.status in ("ready", "waiting") and group_of(seen) == "running",
        timeline=made,
        minutes=minutes(made),
        doing=house.ways.doing,
        files=files,
        checks=checks,
        logs=logs,
        problem=problem,
        given=given or {},
    )


def _on_disk(house: DashboardContext, seen: Any) -> tuple[Any, Any, Any]:
    logs = {beam.beam: delivered.log_tail(seen, beam.beam, beam.run, house.places) for beam in seen.beams}
    try:
        return delivered.listing(seen, house.places), house.ways.checks_of(seen), logs
    except (OSError, ValueError, KeyError):  # the folder is the site's: what is wrong there is not ours to fail by
        return [], [], logs


async def order(request: Request) -> Response:
    """POST /case/KEY/order."""
    key, form, user = str(request.path_params["key"]), asked(request).form, asked(request).user
    if not user.may("operator"):
        return await _case(request, key, HTTPStatus.FORBIDDEN, problem="Your role is to look: it gives no orders.")
    if await whole(_house(request), key) is None:
        return missing(request, "There is no case with this key.")
    told: dict[str, Any] = {name: form[name] for name in ("order", "reason", "priority", "known") if form.get(name)}
    if (known := form.get("known", "")).isdecimal():
        told["known"] = int(known)
    if told.get("order") != "priority":
        told.pop("priority", None)
    try:
        wanted = actions.OrderAsked.model_validate(told)
    except ValidationError as error:
        words = _words(error)
        return await _case(request, key, HTTPStatus.UNPROCESSABLE_ENTITY, problem=words, given=told)
    try:
        await actions.give(_house(request), key, wanted, user)
    except ConcurrentOrder as first:
        words = f"{first.order.who} has given the order to {first.order.order} since you looked. See what came of it."
        return await _case(request, key, HTTPStatus.CONFLICT, problem=words, given=told)
    return RedirectResponse(f"/case/{key}#orders", HTTPStatus.SEE_OTHER)


def _words(error: ValidationError) -> str:
    where = {str(one["loc"][0]) if one["loc"] else "" for one in error.errors()}
    if "order" in where:
        return "Choose one of the orders."
    if "reason" in where:
        return "Say why, in 3 to 500 letters: the reason is recorded."
    return "This order could not be understood. Load the page again."


async def file(request: Request) -> Response:
    """GET /case/KEY/file/NAME: a delivered file, in a cage where it is a page."""
    house = _house(request)
    found = await whole(house, str(request.path_params["key"]))
    name = str(request.path_params["name"])
    there = None if found is None else await asyncio.to_thread(delivered.content, found.case, house.places, name)
    if there is None:
        return missing(request, "There is no such file.")
    what, data = there
    cage = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
    headers = {"Content-Disposition": f'inline; filename="{what.name}"'}
    if not what.kind.startswith("application/pdf"):
        headers["Content-Security-Policy"] = cage
    return Response(data, media_type=what.kind, headers=headers)


async def history(request: Request) -> Response:
    """GET and POST /history. A folder's name may be a patient's: what is typed travels in the body, never in an URL."""
    house, form = _house(request), asked(request).form
    problem, found = "", None
    try:
        found = await search(house, wanted_of(form), form.get("before", ""))
    except NotUnderstood as error:
        problem = str(error)
    machines = (await house.database.read(figures.machines))[:_MACHINES]
    looks_for_cases = any(form.get(name) for name in ("text", "word", "status", "since", "until", "before"))
    trends = [] if looks_for_cases else await _trends(house, form.get("machine", ""), machines)
    return page(
        request,
        "history.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        found=found,
        form=form,
        words=WORDS,
        statuses=STATUSES,
        machines=machines,
        trends=trends,
        problem=problem,
    )


async def _trends(house: DashboardContext, wanted: str, machines: list[str]) -> list[Trend]:
    """A picture for each check and machine that has more than one case to show."""
    found = []
    for machine in [wanted] if wanted in machines else machines:
        for name in _TRENDS:
            made = trend_of(machine, name, await house.database.read(figures.trend, machine, name))
            if made is not None and len(made.points) > 1:
                found.append(made)
    return found


async def room(request: Request) -> Response:
    """GET /room: the configuration in effect, checks, versions."""
    house, shelf = _house(request), _shelf(request)
    return page(
        request,
        "room.html",
        settings=house.settings,
        versions=house.versions,
        inspection=shelf.inspection,
        people=[{"name": user.name, "role": user.role} for user in house.users.users().values()],
        disks=await shelf.disks.look(),
    )


async def check(request: Request) -> Response:
    """POST /room/check."""
    if not asked(request).user.may("operator"):
        return missing(request, "Your role is to look: it starts no checks.", HTTPStatus.FORBIDDEN)
    _shelf(request).inspection.begin(asked(request).user.name)
    return RedirectResponse("/room#checks", HTTPStatus.SEE_OTHER)


def missing(request: Request, words: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> Response:
    """A page that says no."""
    return page(request, "no.html", status, words=words, title=status.phrase)


def _house(request: Request) -> DashboardContext:
    house: DashboardContext = request.app.state.house
    return house


def _shelf(request: Request) -> RenderCache:
    shelf: RenderCache = request.app.state.shelf
    return shelf
