"""A TCP proxy on the loopback that does to a connection what networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from enum import StrEnum
from typing import Self


class Mode(StrEnum):
    THROUGH = "through"
    REFUSE = "refuse"  # take the connection and reset it at once
    BLACKHOLE = "blackhole"  # keep every connection, move no byte
    HALF_OPEN = "half-open"  # what breaks on the far side is not told to the client


class FaultProxy:
    """async with FaultProxy(port) as proxy: ... proxy.port, proxy.mode, proxy.rate, proxy.cut_after, proxy.flip_at."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.mode = Mode.THROUGH
        self.rate: float | None = None  # bytes per second, each way
        self.cut_after: int | None = None  # bytes from the client, over all connections; then one RST
        self.flip_at: int | None = None  # the byte from the client of which one bit is flipped
        self.sent = 0  # bytes from clients that were passed on
        self.accepted = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._far: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.reset_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset_all(self) -> None:
        """Break every open connection with RST."""
        for writer in tuple(self._open):
            _reset(writer)

    def lose_far_side(self) -> None:
        """Break the far half of every open connection; as long as the mode is HALF_OPEN its client hears nothing."""
        for writer in tuple(self._far):
            _reset(writer)

    async def unlisten(self) -> None:
        """Nobody listens: connections are refused. Those that are open go on."""
        assert self._server is not None
        self._server.close()

    async def listen(self) -> None:
        """Listen again, on the same port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSE:
            return _reset(writer)
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(there)
            self._far.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there, counted=True))
                group.create_task(self._pump(back, writer, counted=False))
        except* OSError:
            pass  # one side is gone: so is the other
        finally:
            for end in (writer, there):
                if end is not None:
                    self._open.discard(end)
                    self._far.discard(end)
                    end.transport.abort()
        return None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        try:
            await self._pass_on(reader, writer, counted=counted)
        except OSError:
            while self.mode is Mode.HALF_OPEN:  # noqa: ASYNC110 - a knob, see below
                await asyncio.sleep(0.02)
            raise

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        while part := await reader.read(1 << 16):
            while self.mode is Mode.BLACKHOLE:  # noqa: ASYNC110 - a knob that any test turns at any time
                await asyncio.sleep(0.02)
            if self.rate:
                await asyncio.sleep(len(part) / self.rate)
            writer.write(self._spoiled(part) if counted else part)
            await writer.drain()
        raise ConnectionResetError

    def _spoiled(self, part: bytes) -> bytes:
        before, self.sent = self.sent, self.sent + len(part)
        if self.cut_after is not None and self.sent >= self.cut_after:
            self.cut_after = None
            self.reset_all()
            raise ConnectionResetError
        if self.flip_at is not None and before <= self.flip_at < self.sent:
            spoiled = bytearray(part)
            spoiled[self.flip_at - before] ^= 1
            self.flip_at = None
            return bytes(spoiled)
        return part


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
