"""The file system forgets what was not fsynced, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.power.disk import Disk, reason_missing

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(reason_missing()), reason=reason_missing())]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk", tmp_path / "stored")
    made.power_on()
    yield made
    made.cut()


def again(disk: Disk) -> Path:
    """After a power cut."""
    disk.cut()
    disk.power_on()
    return disk.path


def sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.close(number)


def write(path: Path, text: str, *, synced: bool) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        if synced:
            os.fsync(file.fileno())


def nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(("synced", "left"), [(True, "text"), (False, "")])
def test_a_file_has_the_content_of_its_last_fsync(disk: Disk, *, synced: bool, left: str):
    write(disk.path / "file", "text", synced=synced)
    sync(disk.path)
    write(disk.path / "file", "later", synced=False)
    assert (again(disk) / "file").read_text() == left


@pytest.mark.parametrize(("keep", "left"), [(sync, ["file"]), (nothing, [])])
def test_a_name_needs_the_fsync_of_its_folder(disk: Disk, keep: Callable[[Path], None], left: list[str]):
    write(disk.path / "file", "text", synced=True)
    keep(disk.path)
    assert [path.name for path in again(disk).iterdir()] == left


@pytest.mark.parametrize(("keep", "left"), [(sync, "new"), (nothing, "old")])
def test_a_rename_over_a_file_is_whole_or_not_at_all(disk: Disk, keep: Callable[[Path], None], left: str):
    write(disk.path / "file", "old", synced=True)
    sync(disk.path)
    write(disk.path / "aside", "new", synced=True)
    (disk.path / "aside").rename(disk.path / "file")
    keep(disk.path)
    assert (again(disk) / "file").read_text() == left


@pytest.mark.parametrize(("keep", "left"), [(sync, False), (nothing, True)])
def test_a_removed_file_returns_without_the_fsync_of_its_folder(
    disk: Disk, keep: Callable[[Path], None], *, left: bool
):
    write(disk.path / "file", "old", synced=True)
    sync(disk.path)
    (disk.path / "file").unlink()
    keep(disk.path)
    assert (again(disk) / "file").exists() is left


@pytest.mark.parametrize("kept", ["one", "other"])
def test_a_rename_into_another_folder_is_never_half(disk: Disk, kept: str):
    for name in ("one", "other"):
        (disk.path / name).mkdir()
    write(disk.path / "one" / "file", "text", synced=True)
    for path in (disk.path / "one", disk.path / "other", disk.path):
        sync(path)
    (disk.path / "one" / "file").rename(disk.path / "other" / "file")
    sync(disk.path / kept)
    path = again(disk)
    assert ([*(path / "one").iterdir()], (path / "other" / "file").read_text()) == ([], "text")


def test_a_committed_transaction_is_kept(disk: Disk):
    with closing(sqlite3.connect(disk.path / "store", isolation_level=None)) as store:
        store.execute("pragma journal_mode = wal")
        store.execute("pragma synchronous = full")
        store.execute("create table t (n)")
        for number in range(50):
            store.execute("insert into t values (?)", (number,))
        sync(disk.path)
        store.execute("insert into t values (50)")
        path = again(disk)
    with closing(sqlite3.connect(path / "store")) as store:
        assert store.execute("select count(*) from t").fetchone() == (51,)
        assert store.execute("pragma integrity_check").fetchone() == ("ok",)
