"""Accepts the connections of a server and limits what they cost, from the moment of `accept`.

A server library sees a connection when TLS is established, and counts it when a request is complete; a client that
sends nothing holds a file descriptor until then. Here a connection counts at once, has a deadline for its request, and
the one that has waited longest is closed when there are too many. So neither idle connections nor a flood of them keep
others out. There is no limit per address: all users of a reverse proxy share one.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial

import structlog

from mqi_communicator.system.client import Client

Opened = tuple[asyncio.Transport, asyncio.Protocol]
BACKLOG = 128  # connections that the kernel completes ahead
_PAUSE_S = 0.001  # between two connections: a flood of them must not keep the event loop busy
_FULL_PAUSE_S = 0.003  # the same while all are in use: of 300, each then has a second for TLS and its request
_ERROR_PAUSE_S = 0.5  # after an error of accept: no descriptors are left
_LOG_S = 60.0  # between two lines in the log


class Listener:
    """Serves the connections of a listening socket, at most `limit` at once. Made running; needs a running loop.

    `protocol` makes the protocol of a connection. `patience_s`: for TLS and one request, and for reading a response.
    `server` names it in the log. If all connections are busy, a new one is closed at once.
    """

    def __init__(
        self,
        server: str,
        listening: socket.socket,
        protocol: Callable[[Client], asyncio.Protocol],
        *,
        limit: int,
        patience_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server, self._listening, self._protocol = server, listening, protocol
        self._limit, self._patience_s, self._tls = limit, patience_s, tls
        self._clients: dict[Client, None] = {}
        self._opening: set[asyncio.Task[Opened]] = set()
        self._refused, self._logged_at = 0, -_LOG_S
        listening.setblocking(False)  # noqa: FBT003 - its name
        listening.listen(BACKLOG)
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Stop accepting; open connections stay."""
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listening.close()

    def abort(self) -> None:
        """Close all connections."""
        for client in tuple(self._clients):
            client.abort()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                self._count_refused(error.strerror or type(error).__name__)
                self._abort_oldest()
                await asyncio.sleep(_ERROR_PAUSE_S)
            else:
                full = len(self._clients) >= self._limit
                self._admit(connection, full=full)
                await asyncio.sleep(_FULL_PAUSE_S if full else _PAUSE_S)

    def _admit(self, connection: socket.socket, *, full: bool) -> None:
        if full:
            self._count_refused(f"all {self._limit} connections were in use")
        if full and not self._abort_oldest():
            connection.close()
        else:
            self._open(connection)

    def _abort_oldest(self) -> bool:
        """Close the connection that has waited longest for its client. False if none waits."""
        waiting = [client for client in self._clients if client.waiting]
        if waiting:
            min(waiting, key=lambda client: client.since).abort()
        return bool(waiting)

    def _open(self, connection: socket.socket) -> None:
        """Hand a connection over to its protocol, after TLS."""
        client = Client(self._patience_s, lambda gone: self._clients.pop(gone, None))
        self._clients[client] = None
        opening = asyncio.create_task(
            asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._protocol(client),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._patience_s if self._tls is not None else None,
            )
        )
        client.aborts_with(opening.cancel)
        self._opening.add(opening)
        opening.add_done_callback(partial(self._opened, client, connection))

    def _opened(self, client: Client, connection: socket.socket, opening: asyncio.Task[Opened]) -> None:
        self._opening.discard(opening)
        error = None if opening.cancelled() else opening.exception()
        if opening.cancelled() or error is not None:
            client.ended()
            connection.close()
            if error is not None and not isinstance(error, OSError):  # one of those is the client's fault
                raise error
            return
        transport = opening.result()[0]
        client.aborts_with(transport.abort)
        if client not in self._clients:  # it was aborted at this moment
            transport.abort()

    def _count_refused(self, why: str) -> None:
        """Log closed connections, at most once in a while."""
        self._refused += 1
        if time.monotonic() - self._logged_at >= _LOG_S:
            structlog.get_logger().warning("connections.refused", server=self._server, number=self._refused, why=why)
            self._refused, self._logged_at = 0, time.monotonic()
