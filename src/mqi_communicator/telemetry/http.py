"""The monitoring endpoints /metrics, /healthz and /readyz. They are read-only.

A minimal server: it must share the event loop with the flow (another thread would report a blocked loop as alive), and
three GET endpoints need no framework.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.telemetry.options import MonitoringOptions

_HEAD_BYTES = 8192
_CLIENT_TIMEOUT_S = 5.0  # for a client to send its request, and to receive the response
_PAGE_TIMEOUT_S = 10.0  # to make a page
_MAX_CONNECTIONS = 32


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


class Monitor:
    """The server of the endpoints. Made by `serve`."""

    def __init__(self, pages: Mapping[str, Callable[[], Awaitable[_Page]]]) -> None:
        self._pages = pages
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port in use."""
        assert self._server is not None  # noqa: S101 - `serve` returns open monitors only
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def open(self, host: str, port: int) -> None:
        """Start listening. ActionRequired if the address cannot be bound."""
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=_HEAD_BYTES)
        except (OSError, OverflowError) as error:
            raise ActionRequired(
                f"the monitoring endpoints cannot listen on {host} port {port}: {getattr(error, 'strerror', error)}",
                "set monitoring.metrics_host and monitoring.metrics_port to a free address of this machine",
            ) from error

    async def close(self) -> None:
        """Close every connection and the port."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        connection = asyncio.get_running_loop().create_task(self._handle(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, page = await self._respond(reader)
            async with asyncio.timeout(_CLIENT_TIMEOUT_S):
                writer.write(_head(page) + (b"" if method == "HEAD" else page.body))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # the client has disconnected, or does not read
        finally:
            with suppress(OSError):
                writer.transport.abort()

    async def _respond(self, reader: asyncio.StreamReader) -> tuple[str, _Page]:
        try:
            async with asyncio.timeout(_CLIENT_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            return "", _plain(HTTPStatus.REQUEST_TIMEOUT)
        except asyncio.LimitOverrunError:
            return "", _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except asyncio.IncompleteReadError:
            return "", _plain(HTTPStatus.BAD_REQUEST)
        request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(request) != 3 or not request[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
            return "", _plain(HTTPStatus.BAD_REQUEST)
        return request[0], await self._page(request[0], request[1].split("?", 1)[0])

    async def _page(self, method: str, path: str) -> _Page:
        make = self._pages.get(path)
        if make is None:
            return _plain(HTTPStatus.NOT_FOUND)
        if method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
        try:
            async with asyncio.timeout(_PAGE_TIMEOUT_S):
                return await make()
        except Exception:  # noqa: BLE001 - any error is reported to the client without details
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)


async def serve(
    options: MonitoringOptions,
    *,
    metrics: Callable[[], Awaitable[bytes]],
    metrics_type: str,
    health: Callable[[], Awaitable[Health]],
    ready: Callable[[], Awaitable[Health]],
) -> Monitor:
    """Serve the three endpoints until `close`. A function that raises or takes over 10 s gives a 503."""

    async def metrics_page() -> _Page:
        return _Page(HTTPStatus.OK, await metrics(), metrics_type)

    async def health_page() -> _Page:
        return _health_page(await health())

    async def ready_page() -> _Page:
        return _health_page(await ready())

    monitor = Monitor({"/metrics": metrics_page, "/healthz": health_page, "/readyz": ready_page})
    await monitor.open(options.metrics_host, options.metrics_port)
    return monitor


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
