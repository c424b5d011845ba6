"""Changes in folders are reported, whatever made them, and nothing else is."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mqi_communicator.system.changes import FolderChanges

WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript('INSERT INTO orders VALUES (1)')"


@pytest.fixture
async def changes(tmp_path: Path) -> AsyncIterator[FolderChanges]:
    made = FolderChanges([tmp_path])
    made.open()
    yield made
    made.close()


async def reported(changes: FolderChanges, seconds: float = 30.0) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await changes.wait()
    except TimeoutError:
        return False
    return True


async def test_a_write_of_another_process_to_a_store_is_reported(tmp_path: Path, changes: FolderChanges):
    made = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("CREATE TABLE orders (id INTEGER)")
    await changes.wait()
    assert not await reported(changes, 0.2)
    words = (sys.executable, "-c", WRITE, str(tmp_path / "store.sqlite3"))
    await asyncio.to_thread(subprocess.run, words, check=True)
    assert await reported(changes)
    made.close()


@pytest.mark.parametrize("change", ["create", "rename", "remove"])
async def test_entries_that_come_and_go_are_reported(tmp_path: Path, change: str):
    (tmp_path / "old").touch()
    changes = FolderChanges([tmp_path])
    changes.open()
    assert not await reported(changes, 0.2)
    match change:
        case "create":
            (tmp_path / "new").touch()
        case "rename":
            (tmp_path / "old").rename(tmp_path / "other")
        case "remove":
            (tmp_path / "old").unlink()
    assert await reported(changes)
    changes.close()


async def test_reading_is_no_change(tmp_path: Path, changes: FolderChanges):
    (tmp_path / "file").write_text("x")
    await changes.wait()
    (tmp_path / "file").read_text()
    os.listdir(tmp_path)  # noqa: PTH208 - pathlib's may not be called here
    assert not await reported(changes, 0.2)


async def test_a_folder_that_cannot_be_watched_reports_nothing_until_it_can(tmp_path: Path):
    changes = FolderChanges([tmp_path / "later"])
    changes.open()
    assert not changes.works
    (tmp_path / "later").mkdir()
    changes.open()
    assert changes.works
    (tmp_path / "later" / "file").touch()
    assert await reported(changes)
    changes.close()
    assert not changes.works
