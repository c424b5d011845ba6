"""Keeps a program running as a child process: its end is logged, and it is started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

import structlog

STARTING_S = 120.0  # to report for the first time
SILENT_S = 30.0  # between two reports
STEADY_S = 60.0  # a program that ran for as long is started again at once
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # before it is started again; doubles each time
_STOP_S = 5.0  # between TERM and KILL
_STDERR = 2000  # bytes of its end that are kept


class ChildProcess:
    """A program that reports on its stdin that it is alive (`alive.py`). It is killed when it stops reporting.

    It has a session of its own, so that Ctrl-C reaches it through `run` alone, and writes its log to our stdout.
    """

    def __init__(self, name: str, argv: Sequence[str]) -> None:
        self._name, self._argv = name, argv
        self.pid: int | None = None  # None: it does not run
        self.reporting = False  # it runs, and has reported lately

    async def run(self) -> None:
        """Keep it running until cancelled; then end it."""
        pause, logged = PAUSE_S, ""
        while True:
            began = time.monotonic()
            try:
                why = await self._run_once()
            except OSError as error:
                why = f"it could not be started: {error.strerror}"
            if time.monotonic() - began >= STEADY_S:
                pause, logged = PAUSE_S, ""
            if why != logged:
                structlog.get_logger().error("child.ended", process=self._name, why=why, again_in_s=pause)
                logged = why
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _run_once(self) -> str:
        """Run it to its end. Returns why it ended. OSError if it cannot be started."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)  # noqa: FBT003 - its name
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._argv, stdin=theirs.fileno(), stderr=PIPE, start_new_session=True
                )
            self.pid = process.pid
            output = asyncio.create_task(_tail(process))
            try:
                if why := await self._watch(ours):
                    _signal(process, signal.SIGKILL)
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                why = "it did not end"
            finally:
                self.reporting, self.pid = False, None
                await _end(process)
                await asyncio.wait({output}, timeout=1.0)  # another process may hold its stderr
                output.cancel()
            return why or _reason(process, output)

    async def _watch(self, reports: socket.socket) -> str:
        """Wait until it ends ("") or no longer reports (why)."""
        loop, patience = asyncio.get_running_loop(), STARTING_S
        try:
            while True:
                async with asyncio.timeout(patience):
                    if not await loop.sock_recv(reports, 100):
                        return ""
                self.reporting, patience = True, SILENT_S
        except TimeoutError:
            return f"it did not respond for {patience:.0f} s and was killed"
        except OSError:
            return ""


async def _end(process: Process) -> None:
    """End it and all that it has started."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
    finally:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def _tail(process: Process) -> bytes:
    assert process.stderr is not None  # noqa: S101 - piped
    tail = b""
    while part := await process.stderr.read(_STDERR):
        tail = (tail + part)[-_STDERR:]
    return tail


def _reason(process: Process, output: asyncio.Task[bytes]) -> str:
    """Why it ended: its own message, unless that may quote anything; else the exit code or signal."""
    code = process.returncode or 0
    text = output.result().decode("utf-8", "replace") if output.done() and not output.cancelled() else ""
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    if code and text.strip() and "Traceback" not in text:
        return "; ".join(" ".join(line.split()) for line in text.splitlines() if line.strip()).removeprefix("mqi: ")
    return f"exit code {code}"
