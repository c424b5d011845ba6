"""What survives a power cut: a file's content once it is fsynced, and its name once its folder is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def make_folder(path: Path) -> None:
    """Create a folder, mode 0700, and those above it; their names are durable."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True, mode=0o700)
    with suppress(PermissionError):  # a folder that may be written and not read: rare, and not ours to refuse
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Flush the content of a file to disk."""
    _sync(path, os.O_NOFOLLOW)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk."""
    _sync(folder, os.O_DIRECTORY)


def sync_tree(folder: Path) -> None:
    """Flush a folder to disk: its files, its folders, and its own name."""
    for above, _folders, files in os.walk(folder, topdown=False):
        for name in files:
            sync_file(Path(above, name))
        sync_folder(Path(above))
    sync_folder(folder.parent)


@contextmanager
def new_file(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Write a file from its beginning; its content is durable at the end. Its name is once its folder is synced."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(number, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, text: str) -> None:
    """Write a small file, mode 0600, so that either the old or the new content is there whatever happens.

    One process at a time may do so: the new content is in a file of the same name with the suffix .tmp before.
    """
    aside = path.with_suffix(".tmp")
    with new_file(aside) as file:
        file.write(text.encode("utf-8"))
    aside.rename(path)
    sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)
