"""Signing in and out."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.filters import span
from mqi_communicator.web.guard import asked, cookie_name
from mqi_communicator.web.options import is_loopback
from mqi_communicator.web.rendering import page
from mqi_communicator.web.users import LONGEST, proves

# a hash takes 64 MiB while it is made; and an attempt is counted before the next one is looked at
_one_at_a_time = asyncio.Lock()


async def ask(request: Request) -> Response:
    """GET /login."""
    house: DashboardContext = request.app.state.house
    if asked(request).session is not None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    nobody = not any(user.password for user in house.users.users().values())
    return page(request, "login.html", next=_ours(request.query_params.get("next", "/")), wrong="", nobody=nobody)


async def sign_in(request: Request) -> Response:
    """POST /login."""
    house: DashboardContext = request.app.state.house
    form = asked(request).form
    name, onward = form.get("name", "").strip(), _ours(form.get("next", "/"))
    address = client_address(request, house.options.client_header)
    user = house.users.users().get(name)
    async with _one_at_a_time:
        pause = house.throttle.pause(name, address, time.monotonic())
        if pause <= 0:
            house.throttle.failed(name, address, time.monotonic())
            right = await asyncio.to_thread(proves, user, form.get("password", "")[: LONGEST + 1])
    if pause > 0:
        words = f"Too many wrong passwords. Try again in {span(pause)}."
        answer = page(request, "login.html", HTTPStatus.TOO_MANY_REQUESTS, next=onward, wrong=words, nobody=False)
        answer.headers["Retry-After"] = str(int(pause) + 1)
        return answer
    if user is None or not right:
        # who types a password into the field for the name shall not find it in a log
        structlog.get_logger().warning(
            "web.login_refused", user=name if user else "unknown", address=address or "socket"
        )
        words = "That name and password do not belong together."
        return page(request, "login.html", HTTPStatus.UNAUTHORIZED, next=onward, wrong=words, nobody=False)
    house.throttle.succeeded(name, address)
    structlog.get_logger().info("web.login", user=name, address=address or "socket")
    answer = RedirectResponse(onward, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_name(house),
        house.sessions.begin(user),
        max_age=int(house.options.session_hours * 3600),
        httponly=True,
        samesite="lax",
        secure=house.options.tls,
    )
    return answer


async def sign_out(request: Request) -> Response:
    """POST /logout."""
    house: DashboardContext = request.app.state.house
    name = cookie_name(house)
    house.sessions.end(request.cookies.get(name, ""))
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(name, httponly=True, samesite="lax", secure=house.options.tls)
    return answer


def client_address(request: Request, header: str | None) -> str:
    """The address that a request comes from, "" where that is not known.

    A reverse proxy on this machine adds the address that it saw to the end of `header`, so the last one there counts;
    those before it are the client's own claim. On connections from other machines the header is not read.
    """
    peer = request.client.host if request.client else ""
    if header is None or not is_loopback(peer):
        return peer
    last = ",".join(request.headers.getlist(header)).rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(last))
    except ValueError:
        return peer


def _ours(path: str) -> str:
    """A path of this dashboard, and nothing that leads elsewhere."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain else "/"
