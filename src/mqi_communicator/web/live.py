"""Server-sent events that tell an open page when to refresh."""

from __future__ import annotations

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
from mqi_communicator.web.guard import refusal, request_info
from mqi_communicator.web.search import KEY

HEARTBEAT_S = 10.0  # sent without changes too: silence then means that the server is gone
MAX_STREAMS = 100
MAX_STREAMS_PER_USER = 10  # in all sessions of the user, so that no user can exhaust MAX_STREAMS


def store_stamp(context: DashboardContext) -> str:
    """A stamp that changes with every write to the store, made of size and time of its files."""
    found = []
    for suffix in ("", "-wal"):
        try:
            state = context.folders.store.with_name(context.folders.store.name + suffix).stat()
        except FileNotFoundError:
            continue
        found.append(f"{state.st_mtime_ns:x}.{state.st_size:x}")
    return "-".join(found)


async def stream(request: Request) -> Response:
    """GET /live?case=KEY. The user has the case open as long as the stream lasts."""
    context: DashboardContext = request.app.state.context
    name = request_info(request).user.name
    if context.listeners.total() >= MAX_STREAMS:
        return refusal(request.url.path, HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open: close some")
    if context.listeners[name] >= MAX_STREAMS_PER_USER:
        message = f"you have {MAX_STREAMS_PER_USER} open pages, the maximum: close some"
        return refusal(request.url.path, HTTPStatus.TOO_MANY_REQUESTS, message)
    # X-Accel-Buffering: nginx forwards each event at once
    return _CountedStream(
        context.listeners,
        name,
        _messages(request, context, name),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


class _CountedStream(StreamingResponse):
    """A stream that counts towards its user's limit until it ends."""

    def __init__(self, listeners: Counter[str], name: str, messages: AsyncIterator[str], **more: Any) -> None:
        super().__init__(messages, **more)
        self._listeners, self._name = listeners, name
        listeners[name] += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._listeners[self._name] -= 1
            if self._listeners[self._name] <= 0:
                del self._listeners[self._name]


async def _messages(request: Request, context: DashboardContext, user: str) -> AsyncIterator[str]:
    case = request.query_params.get("case", "")
    with context.updates.followed(), context.presence.opened(case if KEY.fullmatch(case) else "", user):
        async for message in _states(request, context):
            yield message


async def _states(request: Request, context: DashboardContext) -> AsyncIterator[str]:
    sent, sent_at = "", 0.0
    yield "retry: 2000\n\n"
    while not context.closing.is_set() and _still_signed_in(request, context):
        change = context.updates.next
        mark, running = f"{store_stamp(context)}.{context.presence.version}", context.queries.running()
        state = f"{mark} {running}"
        if state != sent or time.monotonic() - sent_at >= HEARTBEAT_S:
            sent, sent_at = state, time.monotonic()
            yield f"event: state\ndata: {json.dumps({'mark': mark, 'running': running})}\n\n"
        await context.updates.wait(change)


def _still_signed_in(request: Request, context: DashboardContext) -> bool:
    who = request_info(request)
    if who.at_proxy or who.session is None:
        return True
    known = context.users.users().get(who.session.user.name)
    return time.monotonic() < who.session.ends and known is not None and known.password == who.session.user.password
