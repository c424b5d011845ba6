"""The folder of the fork server's socket. `multiprocessing` makes it in the system's temporary folder, where paths are
short enough for a socket, and removes it at a regular end; what a killed communicator left, the next one removes."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from multiprocessing import util
from pathlib import Path

_PREFIX, _SOCKETS = "pymp-", "listener-*"


def record_socket_folder(note: Path) -> None:
    """Remove the folder that `note` names, and write the path of this process's own there. Only while the store is
    owned: `note` is then of no living communicator. Nothing fails if it cannot be written."""
    own = util.get_temp_dir()
    with suppress(OSError, ValueError):
        left = note.read_text(encoding="utf-8")
        if left != own:
            _remove(Path(left))
    with suppress(OSError):
        note.write_text(own, encoding="utf-8")


def _remove(folder: Path) -> None:
    """Remove sockets and folder, if it is one of multiprocessing's, and ours. Anything else in it is kept."""
    state = folder.lstat()
    ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and folder.name.startswith(_PREFIX)
    if not ours or not folder.is_absolute():
        return
    for path in folder.glob(_SOCKETS):
        if path.is_socket():
            path.unlink()
    folder.rmdir()
