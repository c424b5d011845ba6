"""Live streams are woken by what changes, and the store is watched only while somebody follows it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mqi_communicator.web import updates as module
from mqi_communicator.web.presence import Presence
from mqi_communicator.web.updates import Updates


def watched() -> int:
    """How many watches of inotify this process has."""
    found = [Path(f"/proc/self/fdinfo/{name}") for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    return sum(path.read_text().count("inotify wd:") for path in found if path.exists())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that is not woken lasts longer than the test may."""
    monkeypatch.setattr(module, "CHECK_S", 600.0)


@pytest.mark.usefixtures("patient")
async def test_a_write_wakes_every_follower(tmp_path: Path):
    updates = Updates(tmp_path)
    with updates.followed(), updates.followed():
        waiting = [asyncio.create_task(updates.wait(updates.next)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        (tmp_path / "store.sqlite3-wal").write_text("x")
        async with asyncio.timeout(30):
            await asyncio.gather(*waiting)


@pytest.mark.usefixtures("patient")
async def test_a_change_between_reading_and_waiting_is_not_missed(tmp_path: Path):
    updates = Updates(tmp_path)
    with updates.followed():
        change = updates.next
        updates.notify()
        async with asyncio.timeout(30):
            await updates.wait(change)


async def test_the_folder_is_watched_while_somebody_follows(tmp_path: Path):
    updates, before = Updates(tmp_path), watched()
    with updates.followed():
        with updates.followed():
            assert watched() == before + 1
        assert watched() == before + 1
    assert watched() == before
    with updates.followed():
        assert watched() == before + 1


async def test_without_reports_followers_look_each_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHECK_S", 600.0)
    monkeypatch.setattr(module, "POLL_S", 0.01)
    updates = Updates(tmp_path / "missing")
    with updates.followed():
        async with asyncio.timeout(30):
            await updates.wait(updates.next)


def test_who_opens_and_closes_a_page_of_a_case_changes_other_pages():
    versions: list[int] = []
    presence = Presence(lambda: versions.append(presence.version))
    with presence.opened("case", "vera"):
        assert versions == [1]
    with presence.opened("", "vera"):
        assert versions == [1, 2]
