"""Three pages for machines: /metrics, /healthz and /readyz. They read; nothing can be changed through them.

A small server of our own: it must share the event loop with the flow (a health page answered by another thread would
say "alive" of a loop that hangs), and three GET pages need no framework.
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
_PATIENCE_S = 5.0  # for a client to say what it wants, and to take the answer
_PAGE_S = 10.0  # for us to make a page
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, and what to say about it (no case, no patient: anybody may look)."""

    ok: bool
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Page:
    status: HTTPStatus
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    extra: str = ""


class Monitor:
    """The pages, while they are served. Made by `serve`."""

    def __init__(self, pages: Mapping[str, Callable[[], Awaitable[_Page]]]) -> None:
        self._pages = pages
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port in use."""
        assert self._server is not None  # noqa: S101 - `serve` hands out open monitors only
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def open(self, host: str, port: int) -> None:
        """Begin to answer. ActionRequired when the address cannot be had."""
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=_HEAD_BYTES)
        except (OSError, OverflowError) as error:
            raise ActionRequired(
                f"the monitoring pages cannot be served on {host} port {port}: {getattr(error, 'strerror', error)}",
                "set monitoring.metrics_host and monitoring.metrics_port to an address of this machine that is free",
            ) from error

    async def close(self) -> None:
        """End every connection and free the port."""
        if self._server is None:
            return
        self._server.close()
        for talk in tuple(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._talks) >= _CONNECTIONS:
            writer.transport.abort()
            return
        talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, page = await self._answer(reader)
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(_head(page) + (b"" if method == "HEAD" else page.body))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # a client that went away, or does not read
        finally:
            with suppress(OSError):
                writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, _Page]:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            return "", _plain(HTTPStatus.REQUEST_TIMEOUT)
        except asyncio.LimitOverrunError:
            return "", _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except asyncio.IncompleteReadError:
            return "", _plain(HTTPStatus.BAD_REQUEST)
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
            return "", _plain(HTTPStatus.BAD_REQUEST)
        return words[0], await self._page(words[0], words[1].split("?", 1)[0])

    async def _page(self, method: str, path: str) -> _Page:
        make = self._pages.get(path)
        if make is None:
            return _plain(HTTPStatus.NOT_FOUND)
        if method not in ("GET", "HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
        try:
            async with asyncio.timeout(_PAGE_S):
                return await make()
        except Exception:  # noqa: BLE001 - whatever is wrong inside, the asker hears that it is, and no details
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)


async def serve(
    options: MonitoringOptions,
    *,
    metrics: Callable[[], Awaitable[bytes]],
    metrics_type: str,
    health: Callable[[], Awaitable[Health]],
    ready: Callable[[], Awaitable[Health]],
) -> Monitor:
    """Serve the three pages until `close`. A page function that raises or takes over 10 s makes its page a 503."""

    async def metrics_page() -> _Page:
        return _Page(HTTPStatus.OK, await metrics(), metrics_type)

    async def health_page() -> _Page:
        return _judged(await health())

    async def ready_page() -> _Page:
        return _judged(await ready())

    monitor = Monitor({"/metrics": metrics_page, "/healthz": health_page, "/readyz": ready_page})
    await monitor.open(options.metrics_host, options.metrics_port)
    return monitor


def _judged(health: Health) -> _Page:
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
