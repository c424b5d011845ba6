"""Signing in and out."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mqi_communicator.web.authentication import check_password
from mqi_communicator.web.client import client_address
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.guard import cookie_name, request_info
from mqi_communicator.web.rendering import page


async def login_page(request: Request) -> Response:
    """GET /login."""
    context: DashboardContext = request.app.state.context
    if request_info(request).session is not None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    no_users = not any(user.password for user in context.users.users().values())
    return page(
        request, "login.html", next=_local_path(request.query_params.get("next", "/")), wrong="", no_users=no_users
    )


async def sign_in(request: Request) -> Response:
    """POST /login."""
    context: DashboardContext = request.app.state.context
    form = request_info(request).form
    name, target = form.get("name", "").strip(), _local_path(form.get("next", "/"))
    address = client_address(request, context.options.client_header)
    attempt = await check_password(context, name, form.get("password", ""), address)
    if attempt.refusal:
        status = HTTPStatus.SERVICE_UNAVAILABLE if attempt.busy else HTTPStatus.TOO_MANY_REQUESTS
        return _later(page(request, "login.html", status, **_again(target, attempt.refusal)), attempt.retry_after_s)
    user = attempt.user
    if user is None:
        # a password typed into the name field must not get into the log
        known = name if name in context.users.users() else "unknown"
        structlog.get_logger().warning("web.login_refused", user=known, address=address or "socket")
        message = "Incorrect user name or password."
        return page(request, "login.html", HTTPStatus.UNAUTHORIZED, **_again(target, message))
    structlog.get_logger().info("web.login", user=name, address=address or "socket")
    answer = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_name(context),
        context.sessions.begin(user),
        max_age=int(context.options.session_hours * 3600),
        httponly=True,
        samesite="lax",
        secure=context.options.tls,
    )
    return answer


def _again(target: str, message: str) -> dict[str, object]:
    """What the sign-in page shows after an attempt."""
    return {"next": target, "wrong": message, "no_users": False}


def _later(answer: Response, seconds: float) -> Response:
    answer.headers["Retry-After"] = str(int(seconds) + 1)
    return answer


async def sign_out(request: Request) -> Response:
    """POST /logout."""
    context: DashboardContext = request.app.state.context
    name = cookie_name(context)
    context.sessions.end(request.cookies.get(name, ""))
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(name, httponly=True, samesite="lax", secure=context.options.tls)
    return answer


def _local_path(path: str) -> str:
    """The path if it belongs to this dashboard, else "/"."""
    local = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if local else "/"
