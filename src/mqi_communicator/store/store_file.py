"""Detects that the store's file was removed or replaced while it was open, and saves it.

A process can use an open file after its name was removed or given to another file: nothing fails, and everything is
lost when the process ends (https://sqlite.org/howtocorrupt.html, "unlinking a database file").
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.backup import Backup, back_up


class StoreFile:
    """The file of an open store, by device and inode, held by a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = sqlite3.connect(path, check_same_thread=False)
        self._held.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the write-ahead log too
        self._identity = _identity(path)

    def was_replaced(self) -> bool:
        """Whether the file was removed or replaced (SQLite itself may create an empty one). One stat."""
        return _identity(self._path) != self._identity

    def rescue(self, folder: Path, keep: int, now: float) -> Backup:
        """Save the open file as a backup in `folder`. Faults as `back_up`."""
        return back_up(self._path, folder, keep, now, source=self._held)

    def close(self) -> None:
        """Close the file; if its name was removed, its content is lost."""
        self._held.close()


class HeldFolder:
    """A folder that must remain the same while this process runs, by device and inode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path)

    def check(self) -> None:
        """ActionRequired if the folder was removed or replaced. One stat of a local disk."""
        try:
            replaced = _identity(self._path) != self._identity
        except OSError as error:
            raise ActionRequired(
                f"the folder {self._path} cannot be read: {error.strerror}", "check its disk"
            ) from None
        if replaced:
            raise ActionRequired(
                f"the folder {self._path} was removed or replaced while the communicator ran",
                "mount its disk or move the folder back, then start the communicator again",
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
