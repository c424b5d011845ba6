"""Folders for one demo: the first slot that is free, with what an interrupted demo left there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired

SLOTS = 16


@dataclass(slots=True)
class Slot:
    """A folder reserved while `handle` is open. The lock ends with the process, however it ends."""

    folder: Path
    handle: int

    @property
    def watch(self) -> Path:
        """The watched folder."""
        return self.folder / "watch"

    @property
    def deliveries(self) -> Path:
        """The folder of deliveries."""
        return self.folder / "deliveries"

    @property
    def results(self) -> Path:
        """The results folder."""
        return self.folder / "results"

    @property
    def workspace(self) -> Path:
        """The workspace."""
        return self.folder / "workspace"

    @property
    def config(self) -> Path:
        """The configuration file of this demo."""
        return self.folder / "config.yaml"

    @property
    def log(self) -> Path:
        """The log of the communicator."""
        return self.folder / "mqi.log"

    def make_remote(self) -> Path:
        """Return the workspace of the "host". Host paths are plain: if this one is not, make a private folder in /tmp.

        ActionRequired if that folder exists and others may use it."""
        here = self.folder / "remote"
        if re.fullmatch(r"(/[A-Za-z0-9._-]+)+", str(here)):
            return here
        mark = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        there = Path(f"/tmp/mqi-demo-{os.getuid()}-{mark}")  # noqa: S108 - created private, owner checked below
        there.mkdir(mode=0o700, exist_ok=True)
        state = there.lstat()
        if there.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o077:
            raise ActionRequired(
                f"{there} exists and is not a private folder of this account",
                "remove it, or run the demo from a path without spaces",
            )
        return there

    def release(self) -> None:
        """Release the slot."""
        os.close(self.handle)


def first_free(base: Path) -> Slot:
    """Return the first slot below `base` that no running demo uses."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(1, SLOTS + 1):
        folder = base / f"slot-{number}"
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        slot = Slot(folder, handle)
        for place in (slot.watch, slot.deliveries, slot.results, slot.workspace):
            place.mkdir(mode=0o700, exist_ok=True)
        return slot
    raise ActionRequired(f"all {SLOTS} demo slots below {base} are in use", "stop one of the running demos")
