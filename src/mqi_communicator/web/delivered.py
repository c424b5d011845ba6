"""The delivered files that the dashboard serves. DICOM files identify a patient and are not served."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.views import CaseView
from mqi_communicator.case.visible import visible
from mqi_communicator.web.context import Folders

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".json": "application/json",
    ".png": "image/png",
}
_FIRST = ("report-signed-2.pdf", "report-signed.pdf", "report.html", "report.pdf", "verdict.json", "delivery.json")
_LARGEST = 64 << 20  # bytes
_LOG_BYTES = 8192
_LOG_LINES = 40


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file at the top of the delivered folder."""

    name: str
    size: int  # bytes
    kind: str  # media type


def listing(case: CaseView, folders: Folders) -> list[Delivered]:
    """The files that are served, the report first."""
    folder = _folder(case, folders)
    if folder is None:
        return []
    found = []
    for path in folder.iterdir():
        state = path.lstat()
        if path.suffix in _KINDS and stat.S_ISREG(state.st_mode) and state.st_size <= _LARGEST:
            found.append(Delivered(path.name, state.st_size, _KINDS[path.suffix]))
    return sorted(found, key=lambda one: (_FIRST.index(one.name) if one.name in _FIRST else len(_FIRST), one.name))


def content(case: CaseView, folders: Folders, name: str) -> tuple[Delivered, bytes] | None:
    """One of the listed files; None for anything else. Links are not followed."""
    folder = _folder(case, folders)
    wanted = next((one for one in listing(case, folders) if one.name == name), None)
    if folder is None or wanted is None:
        return None
    try:
        number = os.open(folder / wanted.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(number, "rb") as handle:
        return wanted, handle.read(_LARGEST)


def _folder(case: CaseView, folders: Folders) -> Path | None:
    folder = Path(case.results) if case.results else None
    if folder is None or folder.parent != folders.results or not folder.is_dir():
        return None
    mine = folder.name == case.case or folder.name.startswith(f"{case.case}-judged-")
    return folder if mine else None


def log_tail(case: CaseView, beam: int, run: int, folders: Folders) -> str:
    """The end of the engine's log of this run, from the time it is fetched until the case is tidied; else ""."""
    path = folders.workspace / "spool" / case.case / "back" / f"{case.case}-b{beam}-r{run}" / "log"
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(number, "rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - _LOG_BYTES))
        text = handle.read().decode("utf-8", "replace")
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    return "\n".join(visible(line.expandtabs()) for line in lines[-_LOG_LINES:])
