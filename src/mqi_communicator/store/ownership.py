"""One active communicator per store: a lock that the operating system drops when its owner dies."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.database import Database, take_epoch

_LOOKS, _PAUSE_S = 10, 0.05


class StoreLock:
    """Held from `take` to `release` or to the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def hold(self) -> None:
        """Be the only one at this store. ActionRequired, naming the holder, if somebody else is."""
        if self._handle is not None:
            return
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ActionRequired(
                f"the lock file {self._path} cannot be opened: {error.strerror}", "check the disk of paths.workspace"
            ) from None
        if not _locked(handle):
            holder = os.read(handle, 500).decode("utf-8", "replace").strip()
            os.close(handle)
            raise ActionRequired(
                f"this store is in use by another communicator ({holder or 'unknown'})",
                "stop that one first, or give this one a paths.workspace of its own",
            )
        with suppress(OSError):  # the disk is full: the lock holds all the same
            os.ftruncate(handle, 0)
            os.pwrite(handle, _me().encode(), 0)
        self._handle = handle

    def take(self, database: Database) -> None:
        """Own the store: from now on who owned it before writes nothing. ActionRequired, as `hold`."""
        self.hold()
        database.epoch = database.write_now(take_epoch, _me())
        database.watch_file()

    def release(self) -> None:
        """Let the next one in."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _me() -> str:
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"process {os.getpid()} on {socket.gethostname()} since {began}"


def _locked(handle: int) -> bool:
    """Whether the lock could be had. Whoever only asks (`is_owned`) holds it for a moment: that is waited out."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False


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
