"""One active communicator per store: a lock that the operating system releases when its owner dies."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.database import Database, take_epoch

_ATTEMPTS, _PAUSE_S = 10, 0.05
_HOLDER = re.compile(r"process (\d{1,10}) on ")


class StoreLock:
    """An exclusive lock, held from `take` to `release` or to the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def hold(self) -> None:
        """Acquire the lock. ActionRequired, naming the holder, if another process has it."""
        if self._handle is not None:
            return
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ActionRequired(
                f"the lock file {self._path} cannot be opened: {error.strerror}", "check the disk of paths.workspace"
            ) from None
        if not _locked(handle):
            other = os.read(handle, 500).decode("utf-8", "replace").strip()
            os.close(handle)
            raise ActionRequired(
                f"this store is in use by another communicator ({other or 'unknown'})",
                "stop it first, or set another paths.workspace here",
            )
        with suppress(OSError):  # the disk is full: the lock is held nevertheless
            os.ftruncate(handle, 0)
            os.pwrite(handle, _holder().encode(), 0)
        self._handle = handle

    def take(self, database: Database) -> None:
        """Acquire the lock and a new epoch: a previous owner can write nothing any more. ActionRequired, as `hold`."""
        self.hold()
        database.epoch = database.write_now(take_epoch, _holder())
        database.watch_file()

    def release(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _holder() -> str:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"


def _locked(handle: int) -> bool:
    """Whether the lock was acquired. `is_owned` in another process holds it for a moment: retry."""
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False


def owner(path: Path) -> int | None:
    """The process id of the communicator that runs on the store whose lock file is `path`; None if none runs here."""
    if not is_owned(path):
        return None
    found = _HOLDER.match(path.read_text(encoding="utf-8", errors="replace"))
    return int(found[1]) if found else None


def is_owned(path: Path) -> bool:
    """Whether a communicator is running on the store whose lock file is `path`."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
