"""Scans folders without opening files: which cases exist, and whether one has changed.

Names are data: they may contain any byte but `/` and NUL. They are passed on as Python's file-system strings
(undecodable bytes as surrogates) and never reach a shell.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PARTIAL = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~")
_DEEPEST = 16  # folders within folders


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One regular file of a case. `name` is relative to the case folder and may name a patient."""

    name: str
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    inode: tuple[int, int] | None = None  # device and inode, if the file has several hard links

    @property
    def partial(self) -> bool:
        """Whether the name marks a copy in progress."""
        return self.name.lower().endswith(_PARTIAL)


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """An entry that is neither a readable folder nor a regular file, and why it is skipped."""

    name: str
    why: str
    unreadable: bool = False  # it may be part of the case


@dataclass(frozen=True, slots=True)
class FolderScan:
    """The entries of one case folder, by stat alone, sorted by name."""

    files: tuple[FileEntry, ...]
    skipped: tuple[SkippedEntry, ...]
    fingerprint: str  # changes whenever a name, a size or a time changes
    too_many: bool  # counting stopped at the limit

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.files)

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(seen.size for seen in self.files)

    @property
    def newest(self) -> float:
        """Time of the last change, in epoch seconds of the share's clock; 0 for an empty folder."""
        return max((max(seen.mtime_ns, seen.ctime_ns) for seen in self.files), default=0) / 1e9


@dataclass(frozen=True, slots=True)
class Listing:
    """The top level of the watched folder. Each folder is one case."""

    folders: tuple[str, ...]
    loose: tuple[str, ...]  # files outside any case folder
    skipped: tuple[SkippedEntry, ...]


def case_folders(root: Path) -> Listing:
    """List the case folders of a watched folder; hidden and temporary names are ignored. OSError as raised."""
    folders: list[str] = []
    loose: list[str] = []
    skipped: list[SkippedEntry] = []
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower().endswith(_PARTIAL):
                continue
            if entry.is_symlink():
                skipped.append(SkippedEntry(entry.name, "a symbolic link; only real folders are cases"))
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                loose.append(entry.name)
    return Listing(tuple(sorted(folders)), tuple(sorted(loose)), tuple(sorted(skipped, key=lambda one: one.name)))


def scan_folder(folder: Path, max_files: int = 20_000) -> FolderScan:
    """Scan a case folder and everything below it without opening files or following links.

    Entries that cannot be listed are recorded as skipped. OSError if the folder itself cannot be listed.
    """
    files: list[FileEntry] = []
    skipped: list[SkippedEntry] = []
    too_many = False
    for count, found in enumerate(_entries(folder)):
        if count >= max_files:
            too_many = True
            break
        if found is None:
            continue
        if isinstance(found, SkippedEntry):
            skipped.append(found)
        else:
            files.append(found)
    files.sort(key=lambda seen: os.fsencode(seen.name))
    skipped.sort(key=lambda one: os.fsencode(one.name))
    return FolderScan(tuple(files), tuple(skipped), _fingerprint(files, skipped), too_many)


def _entries(folder: Path) -> Iterator[FileEntry | SkippedEntry | None]:
    """Yield every entry below `folder`; None for ignored ones, so that they are counted."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = f"{below}/{entry.name}" if below else entry.name
                    if entry.name.startswith("."):
                        yield None  # a file of a desktop environment, or a hidden temporary file of a copy tool
                    elif entry.is_dir(follow_symlinks=False):
                        if name.count("/") >= _DEEPEST:
                            yield SkippedEntry(name, "nested too deeply")
                        else:
                            waiting.append(name)
                            yield None
                    else:
                        yield _look(entry, name)
        except OSError as error:
            if not below:
                raise
            yield SkippedEntry(below, f"cannot be listed: {error.strerror}", unreadable=True)


def _look(entry: os.DirEntry[str], name: str) -> FileEntry | SkippedEntry:
    try:
        state = entry.stat(follow_symlinks=False)
    except OSError as error:
        return SkippedEntry(name, f"cannot be examined: {error.strerror}", unreadable=True)
    if stat.S_ISLNK(state.st_mode):
        return SkippedEntry(name, "a symbolic link; links are not followed")
    if not stat.S_ISREG(state.st_mode):
        return SkippedEntry(name, "not a regular file")
    inode = (
        (state.st_dev, state.st_ino) if state.st_nlink > 1 else None
    )  # alone it would prove nothing: network shares invent inodes
    return FileEntry(name, state.st_size, state.st_mtime_ns, state.st_ctime_ns, inode)


def _fingerprint(files: list[FileEntry], skipped: list[SkippedEntry]) -> str:
    digest = hashlib.sha256()
    for seen in files:
        digest.update(b"%s\0%d\0%d\0%d\0" % (os.fsencode(seen.name), seen.size, seen.mtime_ns, seen.ctime_ns))
    for one in skipped:
        digest.update(b"%s\0odd\0" % os.fsencode(one.name))
    return digest.hexdigest()
