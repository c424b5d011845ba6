"""Scans the watched folder: at once when the system reports changes, and regularly in any case.

Network shares report nothing, so the periodic scan alone must suffice; reports only make it sooner. A share may also
hang: each scan runs in its own thread, and one that does not return is reported instead of waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from mqi_communicator.intake.guard import Guard, Identity
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.scan import Listing, case_folders

_SETTLE = 1.0  # seconds between two scans: a copy of a thousand files must not cause a thousand scans
_STEP_MS = 400  # how long reports are collected, and how soon a stop is noticed
_PATIENCE = 30.0  # seconds that a healthy share needs for one listing at the very most

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would log file names, and they name patients


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of one scan: a `listing`, or the `problem` that makes the folder untrusted.

    `reported`: the case folders in which the system has reported changes since the last scan.
    """

    listing: Listing | None
    problem: str = ""
    reported: frozenset[str] = frozenset()


class Watch:
    """Watches one folder. It remembers the last trusted scan; a restart forgets it."""

    def __init__(self, root: Path, options: IntakeOptions, *, settle_s: float = _SETTLE) -> None:
        self._root = root
        self._rescan = options.rescan_s
        self._settle = settle_s
        self._guard = Guard()
        self._pending: asyncio.Future[ScanResult] | None = None
        self._wake = asyncio.Event()
        self._reported: set[str] = set()

    async def scans(self) -> AsyncIterator[ScanResult]:
        """Yield a scan at once, after each reported change, and every `rescan_s` seconds. Never ends; close it."""
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        listener = threading.Thread(target=self._listen, args=(loop, stop), name="watch", daemon=True)
        listener.start()
        try:
            while True:
                self._wake.clear()
                reported, self._reported = frozenset(self._reported), set()
                yield replace(await self.scan(), reported=reported)
                await asyncio.sleep(min(self._settle, self._rescan))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, self._rescan - self._settle)):
                        await self._wake.wait()
        finally:
            stop.set()
            await asyncio.to_thread(listener.join, _STEP_MS / 1000 * 5)

    def scan_soon(self) -> None:
        """Trigger the next scan now."""
        self._wake.set()

    def _note(self, paths: set[str]) -> None:
        """Remember in which folders something has changed, and scan soon."""
        for path in paths:
            with contextlib.suppress(ValueError, IndexError):  # the watched folder itself
                self._reported.add(Path(path).relative_to(self._root).parts[0])
        self._wake.set()

    async def scan(self) -> ScanResult:
        """Scan the folder. Returns within half a minute even if the share hangs."""
        if self._pending is None:
            self._pending = self._begin()
        try:
            async with asyncio.timeout(_PATIENCE):
                result = await asyncio.shield(self._pending)
        except TimeoutError:
            return ScanResult(None, "the watched folder does not respond; its share seems to hang")
        self._pending = None
        return result

    def _begin(self) -> asyncio.Future[ScanResult]:
        """Scan in a thread that may be left behind: one that is stuck in a dead share cannot be ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ScanResult] = loop.create_future()

        def deliver(result: ScanResult) -> None:
            if not future.done():
                future.set_result(result)

        def work() -> None:
            result = self._scan()
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(deliver, result)

        threading.Thread(target=work, name="look", daemon=True).start()
        return future

    def _scan(self) -> ScanResult:
        try:
            before = self._identity()
            listing = case_folders(self._root)
            after = self._identity()
        except OSError as error:
            return ScanResult(None, f"the watched folder cannot be listed: {error.strerror}")
        if before != after:
            return ScanResult(
                None, "the watched folder changed its identity during the scan; a share is being mounted or unmounted"
            )
        problem = self._guard.reason_to_distrust(after, frozenset(listing.folders))
        return ScanResult(None, problem) if problem else ScanResult(listing)

    def _identity(self) -> Identity:
        state = self._root.stat()
        return state.st_dev, state.st_ino

    def _listen(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Trigger scans on the system's reports. Whatever fails here, the periodic scan continues.

        Runs in its own thread: `awatch` may lose a cancellation that arrives together with a report.
        """
        from watchfiles import watch

        while not stop.is_set():
            with contextlib.suppress(OSError, RuntimeError):  # no such folder, no inotify, too many watches; no loop
                for changes in watch(
                    self._root,
                    stop_event=stop,
                    debounce=_STEP_MS,
                    step=_STEP_MS,
                    recursive=True,
                    ignore_permission_denied=True,
                    raise_interrupt=False,
                ):
                    loop.call_soon_threadsafe(self._note, {path for _, path in changes})
            stop.wait(self._rescan)
