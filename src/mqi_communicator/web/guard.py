"""Stands before every page: is the request for us, from our own page, from somebody who is signed in?

A request passes when its Host is a name of ours (a page of somebody else's cannot reach us by a DNS trick), its body is
small, and, where it would change something, its Origin is ours and it brings the token of its session.
"""

from __future__ import annotations

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
from mqi_communicator.web.sessions import Session, same
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and what came in a form."""

    session: Session | None
    at_proxy: bool
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def user(self) -> User:
        """Who asks. Behind the guard there is somebody on every page but the one for signing in."""
        assert self.session is not None  # noqa: S101 - the guard has seen to it
        return self.session.user


def asked(request: Request) -> Asked:
    """What the guard found out about a request."""
    found: Asked = request.scope["mqi"]
    return found


def refusal(request_path: str, status: HTTPStatus, words: str) -> Response:
    """No, in words; in JSON for programs."""
    if request_path.startswith(API):
        return JSONResponse({"error": words}, status)
    return PlainTextResponse(f"{words}\n", status)


class _Refused(Exception):  # noqa: N818 - it tells what happened
    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Guard:
    """Wraps the pages. `at_proxy` is true for the socket of the reverse proxy, and there alone its header is read."""

    def __init__(self, inner: ASGIApp, house: DashboardContext, *, at_proxy: bool) -> None:
        self._inner, self._house, self._at_proxy = inner, house, at_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._house.options.tls:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        try:
            body = await self._admit(scope, receive)
        except _Refused as no:
            await refusal(scope["path"], no.status, no.words)(scope, receive, sealed)
            return
        except ValueError:  # of a Host, an Origin or a form that is none
            await refusal(scope["path"], HTTPStatus.BAD_REQUEST, "that request is none")(scope, receive, sealed)
            return
        who: Asked = scope["mqi"]
        if who.session is None and not _public(scope["path"]):
            await self._sign_in_first(scope)(scope, receive, sealed)
            return
        with suppress(Exception):  # the site has answered "a mistake of ours" and logged it; the connection may go on
            await self._inner(scope, body, sealed)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        headers = Headers(scope=scope)
        self._named_right(headers)
        session = self._session(headers)
        scope["mqi"] = Asked(session, self._at_proxy)
        if scope["method"] in ("GET", "HEAD"):
            return receive
        self._from_our_page(headers)
        body = await _whole(receive, headers)
        form: dict[str, str] = {}
        if headers.get("content-type", "").split(";")[0].strip() == _FORM:
            pairs = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)
            form = {name: values[-1] for name, values in pairs.items()}
        given = headers.get("x-csrf-token") or form.get("csrf", "")
        if session is not None and scope["path"] != LOGIN and not same(given, session.csrf):
            raise _Refused(HTTPStatus.FORBIDDEN, "this did not come from a page of yours: load the page again")
        scope["mqi"] = Asked(session, self._at_proxy, form)
        return _again(body, receive)

    def _named_right(self, headers: Headers) -> None:
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        listening = self._house.options.host
        if not (is_loopback(name) or name in (*self._house.options.names, listening.lower())):
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "this dashboard has another name; web.names lists them")

    def _from_our_page(self, headers: Headers) -> None:
        """Browsers say where a request comes from; what says nothing is no browser, and needs the token too."""
        origin = headers.get("origin")
        elsewhere = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if elsewhere or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise _Refused(HTTPStatus.FORBIDDEN, "this came from another page: load the dashboard's own page again")

    def _session(self, headers: Headers) -> Session | None:
        try:
            users = self._house.users.users()
        except ActionRequired as fault:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{fault.reason}: {fault.advice}") from None
        if self._at_proxy:
            return self._from_proxy(headers, users)
        # read leniently, as browsers send them: a cookie of another page on this host may be no valid one
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(self._house), "")
        return self._house.sessions.find(cookie, users) if cookie else None

    def _from_proxy(self, headers: Headers, users: dict[str, User]) -> Session:
        proxy = self._house.options.proxy
        assert proxy is not None  # noqa: S101 - its socket would not exist
        names = headers.getlist(proxy.user_header)
        if len(names) != 1 or not names[0].strip():
            raise _Refused(HTTPStatus.UNAUTHORIZED, f"the proxy names nobody in {proxy.user_header}")
        name = names[0].strip()
        user = users.get(name)
        if user is None and proxy.unknown_role is not None:
            user = User(name, proxy.unknown_role)
        if user is None:
            raise _Refused(HTTPStatus.FORBIDDEN, "you have no role here: ask for mqi user add with --at-proxy")
        return self._house.sessions.behind_proxy(user)

    def _sign_in_first(self, scope: Scope) -> Response:
        if scope["path"].startswith(API) or scope["method"] not in ("GET", "HEAD"):
            return refusal(scope["path"], HTTPStatus.UNAUTHORIZED, "sign in first")
        return RedirectResponse(f"{LOGIN}?next={quote(scope['path'])}", HTTPStatus.SEE_OTHER)


def cookie_name(house: DashboardContext) -> str:
    """Cookies do not tell ports apart, so the name does. __Host-: this host alone, and TLS alone."""
    return f"{'__Host-' if house.options.tls else ''}mqi-{house.port}"


def _public(path: str) -> bool:
    return path == LOGIN or path.startswith("/static/")


async def _whole(receive: Receive, headers: Headers) -> bytes:
    too_much = _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too much for one request")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST:
        raise too_much
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(HTTPStatus.BAD_REQUEST, "the request ended early")
        body += message.get("body", b"")
        if len(body) > LARGEST:
            raise too_much
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body, once more, for who reads it behind the guard."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return waiting.pop() if waiting else await receive()

    return read
