"""An HTTP server on one listening socket: uvicorn's protocol behind a listener that limits connections.

uvicorn counts a connection once its request is complete, and waits for that without a deadline, so its own server is
not used.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from mqi_communicator.system.client import Client
from mqi_communicator.system.listener import Listener

MAX_CONNECTIONS = 300
REQUEST_S = 10.0  # for TLS and a request with its body, at most 64 KiB; and for the client to continue reading
_PART = 128 * 1024  # bytes of a response that are sent at once
_CLOSE_S = 2.0  # for responses being made when the server is closed


class _Connection(H11Protocol):
    """uvicorn's protocol; it says whether the client or the server is to act next."""

    def __init__(self, client: Client, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._client = client

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._update()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._update()

    def _update(self) -> None:
        responding = self.cycle is not None and not self.cycle.response_complete
        if responding and self.conn.their_state is not h11.SEND_BODY and not self.flow.write_paused:
            self._client.busy()
        else:
            self._client.wait()


def _in_parts(app: Any) -> Any:
    """The application; it sends large bodies in parts, so that the deadline to continue reading is one per part."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def send_parts(message: Any) -> None:
            body = message.get("body", b"")
            for start in range(0, len(body) - _PART, _PART):
                await send({"type": message["type"], "body": body[start : start + _PART], "more_body": True})
            rest = max(0, len(body) - 1) // _PART * _PART
            await send({**message, "body": body[rest:]} if body else message)

        await app(scope, receive, send_parts)

    return wrapped


class HttpServer:
    """Serves an application until `close`. Made running."""

    def __init__(self, app: Any, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            _in_parts(app),
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        config.load()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are about what clients send
        self._state = ServerState()
        self._listener = Listener(
            "dashboard",
            listening,
            lambda client: _Connection(client, config, self._state),
            limit=MAX_CONNECTIONS,
            patience_s=REQUEST_S,
            tls=tls,
        )

    async def close(self) -> None:
        """Stop accepting, complete the responses being made within a short time, and close all connections."""
        await self._listener.close()
        for connection in tuple(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
        self._listener.abort()
