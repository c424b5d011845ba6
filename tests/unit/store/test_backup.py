"""Backups of the store: verified, rotated, never replacing a good one; and a restore that may be interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from mqi_communicator import background
from mqi_communicator.case.faults import ActionRequired, Transient
from mqi_communicator.cli.rescue import how_to_restore
from mqi_communicator.store import cases
from mqi_communicator.store.backup import back_up, backups, find_damage, is_blank, latest_intact, why_unusable
from mqi_communicator.store.database import StoreDamaged, StoreUnavailable, open_database
from mqi_communicator.store.options import BackupOptions
from mqi_communicator.store.restore import complete, is_interrupted, restore
from mqi_communicator.store.verification import verify_indexes, verify_intact

NOON = 1_800_000_000.0


def damage(path: Path) -> None:
    """Overwrite the middle of every page but the first: the file still opens."""
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 600] = b"\xa5" * len(data[start : start + 600])
    path.write_bytes(data)


def note(store: Path, key: str) -> None:
    database = open_database(store)
    database.write_now(cases.add, cases.Case(key, Path("/in/x"), 1.0, "f"))
    database.close()


def keys(store: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(store)) as file:
        return {row[0] for row in file.execute("select key from cases")}


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "store.sqlite3"
    note(path, "first")
    return path


def test_a_backup_is_one_intact_private_file_made_while_the_store_is_written(store, tmp_path):
    database = open_database(store)
    database.write_now(cases.add, cases.Case("second", Path("/in/y"), 2.0, "f"))
    made = back_up(store, tmp_path / "backups", 3, NOON)
    database.close()
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["store-20270115T080000Z.sqlite3"]
    assert oct(made.path.stat().st_mode & 0o777) == "0o600"
    assert (find_damage(made.path), keys(made.path)) == ("", {"first", "second"})


def test_the_oldest_are_removed_and_two_of_one_second_get_different_names(store, tmp_path):
    folder = tmp_path / "backups"
    made = [back_up(store, folder, 3, NOON + wait).path for wait in (0, 0, 10, 20)]
    (folder / "notes.txt").write_text("not ours")
    assert [one.path for one in backups(folder)] == made[:0:-1]
    assert (folder / "notes.txt").exists()


def test_a_damaged_store_leaves_no_copy_and_removes_none(store, tmp_path):
    folder = tmp_path / "backups"
    good = back_up(store, folder, 1, NOON)
    damage(store)
    with pytest.raises(ActionRequired, match="damaged"):
        back_up(store, folder, 1, NOON + 10)
    assert list(folder.iterdir()) == [good.path]


def test_a_missing_store_gives_no_backup(tmp_path):
    with pytest.raises(Transient, match="could not be copied"):
        back_up(tmp_path / "none.sqlite3", tmp_path / "backups", 1, NOON)
    assert not list((tmp_path / "backups").iterdir())


def test_the_latest_intact_backup_is_found_behind_damaged_ones(store, tmp_path):
    folder = tmp_path / "backups"
    good, bad = back_up(store, folder, 5, NOON), back_up(store, folder, 5, NOON + 10)
    damage(bad.path)
    (folder / "store-20280101T000000Z.sqlite3").write_bytes(b"no database" * 500)
    assert latest_intact(folder) == good
    assert latest_intact(tmp_path / "nowhere") is None


async def test_an_unreadable_folder_is_reported_and_the_next_backup_is_tried(store, tmp_path, monkeypatch):
    """An offline share fails like this (ESTALE, EACCES): cases must continue meanwhile."""
    folder, database = tmp_path / "share", open_database(store)
    folder.write_text("no folder")
    monkeypatch.setattr(background, "BACKUP_PAUSE_S", 0.1)
    paths = SimpleNamespace(store=store)
    config = SimpleNamespace(paths=paths, backups=folder, backup=BackupOptions(every_s=1))

    async def reported(event: str) -> dict[str, object]:
        async with asyncio.timeout(60):
            while not (output := [item for item in lines if item["event"] == event]):  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.05)
        return dict(output[0])

    with capture_logs() as lines:
        app: Any = SimpleNamespace(config=config, database=database)
        loop = asyncio.create_task(background.periodic(1, partial(background.back_up_if_due, app)))
        trouble = await reported("backup.failed")
        folder.unlink()
        await reported("backup.made")
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    database.close()
    assert trouble["why"] == f"the backup folder {folder} cannot be used: Not a directory"
    assert "its disk is mounted" in str(trouble["advice"])
    assert len(backups(folder)) == 1


def test_a_damaged_store_is_reported_even_if_the_backups_cannot_be_read(tmp_path):
    (tmp_path / "share").write_text("no folder")
    settings = {
        "paths": {name: str(tmp_path / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {},
        "engine": {"kind": "mcsquare", "home": str(tmp_path)},
        "backup": {"folder": str(tmp_path / "share")},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    assert f"{tmp_path / 'share'} cannot be used" in how_to_restore(tmp_path / "config.yaml")[0]


def test_damage_that_sqlite_does_not_notice_is_detected_before_work_starts(store):
    verify_intact(store)
    damage(store)
    with pytest.raises(StoreDamaged):
        verify_intact(store)


def spoil_index(path: Path) -> None:
    """An index of other values than its table has; every page of the file is sound."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executescript("CREATE TABLE pair (a, b); INSERT INTO pair VALUES (1, 2); CREATE INDEX by_a ON pair (a)")
        file.execute("PRAGMA writable_schema=ON")
        file.execute("UPDATE sqlite_master SET sql = 'CREATE INDEX by_a ON pair (b)' WHERE name = 'by_a'")


