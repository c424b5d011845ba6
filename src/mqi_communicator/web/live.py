"""News without reloading: a stream of server-sent events that says when there is something new to fetch."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import asked, refusal

LOOK_S = 1.0
BEAT_S = 10.0  # also without news a word comes, so that silence means that nobody is there
MOST = 100  # streams
MOST_OF_ONE = 10  # of one user, in all sessions: nobody can take the places of everybody else


def mark_of(house: DashboardContext) -> str:
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
    house: DashboardContext = request.app.state.house
    name = asked(request).user.name
    if house.listeners.total() >= MOST:
        return refusal(request.url.path, HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
    if house.listeners[name] >= MOST_OF_ONE:
        words = f"you have {MOST_OF_ONE} pages open already; close some"
        return refusal(request.url.path, HTTPStatus.TOO_MANY_REQUESTS, words)
    # X-Accel-Buffering: nginx lets each word through at once
    return _Counted(
        house.listeners,
        name,
        _words(request, house),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


class _Counted(StreamingResponse):
    """A stream that holds a place of its user's from the answer on, until it ends."""

    def __init__(self, listeners: Counter[str], name: str, words: AsyncIterator[str], **more: Any) -> None:
        super().__init__(words, **more)
        self._listeners, self._name = listeners, name
        listeners[name] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._listeners[self._name] -= 1
            if self._listeners[self._name] <= 0:
                del self._listeners[self._name]


async def _words(request: Request, house: DashboardContext) -> AsyncIterator[str]:
    told, told_at = "", 0.0
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


def _still_signed_in(request: Request, house: DashboardContext) -> bool:
    who = asked(request)
    if who.at_proxy or who.session is None:
        return True
    known = house.users.users().get(who.session.user.name)
    return time.monotonic() < who.session.ends and known is not None and known.password == who.session.user.password
