"""News without reloading: a stream of server-sent events that says when there is something new to fetch."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mqi_communicator.web.guard import asked, refusal
from mqi_communicator.web.house import House

LOOK_S = 1.0
BEAT_S = 10.0  # also without news a word comes, so that silence means that nobody is there
MOST = 100  # streams


def mark_of(house: House) -> str:
    """Changes whenever the store is written to: the size and time of its files, which cost nothing to ask."""
    found = []
    for suffix in ("", "-wal"):
        try:
            state = house.places.store.with_name(house.places.store.name + suffix).stat()
        except FileNotFoundError:
            continue
        found.append(f"{state.st_mtime_ns:x}.{state.st_size:x}")
    return "-".join(found)


async def stream(request: Request) -> Response:
    """GET /live."""
    house: House = request.app.state.house
    if house.listeners >= MOST:
        return refusal(request.url.path, HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
    # X-Accel-Buffering: nginx lets each word through at once
    return StreamingResponse(
        _words(request, house), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _words(request: Request, house: House) -> AsyncIterator[str]:
    house.listeners += 1
    told, told_at = "", 0.0
    try:
        yield "retry: 2000\n\n"
        while not house.closing.is_set() and _still_signed_in(request, house):
            mark, running = mark_of(house), house.ways.running()
            news = f"{mark} {running}"
            if news != told or time.monotonic() - told_at >= BEAT_S:
                told, told_at = news, time.monotonic()
                yield f"event: state\ndata: {json.dumps({'mark': mark, 'running': running})}\n\n"
            try:
                async with asyncio.timeout(LOOK_S):
                    await house.closing.wait()
            except TimeoutError:
                pass
    finally:
        house.listeners -= 1


def _still_signed_in(request: Request, house: House) -> bool:
    who = asked(request)
    if who.at_proxy or who.session is None:
        return True
    known = house.users.users().get(who.session.user.name)
    return time.monotonic() < who.session.ends and known is not None and known.password == who.session.user.password
