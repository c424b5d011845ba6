"""Requests with an API token: whose it is, throttled like sign-in."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request

from mqi_communicator.web.client import client_address
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.filters import span
from mqi_communicator.web.tokens import Token
from mqi_communicator.web.users import User

_SCHEME = "bearer "


class TokenRefused(Exception):  # noqa: N818 - named after what happened
    """The token is not valid, or was not checked."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def bearer_token(headers: Headers) -> str:
    """The token of a request (RFC 6750), "" if it has none."""
    given = headers.get("authorization", "")
    return given[len(_SCHEME) :].strip() if given.lower().startswith(_SCHEME) else ""


async def user_of_token(context: DashboardContext, text: str, request: Request) -> tuple[User, Token]:
    """The user in whose name a token acts, with the token's role, and the token.

    TokenRefused if it is not valid, or if its address has sent too many wrong ones. A guess at a token is hopeless, so
    failures are counted for the address alone: nobody can lock the tokens of others.
    """
    now, address = time.time(), client_address(request, context.options.client_header)
    pause = context.throttle.pause("", address, time.monotonic())
    if pause > 0:
        raise TokenRefused(HTTPStatus.TOO_MANY_REQUESTS, f"too many failed attempts: try again in {span(pause)}")
    token = context.tokens.find(text, now)
    user = context.users.users().get(token.user) if token is not None else None
    if token is None or user is None:
        context.throttle.failed("", address, time.monotonic())
        structlog.get_logger().warning("web.token_refused", address=address or "socket")
        raise TokenRefused(HTTPStatus.UNAUTHORIZED, "the token is not valid, or has expired")
    if context.token_use.is_news(token.id, now):
        await asyncio.to_thread(context.token_use.record, token.id, now)
    return token.acts_as(user), token