async def test_a_wrong_index_is_found_beside_the_first_cases_and_by_a_backup(store, tmp_path):
    spoil_index(store)
    verify_intact(store)
    with pytest.raises(StoreDamaged, match="index by_a"):
        await verify_indexes(store)
    with pytest.raises(ActionRequired, match="index by_a"):
        back_up(store, tmp_path / "backups", 3, NOON)


async def test_after_a_wrong_index_no_start_works_with_the_store_until_it_is_intact(store):
    """A service starts again by itself: it must not process cases until the same damage is found again."""
    spoil_index(store)
    with pytest.raises(StoreDamaged):
        await verify_indexes(store)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="index by_a"):
            verify_intact(store)
    with contextlib.closing(sqlite3.connect(store)) as file:
        file.execute("DROP TABLE pair")
        file.commit()
    verify_intact(store)
    spoil_index(store)
    verify_intact(store)  # as at any other start


async def test_a_store_that_cannot_be_read_now_is_not_called_damaged(store, tmp_path, monkeypatch):
    """A store was restored from its backup for a lock."""
    monkeypatch.setattr("mqi_communicator.store.backup._LOCKED_S", 0.0)
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="cannot be verified: database is locked"):
            await verify_indexes(store)
        with pytest.raises(StoreUnavailable, match="database is locked"):
            verify_intact(store)
        with pytest.raises(ActionRequired, match="cannot be restored: database is locked"):
            restore(store, tmp_path / "other.sqlite3", NOON)
    with pytest.raises(StoreUnavailable, match="unable to open"):
        await verify_indexes(tmp_path / "missing.sqlite3")
    assert list(tmp_path.glob("*.damaged")) == []
    spoil_index(store)
    verify_intact(store)  # as at any other start


async def test_a_store_that_cannot_be_read_now_is_verified_later(store, monkeypatch):
    reads: list[Path] = []

    async def locked_once(path: Path) -> None:
        reads.append(path)
        if len(reads) == 1:
            raise StoreUnavailable("database is locked", "wait")

    monkeypatch.setattr(background, "verify_indexes", locked_once)
    monkeypatch.setattr(background, "VERIFY_AGAIN_S", 0.0)
    with capture_logs() as logged:
        await background.verify_store(store)
    assert reads == [store, store]
    assert [one["event"] for one in logged] == ["database.error"]


