"""Local processes: each in its own process group, with bounded output, and none left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from mqi_communicator.case.faults import AbsurdAnswer, ActionRequired, TookTooLong

GRACE_S = 1.0  # between TERM and KILL: on TERM rsync keeps what it has received
MAX_OUTPUT = 32 << 20  # bytes
MAX_STDERR = 64 << 10  # bytes; the end of a longer text is kept
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Completed:
    """The exit code and the output of a local process."""

    code: int
    out: bytes
    err: str


class Children:
    """The processes that one host object has started. A cancelled caller ends the process group it waits for."""

    def __init__(self) -> None:
        self._running: set[Process] = set()
        self._closed = False

    async def execute(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a program to its end. On cancellation (a deadline is one) the whole group has ended before this returns.

        `on_line` receives each line of the output as it arrives. ActionRequired if the program is not installed;
        AbsurdAnswer if it prints more than 32 MiB.
        """
        process = await start(argv, env=env, cwd=cwd)
        self._running.add(process)
        try:
            if self._closed:  # since it was being started
                await end_group(process)
            return await _communicate(process, stdin, on_line)
        finally:
            if process.returncode is None:
                await end_group(process)
                await drain(process)
            self._running.discard(process)

    async def end_all(self) -> None:
        """End every group that is running or being started. Nothing may be executed after this."""
        self._closed = True
        await asyncio.gather(*(end_group(process) for process in tuple(self._running)))


async def start(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Process:
    """Start a program as the leader of a new session, its three streams piped. ActionRequired if it is not
    installed."""
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, env=env, cwd=cwd
        )
    except FileNotFoundError:
        raise ActionRequired(f"{argv[0]} is not installed on this machine", f"Install {argv[0]} here.") from None


async def end_group(process: Process) -> None:
    """Send TERM to the whole process group, then KILL; return when its leader has been reaped."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await process.wait()
    finally:  # a second cancellation shortens the grace period
        _signal(process, signal.SIGKILL)
        await process.wait()


async def drain(process: Process) -> None:
    """Read what an ended process left in its pipe, so that the pipe closes. There must be no other reader."""
    assert process.stdout is not None  # noqa: S101 - piped in start()
    with suppress(TimeoutError):  # a process that left the group may still hold it
        async with asyncio.timeout(GRACE_S):
            while await process.stdout.read(_CHUNK):
                pass


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def _communicate(process: Process, stdin: bytes, on_line: Callable[[bytes], None] | None) -> Completed:
    out = asyncio.create_task(_read_all(process, on_line))
    err = asyncio.create_task(read_tail(process))
    feeding = asyncio.create_task(_feed(process, stdin))
    tasks = (out, err, feeding)
    try:
        await asyncio.gather(*tasks)
        code = await process.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Completed(code, out.result(), err.result())


async def _feed(process: Process, stdin: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - piped in start()
    with suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading all of it: its exit code tells why
        process.stdin.write(stdin)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _read_all(process: Process, on_line: Callable[[bytes], None] | None) -> bytes:
    assert process.stdout is not None  # noqa: S101 - piped in start()
    parts: list[bytes] = []
    size = 0
    partial = bytearray()  # the line that is not complete yet
    while part := await process.stdout.read(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > MAX_OUTPUT:
            raise AbsurdAnswer(
                f"the response is longer than {MAX_OUTPUT >> 20} MiB",
                "Check what the host's login shell and the programs in its PATH print.",
            )
        if on_line is not None:
            partial += part
            if b"\n" in part:
                *lines, rest = bytes(partial).split(b"\n")
                partial = bytearray(rest)
                for line in lines:
                    on_line(line)
    return b"".join(parts)


async def read_tail(process: Process) -> str:
    """Read stderr until it closes and return its end; undecodable bytes are replaced."""
    assert process.stderr is not None  # noqa: S101 - piped in start()
    tail = b""
    while part := await process.stderr.read(_CHUNK):
        tail = (tail + part)[-MAX_STDERR:]
    return tail.decode("utf-8", "replace")


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Raise TookTooLong("<what> took longer ...") unless the block ends within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TookTooLong(f"{what} took longer than {seconds:g} s") from None
