"""Restore a backup in place of the store. The old store is kept; an interrupted restore can be completed."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.backup import why_unusable
from mqi_communicator.system.durable import sync_folder

_OF_A_STORE = ("", "-wal", "-shm", "-journal")


def restore(backup: Path, store: Path, now: float) -> Path | None:
    """Replace the store by a copy of `backup`; returns the folder with the old files, None if there were none.

    The caller holds the store's lock. ActionRequired, and nothing changed, if the backup is damaged.
    """
    if wrong := why_unusable(backup):
        raise ActionRequired(f"{backup} cannot be restored: {wrong}", "mqi restore --list shows those that are intact")
    ready = _ready(store)
    part = ready.with_suffix(".part")
    shutil.copyfile(backup, part)
    part.chmod(0o600)
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    if wrong := why_unusable(part):
        part.unlink()
        raise ActionRequired(f"the copy of {backup} is damaged: {wrong}", "check the disk of paths.workspace")
    part.rename(ready)
    sync_folder(store.parent)
    return complete(store, now)


def complete(store: Path, now: float) -> Path | None:
    """Complete a restore whose copy is ready, from any point of interruption; without one, do nothing.

    The old journals are moved first: SQLite must never find one beside the new file.
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


def is_interrupted(store: Path) -> bool:
    """Whether a restore was interrupted."""
    return _ready(store).exists()


def _ready(store: Path) -> Path:
    return store.with_name(store.name + ".ready")
