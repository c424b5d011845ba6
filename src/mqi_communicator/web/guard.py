"""ASGI middleware in front of every page: checks host, origin, CSRF token, size and session of each request.

A request is accepted if its Host is a configured name (which prevents DNS rebinding), its body is small and, if it
changes something, its Origin is the dashboard and it carries the CSRF token of its session.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.web.context import DashboardContext
from mqi_communicator.web.options import is_loopback
from mqi_communicator.web.sessions import Session, tokens_equal
from mqi_communicator.web.token_access import TokenRefused, bearer_token, user_of_token
from mqi_communicator.web.tokens import is_token
from mqi_communicator.web.users import User

LARGEST = 64 * 1024  # bytes of a request's body
API = "/api/"
LOGIN = "/login"
_FORM = "application/x-www-form-urlencoded"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="mqi"'}


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The session and form data of a request. `token`: id of the API token, "" if the request has none."""

    session: Session | None
    at_proxy: bool
    form: Mapping[str, str] = field(default_factory=dict)
    token: str = ""

    @property
    def user(self) -> User:
        """The signed-in user. Behind the guard there is one on every page except the sign-in page."""
        assert self.session is not None  # noqa: S101 - the guard has checked it
        return self.session.user


def request_info(request: Request) -> RequestInfo:
    """What the guard found for this request."""
    found: RequestInfo = request.scope["mqi"]
    return found


def refusal(request_path: str, status: HTTPStatus, message: str) -> Response:
    """An error response: JSON for the API, else plain text."""
    if request_path.startswith(API):
        challenge = _CHALLENGE if status == HTTPStatus.UNAUTHORIZED else None
        return JSONResponse({"error": message}, status, headers=challenge)
    return PlainTextResponse(f"{message}\n", status)


class _Refused(Exception):  # noqa: N818 - named after what happened
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Guard:
    """Wraps the application. `at_proxy` is true for the reverse proxy's socket; only there is its user header read."""

    def __init__(self, inner: ASGIApp, context: DashboardContext, *, at_proxy: bool) -> None:
        self._inner, self._context, self._at_proxy = inner, context, at_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._context.options.tls:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        try:
            body = await self._authorize(scope, receive)
        except _Refused as refused:
            await refusal(scope["path"], refused.status, refused.message)(scope, receive, with_headers)
            return
        except ValueError:  # from an invalid Host, Origin or form
            await refusal(scope["path"], HTTPStatus.BAD_REQUEST, "invalid request")(scope, receive, with_headers)
            return
        who: RequestInfo = scope["mqi"]
        if who.session is None and not _public(scope["path"]):
            await self._require_sign_in(scope)(scope, receive, with_headers)
            return
        with suppress(Exception):  # the application has responded with 500 and logged it; the connection stays open
            await self._inner(scope, body, with_headers)

    async def _authorize(self, scope: Scope, receive: Receive) -> Receive:
        headers = Headers(scope=scope)
        self._check_host(headers)
        session, token = await self._authenticated(scope, headers)
        scope["mqi"] = RequestInfo(session, self._at_proxy, token=token)
        if scope["method"] in ("GET", "HEAD"):
            return receive
        self._check_origin(headers)
        body = await _read_body(receive, headers)
        form: dict[str, str] = {}
        if headers.get("content-type", "").split(";")[0].strip() == _FORM:
            pairs = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)
            form = {name: values[-1] for name, values in pairs.items()}
        given = headers.get("x-csrf-token") or form.get("csrf", "")
        by_cookie = session is not None and not token  # no other site can make a browser send a token
        if session and by_cookie and scope["path"] != LOGIN and not tokens_equal(given, session.csrf):
            raise _Refused(HTTPStatus.FORBIDDEN, "invalid CSRF token: reload the page")
        scope["mqi"] = RequestInfo(session, self._at_proxy, form, token)
        return _replayed(body, receive)

    def _check_host(self, headers: Headers) -> None:
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        listening = self._context.options.host
        if not (is_loopback(name) or name in (*self._context.options.names, listening.lower())):
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "unknown host name; web.names lists the accepted ones")

    def _check_origin(self, headers: Headers) -> None:
        """Refuse requests from other sites. A client that sends no Origin is no browser; it still needs the token."""
        origin = headers.get("origin")
        elsewhere = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if elsewhere or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise _Refused(HTTPStatus.FORBIDDEN, "cross-site request: reload the dashboard")

    async def _authenticated(self, scope: Scope, headers: Headers) -> tuple[Session | None, str]:
        """The session, and the id of the API token where one was given."""
        given = bearer_token(headers) if scope["path"].startswith(API) else ""
        if not given or (self._at_proxy and not is_token(given)):  # what the proxy forwards of its own sign-in
            return self._session(headers), ""
        try:
            user, token = await user_of_token(self._context, given, Request(scope))
        except TokenRefused as refused:
            raise _Refused(refused.status, refused.message) from None
        except ActionRequired as fault:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{fault.reason}: {fault.advice}") from None
        return Session(user, "", math.inf), token.id

    def _session(self, headers: Headers) -> Session | None:
        try:
            users = self._context.users.users()
        except ActionRequired as fault:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{fault.reason}: {fault.advice}") from None
        if self._at_proxy:
            return self._from_proxy(headers, users)
        # lenient parser: another page on this host may have set an invalid cookie
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(self._context), "")
        return self._context.sessions.find(cookie, users) if cookie else None

    def _from_proxy(self, headers: Headers, users: dict[str, User]) -> Session:
        proxy = self._context.options.proxy
        assert proxy is not None  # noqa: S101 - without it there is no such socket
        names = headers.getlist(proxy.user_header)
        if len(names) != 1 or not names[0].strip():
            raise _Refused(HTTPStatus.UNAUTHORIZED, f"the proxy sends no user name in {proxy.user_header}")
        name = names[0].strip()
        user = users.get(name)
        if user is None and proxy.unknown_role is not None:
            user = User(name, proxy.unknown_role)
        if user is None:
            raise _Refused(HTTPStatus.FORBIDDEN, "you have no role: ask the administrator for mqi user add --at-proxy")
        return self._context.sessions.behind_proxy(user)

    def _require_sign_in(self, scope: Scope) -> Response:
        if scope["path"].startswith(API) or scope["method"] not in ("GET", "HEAD"):
            return refusal(scope["path"], HTTPStatus.UNAUTHORIZED, "sign in first")
        return RedirectResponse(f"{LOGIN}?next={quote(scope['path'])}", HTTPStatus.SEE_OTHER)


def cookie_name(context: DashboardContext) -> str:
    """The name of the session cookie. It holds the port, since all ports of a host share cookies."""
    return f"{'__Host-' if context.options.tls else ''}mqi-{context.port}"


def _public(path: str) -> bool:
    return path == LOGIN or path.startswith("/static/")


async def _read_body(receive: Receive, headers: Headers) -> bytes:
    too_large = _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(HTTPStatus.BAD_REQUEST, "the request is incomplete")
        body += message.get("body", b"")
        if len(body) > LARGEST:
            raise too_large
        if not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body that was read already."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return waiting.pop() if waiting else await receive()

    return read
