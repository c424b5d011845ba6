"""Recognises the results folder by a file with a random id: a share that is not mounted leaves an empty folder.

Device and inode would not do: they change when a share is mounted again.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.system.durable import sync_folder

MARKER = ".mqi-results"
_MOST = 256  # bytes: an id is much shorter


@dataclass(frozen=True, slots=True)
class ResultsMarker:
    """The id of the results folder, in the folder itself and in our record of it."""

    results: Path
    record: Path  # in the workspace

    def establish(self) -> None:
        """At the start, if no id is recorded: record the id of the folder, which gets one if it has none.

        ActionRequired if one of them cannot be written.
        """
        try:
            if _id(self.record):
                return
            if not _id(self.results / MARKER):
                _write(self.results / MARKER, uuid.uuid4().hex, 0o640)
            _write(self.record, _id(self.results / MARKER), 0o600)
        except OSError as error:
            raise ActionRequired(
                f"the marker of the results folder cannot be read or written: {error.strerror}",
                f"free space in {self.results}, mount its share, or give the communicator's account write permission",
            ) from None

    def verify(self) -> None:
        """ActionRequired unless the folder has the recorded id; one is established if there is none yet."""
        try:
            recorded = _id(self.record)
            found = _id(self.results / MARKER)
        except OSError as error:
            raise self._fault(f"its marker {MARKER} cannot be read ({error.strerror})") from None
        if not recorded:  # the start could not write one: its disk was full
            self.establish()
            return
        if not found:
            raise self._fault(f"it has no marker {MARKER}")
        if found != recorded:
            raise self._fault(f"its marker {MARKER} has another id")

    def problem(self) -> ActionRequired | None:
        """The fault of `verify`, for commands that look; None also if no id is recorded, or none that we may read."""
        try:
            if _id(self.record):
                self.verify()
        except ActionRequired as fault:
            return fault
        except OSError:
            return None
        return None

    def _fault(self, what: str) -> ActionRequired:
        return ActionRequired(
            f"the results folder is not the one that results were delivered to: {what}",
            f"mount the share of {self.results}; if the folder was replaced on purpose, remove {self.record} and "
            "restart the communicator",
        )


def _id(path: Path) -> str:
    """The content of a marker or of the record of one; "" if there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("ascii", "backslashreplace")[:_MOST].strip()
    except FileNotFoundError:
        return ""


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file durably, with its whole content at once."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        number = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(number, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)
