"""Write the files that are added to delivered results: signatures, and signed reports.

Each is complete when it gets its name. `delivery.folder` knows the name that it has before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.system.durable import sync_folder


def write_once(path: Path, data: bytes) -> None:
    """Of two concurrent signatures one is kept: a hard link never replaces an existing file. Permanent; DiskFull."""
    with _unnamed(path, data) as part:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise Permanent("another user has just signed these results", "mqi show names the user") from None
        sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Write a file, in place of what an interrupted try left. DiskFull."""
    with _unnamed(path, data) as part:
        part.rename(path)
        sync_folder(path.parent)


def remove_leftover(path: Path) -> None:
    """Remove what a killed process left beside a file that got its name. DiskFull if that is not possible."""
    try:
        _part(path).unlink(missing_ok=True)
    except OSError as error:
        raise DiskFull(f"{_part(path).name} cannot be removed: {error.strerror}", "check the results folder") from None


def _part(path: Path) -> Path:
    return path.parent / f".{path.name}.part"


@contextmanager
def _unnamed(path: Path, data: bytes) -> Iterator[Path]:
    """The data in a file that has not its name yet, and is removed at the end."""
    part = _part(path)
    try:
        part.unlink(missing_ok=True)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield part
    except OSError as error:
        raise DiskFull(f"{path.name} cannot be written: {error.strerror}", "check the results folder") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