def test_a_database_of_something_else_is_no_store(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other.sqlite3")) as file:
        file.execute("CREATE TABLE other (a)")
        file.commit()
    with pytest.raises(StoreDamaged, match="not a store of MQI Communicator"):
        verify_intact(tmp_path / "other.sqlite3")


async def test_the_verification_of_an_intact_store_ends_and_can_be_cancelled(store):
    await verify_indexes(store)
    task = asyncio.create_task(verify_indexes(store))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_interrupted_creation_is_completed_at_the_next_start(tmp_path):
    """A fault round found it: the disk was full at the first start, and each later one called the store damaged."""
    begun = tmp_path / "store.sqlite3"
    with contextlib.closing(sqlite3.connect(begun)) as file:
        file.execute("PRAGMA journal_mode=WAL")
    assert begun.stat().st_size
    verify_intact(begun)
    database = open_database(begun)
    database.close()
    verify_intact(begun)
    assert not is_blank(begun)


def interrupt(path: Path) -> None:
    """A power cut in the middle of a transaction with a rollback journal, as while a store is created."""
    code = (
        "import os, sqlite3, sys\n"
        "file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for line in ('PRAGMA journal_mode=DELETE', 'PRAGMA cache_size=1', 'BEGIN', 'CREATE TABLE half (x)'):\n"
        "    file.execute(line)\n"
        "for _ in range(50): file.execute('INSERT INTO half VALUES (zeroblob(9000))')\n"
        "os._exit(0)\n"
    )
    subprocess.run((sys.executable, "-c", code, str(path)), check=True, timeout=60)
    assert path.with_name(f"{path.name}-journal").stat().st_size


def test_a_transaction_that_a_power_cut_interrupted_is_rolled_back(store):
    """A power cut in a test found it: the store counted as damaged at each later start, and there was no backup yet."""
    interrupt(store)
    assert "readonly" in why_unusable(store)
    verify_intact(store)
    assert keys(store) == {"first"}


def test_a_creation_that_a_power_cut_interrupted_is_completed(tmp_path):
    begun = tmp_path / "store.sqlite3"
    interrupt(begun)
    verify_intact(begun)
    open_database(begun).close()
    verify_intact(begun)


def test_a_journal_of_the_old_store_is_not_applied_to_the_restored_one(store, tmp_path):
    made = back_up(store, tmp_path / "backups", 3, NOON)
    interrupt(store)
    restore(made.path, store, NOON)
    assert not store.with_name(f"{store.name}-journal").exists()
    verify_intact(store)
    assert keys(store) == {"first"}


def test_a_store_that_has_lost_its_tables_is_not_taken_for_a_new_one(store):
    assert not is_blank(store)
    with contextlib.closing(sqlite3.connect(store)) as file:
        file.execute("PRAGMA foreign_keys=OFF")
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            file.execute(f"DROP TABLE IF EXISTS {name}")
        file.commit()
    with pytest.raises(StoreDamaged):
        verify_intact(store)


def test_a_restore_replaces_the_store_and_keeps_the_old_one(store, tmp_path):
    made = back_up(store, tmp_path / "backups", 3, NOON)
    note(store, "later")
    damage(store)
    before = store.read_bytes()
    aside = restore(made.path, store, NOON)
    assert aside is not None
    assert (aside / store.name).read_bytes() == before
    verify_intact(store)
    assert keys(store) == {"first"}
    assert oct(store.stat().st_mode & 0o777) == "0o600"


def test_a_damaged_backup_changes_nothing(store, tmp_path):
    made = back_up(store, tmp_path / "backups", 3, NOON)
    damage(made.path)
    before = store.read_bytes()
    with pytest.raises(ActionRequired, match="cannot be restored"):
        restore(made.path, store, NOON)
    assert store.read_bytes() == before
    assert not is_interrupted(store)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_an_interrupted_restore_is_completed_and_an_old_log_never_meets_the_new_file(store, tmp_path, monkeypatch, cut):
    """The process dies at the n-th rename; then the store is not opened before the restore is complete."""
    made = back_up(store, tmp_path / "backups", 3, NOON)
    database = open_database(store)
    database.write_now(cases.add, cases.Case("later", Path("/in/z"), 3.0, "f"))
    log = store.with_name(store.name + "-wal")
    kept = log.read_bytes()
    database.close()
    log.write_bytes(kept)  # as a kill leaves it
    renames, real = 0, Path.rename

    def dying(self, target):
        nonlocal renames
        if self.suffix != ".part":
            renames += 1
            if renames == cut:
                raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "rename", dying)
    with pytest.raises(KeyboardInterrupt):
        restore(made.path, store, NOON)
    monkeypatch.undo()
    assert is_interrupted(store)
    with pytest.raises(ActionRequired, match="was interrupted"):
        open_database(store)
    complete(store, NOON + 5)
    assert not log.exists()
    verify_intact(store)
    assert keys(store) == {"first"}
    assert [os.fspath(path.name) for path in tmp_path.glob("replaced-*")]
