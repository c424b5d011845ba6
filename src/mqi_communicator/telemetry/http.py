"""The monitoring endpoints /metrics, /healthz and /readyz. They are read-only.

A minimal server: it must share the event loop with the flow (another thread would report a blocked loop as alive), and
three GET endpoints need no framework. Each page is made at most twice a second, however many clients request it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.system.client import Client
from mqi_communicator.system.listener import Listener
from mqi_communicator.telemetry.options import MonitoringOptions

_HEAD_BYTES = 8192
_CLIENT_TIMEOUT_S = 5.0  # for a client to send its request, and to receive the response
_PAGE_TIMEOUT_S = 10.0  # to make a page
_FRESH_S = 0.5  # a page is not made again within this time
_MAX_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Health:
    """The result of a health check; its facts name no case and no patient, since they are public."""

    ok: bool
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Page:
    status: HTTPStatus
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    extra: str = ""


class _Recent:
    """Makes a page, or returns the one that was just made."""

    def __init__(self, make: Callable[[], Awaitable[_Page]]) -> None:
        self._make, self._lock = make, asyncio.Lock()
        self._page, self._made = _plain(HTTPStatus.SERVICE_UNAVAILABLE), -_FRESH_S

    async def __call__(self) -> _Page:
        async with self._lock:
            if time.monotonic() - self._made >= _FRESH_S:
                self._page = await self._make()
                self._made = time.monotonic()
            return self._page


class _Exchange(asyncio.Protocol):
    """One request and its response; then the connection is closed."""

    def __init__(self, client: Client, pages: Mapping[str, _Recent]) -> None:
        self._client, self._pages = client, pages
        self._received = b""
        self._responding: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._responding is not None:
            return
        self._received += data
        if b"\r\n\r\n" in self._received or len(self._received) > _HEAD_BYTES:
            self._client.busy()
            self._responding = asyncio.create_task(self._respond())

    def eof_received(self) -> bool:
        return self._responding is not None  # a client may close its side once it has sent the request

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        self._client.ended()
        if self._responding is not None:
            self._responding.cancel()

    async def _respond(self) -> None:
        method, page = await _response(self._received, self._pages)
        self._client.wait()
        self._transport.write(_head(page) + (b"" if method == "HEAD" else page.body))
        self._transport.close()


async def _response(received: bytes, pages: Mapping[str, _Recent]) -> tuple[str, _Page]:
    head, complete, _ = received.partition(b"\r\n\r\n")
    if not complete or len(head) > _HEAD_BYTES:
        return "", _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(request) != 3 or not request[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
        return "", _plain(HTTPStatus.BAD_REQUEST)
    method, page = request[0], pages.get(request[1].split("?", 1)[0])
    if page is None:
        return method, _plain(HTTPStatus.NOT_FOUND)
    if method not in ("GET", "HEAD"):
        return method, _plain(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
    try:
        async with asyncio.timeout(_PAGE_TIMEOUT_S):
            return method, await page()
    except Exception:  # noqa: BLE001 - any error is reported to the client without details
        return method, _plain(HTTPStatus.SERVICE_UNAVAILABLE)


class Monitor:
    """The server of the endpoints. Made by `serve`."""

    def __init__(self, listening: Sequence[socket.socket], pages: Mapping[str, _Recent]) -> None:
        self.port: int = listening[0].getsockname()[1]  # in use
        self._listeners = [
            Listener(
                "monitoring",
                one,
                lambda client: _Exchange(client, pages),
                limit=_MAX_CONNECTIONS,
                patience_s=_CLIENT_TIMEOUT_S,
            )
            for one in listening
        ]

    async def close(self) -> None:
        """Close every connection and the port."""
        for listener in self._listeners:
            await listener.close()
            listener.abort()
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop


async def serve(
    options: MonitoringOptions,
    *,
    metrics: Callable[[], Awaitable[bytes]],
    metrics_type: str,
    health: Callable[[], Awaitable[Health]],
    ready: Callable[[], Awaitable[Health]],
) -> Monitor:
    """Serve the three endpoints until `close`. A function that raises or takes over 10 s gives a 503.

    ActionRequired if the address cannot be used.
    """

    async def metrics_page() -> _Page:
        return _Page(HTTPStatus.OK, await metrics(), metrics_type)

    async def health_page() -> _Page:
        return _health_page(await health())

    async def ready_page() -> _Page:
        return _health_page(await ready())

    pages = {"/metrics": metrics_page, "/healthz": health_page, "/readyz": ready_page}
    listening = await _listen(options.metrics_host, options.metrics_port)
    return Monitor(listening, {path: _Recent(page) for path, page in pages.items()})


async def _listen(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address that the host name has; "" is every address."""
    listening: list[socket.socket] = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            listening.append(socket.socket(family, socket.SOCK_STREAM))
            listening[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening[-1].bind(address)
            listening[-1].listen()
    except OSError as error:
        for one in listening:
            one.close()
        raise ActionRequired(
            f"the monitoring endpoints cannot listen on {host} port {port}: {error.strerror or error}",
            "set monitoring.metrics_host and monitoring.metrics_port to a free address of this machine",
        ) from error
    return listening


def _health_page(health: Health) -> _Page:
    body = json.dumps({"ok": health.ok, **health.facts}, default=str).encode() + b"\n"
    status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return _Page(status, body, "application/json")


def _plain(status: HTTPStatus, extra: str = "") -> _Page:
    return _Page(status, f"{status.value} {status.phrase}\n".encode(), extra=extra)


def _head(page: _Page) -> bytes:
    return (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\nContent-Type: {page.kind}\r\n"
        f"Content-Length: {len(page.body)}\r\n{page.extra}Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    ).encode("latin-1")
