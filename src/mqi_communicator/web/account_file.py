"""A private JSON file of accounts or tokens: read whole, replaced atomically, changed under a lock by one process."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.system.durable import sync_folder


@contextmanager
def locked(path: Path, setting: str) -> Iterator[None]:
    """Hold the lock of the file, a file beside it. ActionRequired, naming the setting, if its folder is missing or
    cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ActionRequired(f"{path} cannot be written: {error.strerror}", f"correct {setting}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write(path: Path, document: dict[str, Any]) -> None:
    """Replace the file, mode 0600, durably."""
    number, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(number, "w", encoding="utf-8") as handle:
        json.dump(document, handle, indent=2)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    Path(aside).rename(path)
    sync_folder(path.parent)
