"""A backup takes the place of the store. What was there is kept aside; a restore that was cut short is completed."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.backup import sync_folder, unsound

_OF_A_STORE = ("", "-wal", "-shm")


def restore(backup: Path, store: Path, now: float) -> Path | None:
    """Put a copy of `backup` where the store is; returns the folder in which the old files lie, None if none were.

    The caller holds the store's lock. ActionRequired, and nothing changed, if the backup is not whole.
    """
    if wrong := unsound(backup):
        raise ActionRequired(f"{backup} cannot be restored: {wrong}", "mqi restore --list names those that are whole")
    ready = _ready(store)
    part = ready.with_suffix(".part")
    shutil.copyfile(backup, part)
    part.chmod(0o600)
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    if wrong := unsound(part):
        part.unlink()
        raise ActionRequired(f"the copy of {backup} is not whole: {wrong}", "look at the disk of paths.workspace")
    part.rename(ready)
    sync_folder(store.parent)
    return complete(store, now)


def complete(store: Path, now: float) -> Path | None:
    """Finish a restore whose copy is ready, from wherever it was cut short; nothing to do where none is.

    The old log goes before the new file comes: SQLite must never find the one beside the other.
    """
    ready = _ready(store)
    if not ready.exists():
        return None
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = store.parent / f"replaced-{stamp}"
    old = [store.with_name(store.name + ending) for ending in _OF_A_STORE]
    kept = [path for path in old if path.exists()]
    if kept:
        aside.mkdir(mode=0o700, exist_ok=True)
    for path in reversed(kept):
        path.rename(aside / path.name)
    ready.rename(store)
    sync_folder(store.parent)
    return aside if kept else None


def is_cut_short(store: Path) -> bool:
    """Whether a restore has begun and not ended."""
    return _ready(store).exists()


def _ready(store: Path) -> Path:
    return store.with_name(store.name + ".ready")
