"""When to look at the watched folder: at once where the system reports changes, and regularly in any case.

Network shares report nothing, so the periodic look alone must suffice; reports only make it sooner. A share may also
hang: each look runs in a thread of its own, and one that does not come back is said, not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.intake.guard import Guard, Identity
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.survey import Listing, case_folders

_SETTLE = 1.0  # seconds between two looks: a copy of a thousand files is not a thousand reasons to look
_PATIENCE = 30.0  # seconds that a healthy share needs for one listing at the very most

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would log file names, and they name patients


@dataclass(frozen=True, slots=True)
class Tick:
    """Look now. Either `listing` is there, or `problem` says why nothing can be believed of the folder."""

    listing: Listing | None
    problem: str = ""


class Watch:
    """The watched folder, over time. One Watch remembers what it saw; a restart forgets it."""

    def __init__(self, root: Path, options: IntakeOptions, *, settle_s: float = _SETTLE) -> None:
        self._root = root
        self._rescan = options.rescan_s
        self._settle = settle_s
        self._guard = Guard()
        self._hanging: asyncio.Future[Tick] | None = None
        self._sooner = asyncio.Event()

    async def ticks(self) -> AsyncIterator[Tick]:
        """A tick at once, after each reported change, and every `rescan_s` seconds. Never ends; cancel or close it."""
        listener = asyncio.create_task(self._listen(), name="watch")
        try:
            while True:
                self._sooner.clear()
                yield await self.look()
                await asyncio.sleep(min(self._settle, self._rescan))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._sooner.wait(), max(0.0, self._rescan - self._settle))
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    def look_soon(self) -> None:
        """Make the next tick come now: somebody asked."""
        self._sooner.set()

    async def look(self) -> Tick:
        """One look at the folder. Answers within half a minute even if the share does not."""
        if self._hanging is None:
            self._hanging = self._begin()
        try:
            tick = await asyncio.wait_for(asyncio.shield(self._hanging), _PATIENCE)
        except TimeoutError:
            return Tick(None, "the watched folder does not answer; the share it is on seems to hang")
        self._hanging = None
        return tick

    def _begin(self) -> asyncio.Future[Tick]:
        """Look in a thread that may be left behind: one stuck in a dead share cannot be ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Tick] = loop.create_future()

        def deliver(tick: Tick) -> None:
            if not future.done():
                future.set_result(tick)

        def work() -> None:
            tick = self._look()
            with contextlib.suppress(RuntimeError):  # the loop has gone; nobody is interested any more
                loop.call_soon_threadsafe(deliver, tick)

        threading.Thread(target=work, name="look", daemon=True).start()
        return future

    def _look(self) -> Tick:
        try:
            before = self._identity()
            listing = case_folders(self._root)
            after = self._identity()
        except OSError as error:
            return Tick(None, f"the watched folder cannot be listed: {error.strerror}")
        if before != after:
            return Tick(
                None, "the watched folder changed its identity while it was looked at; a share is coming or going"
            )
        problem = self._guard.doubt(after, frozenset(listing.folders))
        return Tick(None, problem) if problem else Tick(listing)

    def _identity(self) -> Identity:
        state = self._root.stat()
        return state.st_dev, state.st_ino

    async def _listen(self) -> None:
        """Turn the system's reports into sooner ticks. Whatever goes wrong here, the periodic look goes on."""
        from watchfiles import awatch

        while True:
            with contextlib.suppress(OSError, RuntimeError):  # no such folder, no inotify, too many watches
                async for _ in awatch(
                    self._root, debounce=400, step=400, recursive=True, ignore_permission_denied=True
                ):
                    self._sooner.set()
            await asyncio.sleep(self._rescan)
