"""A pass-through file system that forgets at a power cut what was not fsynced.

python -m tests.power.lossy STORED MOUNT: serve the files of STORED at MOUNT. SIGTERM is the power cut: the file system
is gone for everybody, STORED is replaced by what would be found afterwards, and the process ends.

A file has the content of its last fsync; it is empty if there was none. A name exists, is gone, or names another file
only once its folder was fsynced: POSIX promises no more; ext4 and XFS keep more in most cases. A rename from one folder
into another is kept in both as soon as one of them is fsynced, since a journal never loses half of it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import mfusepy

_STATE = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_blocks")


class Lossy(mfusepy.Operations):  # type: ignore[misc]
    """Answers the kernel, one request at a time. Every file and folder has a number of its own: inodes are reused."""

    use_ns = True

    def __init__(self, stored: Path) -> None:
        self._root = stored
        self._next = itertools.count(1)
        self._numbers: dict[int, int] = {}  # inode -> number
        self._modes: dict[int, int] = {}
        self._contents: dict[int, bytes] = {}  # of files, at their last fsync
        self._names: dict[int, dict[str, int]] = {}  # of folders, at their last fsync
        self._moved: dict[str, set[str]] = {}  # folder -> folders that a rename connects with it
        self._top = self._scan(stored)

    def _scan(self, path: Path) -> int:
        """What is there at the start is durable."""
        number = self._enter(str(path))
        if path.is_dir():
            self._names[number] = {one.name: self._scan(one) for one in path.iterdir()}
        else:
            self._contents[number] = path.read_bytes()
        return number

    def _enter(self, path: str) -> int:
        state, number = os.lstat(path), next(self._next)
        self._numbers[state.st_ino], self._modes[number] = number, state.st_mode
        return number

    def _at(self, path: str) -> str:
        return f"{self._root}{path}"

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Keep a file's content."""
        state = os.fstat(fh)
        number = self._numbers[state.st_ino]
        self._contents[number], self._modes[number] = os.pread(fh, state.st_size, 0), state.st_mode
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        """Keep a folder's names, and those of folders that a rename connects with it."""
        todo, done = {path}, set[str]()
        while left := todo - done:
            folder = left.pop()
            done.add(folder)
            todo |= self._moved.pop(folder, set())
            if os.path.isdir(self._at(folder)):
                found = os.scandir(self._at(folder))
                number = self._numbers[os.lstat(self._at(folder)).st_ino]
                self._names[number] = {one.name: self._numbers[one.inode()] for one in found}
        return 0

    def rename(self, old: str, new: str) -> int:
        """Rename; from one folder into another it connects them."""
        os.rename(self._at(old), self._at(new))
        folders = {os.path.dirname(old) or "/", os.path.dirname(new) or "/"}
        for folder in folders if len(folders) > 1 else ():
            self._moved.setdefault(folder, set()).update(folders)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        handle = os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self._enter(self._at(path))
        return handle

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._at(path), mode)
        self._enter(self._at(path))
        return 0

    def link(self, target: str, source: str) -> int:
        os.link(self._at(source), self._at(target))
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._at(path))
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        return 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        state = os.lstat(self._at(path))
        times = {f"st_{one}time": getattr(state, f"st_{one}time_ns") for one in "amc"}
        return {name: getattr(state, name) for name in _STATE} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._at(path))]

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags & os.O_TRUNC | os.O_RDWR)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._at(path), length)
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._at(path), mode)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self._at(path), ns=times or (time.time_ns(), time.time_ns()))
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        state = os.statvfs(self._at(path))
        return {name: getattr(state, name) for name in dir(state) if name.startswith("f_") and name != "f_fsid"}

    def replace_by_durable(self) -> None:
        """Replace what is stored by what is durable."""
        for path in self._root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._write(self._root, self._top)

    def _write(self, folder: Path, number: int) -> None:
        for name, one in self._names.get(number, {}).items():
            path = folder / name
            if stat.S_ISDIR(self._modes[one]):
                path.mkdir()
                self._write(path, one)
            else:
                path.write_bytes(self._contents.get(one, b""))
            path.chmod(stat.S_IMODE(self._modes[one]))


def main() -> None:
    """Serve until the power cut."""
    served = Lossy(Path(sys.argv[1]).absolute())
    with suppress(RuntimeError):  # it ended by the signal
        mfusepy.FUSE(served, sys.argv[2], foreground=True, nothreads=True)
    served.replace_by_durable()


if __name__ == "__main__":
    main()
