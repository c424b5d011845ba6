"""Backups of the store: SQLite's online copy, verified before it gets its name; then the oldest is removed.

A backup is one file, `store-20260131T080000Z.sqlite3`: it has no write-ahead log. It may be made while the
communicator writes (https://sqlite.org/backup.html).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired, DiskFull, Transient
from mqi_communicator.system.durable import make_folder, sync_folder

_NAME = re.compile(r"store-(\d{8}T\d{6}Z)(-\d+)?\.sqlite3")
_STAMP = "%Y%m%dT%H%M%SZ"
_LOCKED_S = 60.0
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)  # primary result codes
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Backup:
    """One copy of the store. `made`: epoch seconds, from its name."""

    path: Path
    made: float


def back_up(store: Path, folder: Path, keep: int, now: float, *, source: sqlite3.Connection | None = None) -> Backup:
    """Copy the store into `folder`, verify the copy, then remove all but the newest `keep` copies.

    `source` is a connection to the store, for a file that has lost its name.

    A damaged copy is removed again and no older one is touched: Transient if the store could not be read,
    ActionRequired if what was read is damaged, DiskFull.
    """
    with _folder_faults(folder):
        make_folder(folder)
        part = folder / f".store-{os.getpid()}.part"
        try:
            with _copy_faults(store, folder), contextlib.ExitStack() as over:
                _copy(source or over.enter_context(contextlib.closing(_reader(store))), part)
                wrong = find_damage(part)
            if wrong:
                raise _damaged(store, wrong)
            made = part.rename(_free_name(folder, now))
            sync_folder(folder)
        finally:
            part.unlink(missing_ok=True)
        for old in backups(folder)[keep:]:
            old.path.unlink(missing_ok=True)
    return Backup(made, now)


def backups(folder: Path) -> list[Backup]:
    """The copies in a folder, newest first, unverified. A fault if the folder cannot be read."""
    found = []
    with _folder_faults(folder), contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if named := _NAME.fullmatch(path.name):
                when = datetime.strptime(named[1], _STAMP).replace(tzinfo=UTC)
                found.append((when.timestamp(), len(path.name), path.name, path))
    return [Backup(path, made) for made, _length, _name, path in sorted(found, reverse=True)]


def latest_intact(folder: Path) -> Backup | None:
    """The newest intact copy, None if there is none."""
    return next((one for one in backups(folder) if not why_unusable(one.path)), None)


def why_unusable(backup: Path) -> str:
    """Why a copy cannot be restored, in one line: it is damaged or cannot be read; "" if it is intact."""
    try:
        return find_damage(backup)
    except sqlite3.Error as error:
        return str(error)


def is_blank(path: Path) -> bool:
    """Whether there is no store yet: no file, or one whose creation was interrupted, for example by a full disk."""
    if not path.exists() or not path.stat().st_size:
        return True
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quoted(path)}?mode=ro", uri=True, timeout=_LOCKED_S)) as file:
            (pages,) = file.execute("PRAGMA page_count").fetchone()
            (tables,) = file.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return bool(pages <= 1 and tables == 0)
    except sqlite3.Error:
        return False


def roll_back(path: Path) -> None:
    """Have SQLite roll back what a power cut interrupted, which a reader cannot. Only by the owner of the store."""
    if path.exists() and path.with_name(f"{path.name}-journal").exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_reader(path)) as file:  # `find_damage` reports it
            file.execute("SELECT count(*) FROM sqlite_master").fetchone()


def find_damage(
    path: Path, *, quick: bool = False, on_open: Callable[[sqlite3.Connection], None] = lambda _: None
) -> str:
    """The damage of a store's file, in one line; "" if it is intact. Writes nothing.

    sqlite3.Error if the file cannot be read for another reason: it is locked, or its disk fails.

    `quick`: every page is read, but indexes are not compared with their tables, nor references with what they refer to,
    which takes five times as long. `on_open` gets the connection, to interrupt it from another thread.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quoted(path)}?mode=ro", uri=True, timeout=_LOCKED_S, check_same_thread=False)
        ) as file:
            on_open(file)
            (first,) = file.execute(f"PRAGMA {'quick_check' if quick else 'integrity_check'}(1)").fetchone()
            if first != "ok":
                return str(first)
            if not quick and file.execute("PRAGMA foreign_key_check").fetchone() is not None:
                return "rows refer to missing rows"
            if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
                return "it is not a store of MQI Communicator"
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
            return str(error)
        raise
    return ""


def _reader(store: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quoted(store)}?mode=rw", uri=True, timeout=_LOCKED_S)


def _copy(here: sqlite3.Connection, part: Path) -> None:
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(part)) as there:
        here.backup(there)
        there.execute("PRAGMA journal_mode=DELETE")  # a single file
    with part.open("rb") as handle:
        os.fsync(handle.fileno())


@contextlib.contextmanager
def _copy_faults(store: Path, folder: Path) -> Iterator[None]:
    """Raise errors of SQLite during a copy as faults."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise DiskFull(f"the backup cannot be written: {error}", f"free some space in {folder}") from None
        if code in DAMAGED:
            raise _damaged(store, str(error)) from None
        raise Transient(f"the store could not be copied: {error}") from None


def _damaged(store: Path, wrong: str) -> ActionRequired:
    return ActionRequired(
        f"the store {store} is damaged: {wrong}", "stop the communicator; mqi restore restores the last good backup"
    )


def _free_name(folder: Path, now: float) -> Path:
    stamp = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
    path, number = folder / f"store-{stamp}.sqlite3", 1
    while path.exists():
        number += 1
        path = folder / f"store-{stamp}-{number}.sqlite3"
    return path


def quoted(path: Path) -> str:
    """A path in a URI of SQLite."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextlib.contextmanager
def _folder_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"the backup cannot be written: {error.strerror}", f"free some space in {folder}") from None
        raise ActionRequired(
            f"the backup folder {folder} cannot be used: {error.strerror}",
            "check that its disk is mounted, or correct backup.folder or its permissions",
        ) from None
