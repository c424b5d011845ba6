"""Wakes the live streams of all open pages when something has changed. One watch of the store serves all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mqi_communicator.system.changes import FolderChanges

CHECK_S = 5.0  # for what is not written to the folder: a communicator that was killed, the end of a session
POLL_S = 1.0  # where changes of the folder are not reported
PAUSE_S = 1.0  # between two wakes by the store, at least


class Updates:
    """Wakes everything that follows the store, whose folder is watched as long as there is a follower."""

    def __init__(self, folder: Path) -> None:
        self._changes = FolderChanges([folder])
        self._next = asyncio.Event()
        self._followers = 0
        self._watching: asyncio.Task[None] | None = None

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Watch the store meanwhile."""
        self._followers += 1
        if self._watching is None:
            self._changes.open()
            self._watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._watching.cancel()
                self._watching = None
                self._changes.close()

    def notify(self) -> None:
        """Wake all followers: something changed that is not in the store."""
        reached, self._next = self._next, asyncio.Event()
        reached.set()

    @property
    def next(self) -> asyncio.Event:
        """Is set by the next change. Taken before the state is read, so that no change in between is missed."""
        return self._next

    async def wait(self, change: asyncio.Event) -> None:
        """Wait for a change, at most as long as anything may go unreported."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_S if self._changes.works else POLL_S):
                await change.wait()

    async def _watch(self) -> None:
        while True:
            await self._changes.wait()
            self.notify()
            await asyncio.sleep(PAUSE_S)
