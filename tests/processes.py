"""Finds the processes of a folder, and ends processes that may have ended by themselves a moment ago."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def kill(pids: Iterable[int]) -> None:
    """SIGKILL to each. One that is gone already is no fault."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def inside(folder: Path) -> list[int]:
    """Processes other than this one whose working directory is a folder or lies below it, be it removed since."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            place = Path(str((process / "cwd").readlink()).removesuffix(" (deleted)"))
            if place.is_relative_to(folder) and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def heed_ctrl_c() -> None:
    """For `preexec_fn`: what a shell has started in the background ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
