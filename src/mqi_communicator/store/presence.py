"""Whether the store's file is still the one that was opened, and its copy where it is not.

A process that holds a file open goes on in it after its name was removed or given to another one: nothing fails, and
everything is lost when the process ends (https://sqlite.org/howtocorrupt.html, "unlinking a database file").
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mqi_communicator.store.backup import Backup, back_up


class StoreFile:
    """The file of an open store, by device and inode, held by a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = sqlite3.connect(path, check_same_thread=False)
        self._held.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the write-ahead log too
        self._identity = _identity(path)

    def is_gone(self) -> bool:
        """Whether the file was removed or replaced; SQLite itself makes an empty one of its name. One stat."""
        return _identity(self._path) != self._identity

    def rescue(self, folder: Path, keep: int, now: float) -> Backup:
        """Everything that the removed file holds, as a backup in `folder`. Faults as `back_up`."""
        return back_up(self._path, folder, keep, now, source=self._held)

    def close(self) -> None:
        """Let the file go: if its name is gone, so is what it holds."""
        self._held.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
