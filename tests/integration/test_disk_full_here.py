"""A disk here that is full, or can only be read, is waited for with words: no case fails, no stack trace shows."""
# ruff: noqa: ASYNC240 - a step that writes

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mqi_communicator.case.faults import ActionRequired, DiskFull
from mqi_communicator.flow.hosts.guard import guarded
from mqi_communicator.flow.workers.pool import WorkerPool
from mqi_communicator.store.database import open_database
from mqi_communicator.store.ownership import StoreLock

FULL = Path("/dev/full")  # every write to it finds no space


def emit(*_words, **_facts):
    pass


async def test_a_step_that_finds_no_space_waits_for_it():
    async def step():
        FULL.write_bytes(b"x")

    outcome = await guarded(step(), 10, emit)
    assert isinstance(outcome, DiskFull), outcome
    assert "paths.workspace" in outcome.advice


async def test_a_step_that_may_not_write_asks_for_a_person():
    async def step():
        raise OSError(errno.EROFS, "Read-only file system")

    outcome = await guarded(step(), 10, emit)
    assert isinstance(outcome, ActionRequired), outcome
    assert "Read-only file system" in outcome.reason


async def test_work_at_the_desk_that_finds_no_space_waits_for_it():
    workers = WorkerPool(memory_gib=4, limit_s=120)
    with pytest.raises(DiskFull, match="no space left"):
        await workers.run(Path.write_bytes, FULL, b"x")


def test_the_store_is_taken_though_its_holder_cannot_be_written_down(tmp_path):
    database = open_database(tmp_path / "store.sqlite3")
    lock = StoreLock(FULL)
    lock.take(database)
    assert database.epoch == 1
    lock.release()
    database.close()


def test_a_lock_file_that_cannot_be_made_is_told_in_words(tmp_path):
    database = open_database(tmp_path / "store.sqlite3")
    with pytest.raises(ActionRequired, match="lock file"):
        StoreLock(tmp_path / "not there" / "owner.lock").take(database)
    database.close()
