"""Verifying the store: most of it before anything works with it, its indexes beside the first cases.

Only damage is reported as damage, which a backup replaces. A store that is locked, or whose disk fails, is unavailable.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mqi_communicator.store.backup import find_damage, is_blank, roll_back
from mqi_communicator.store.database import StoreDamaged, StoreUnavailable


def verify_intact(path: Path) -> None:
    """Read the whole store at `path` once, if there is one, as its owner. StoreDamaged if it is damaged,
    StoreUnavailable if it cannot be read.

    Its indexes are verified only if `verify_indexes` has found damage, until the store is intact."""
    roll_back(path)
    found_before = _mark_of(path)
    with _as_unavailable(path):
        if not is_blank(path) and (wrong := find_damage(path, quick=not found_before.exists())):
            raise _damaged(path, wrong)
    with suppress(OSError):
        found_before.unlink(missing_ok=True)


async def verify_indexes(path: Path) -> None:
    """Verify everything of the store at `path`, while it is in use. StoreUnavailable if it cannot be read. StoreDamaged
    if it is damaged; the next start then verifies everything before it works with the store."""
    opened: list[sqlite3.Connection] = []
    try:
        with _as_unavailable(path):
            wrong = await asyncio.to_thread(find_damage, path, on_open=opened.append)
    finally:
        with suppress(sqlite3.Error):  # it is closed; else the caller was cancelled, and does not wait for the thread
            for file in opened:
                file.interrupt()
    if wrong:
        with suppress(OSError):
            _mark_of(path).touch()
        raise _damaged(path, wrong)


@contextmanager
def _as_unavailable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"the store {path} cannot be verified: {error}",
            "check that no other program has it open, and its disk and permissions",
        ) from None


def _mark_of(path: Path) -> Path:
    """Exists if `verify_indexes` has found the store damaged."""
    return path.with_name(f"{path.name}.damaged")


def _damaged(path: Path, wrong: str) -> StoreDamaged:
    return StoreDamaged(f"the store {path} is damaged: {wrong}", "mqi restore")
