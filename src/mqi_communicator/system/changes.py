"""Waits for changes in folders of a local disk, by inotify(7). It costs nothing while nothing changes."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# <sys/inotify.h>
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_MODIFY, _MOVED, _CREATE, _DELETE, _GONE = 0x2, 0xC0, 0x100, 0x200, 0xC00
_CHANGES = _MODIFY | _MOVED | _CREATE | _DELETE | _GONE
_EVENTS = 64 * 1024  # bytes that are read at once; what they say is not used


class FolderChanges:
    """Reports that something in one of the folders, or a folder itself, was written, created, renamed or removed.

    Only entries directly in a folder count. `works` is False where the system offers no inotify (any more): nothing is
    reported then. `open` needs a running event loop, and may be called again.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._handle = -1
        self._changed = asyncio.Event()

    @property
    def works(self) -> bool:
        """Whether changes are reported."""
        return self._handle >= 0

    def open(self) -> None:
        """Watch from now on. Where this is not possible, `works` stays False."""
        if self.works:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if handle < 0:
            return
        for folder in self._folders:
            if libc.inotify_add_watch(handle, os.fsencode(folder), _CHANGES) < 0:
                os.close(handle)
                return
        self._handle = handle
        asyncio.get_running_loop().add_reader(handle, self._read)

    def close(self) -> None:
        """Watch no longer."""
        if self.works:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1

    async def wait(self) -> None:
        """Return at once if something has changed since the last return, else as soon as it does."""
        await self._changed.wait()
        self._changed.clear()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._handle, _EVENTS):
                pass
        self._changed.set()
