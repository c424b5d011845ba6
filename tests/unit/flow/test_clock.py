"""Pauses are kept by the wall clock: when it is set back, no item waits for a time far ahead."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.options import ResourceOptions, RetryOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps.admit import admit
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.scan import scan_folder
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.database import open_database

NOW = 1_800_000_000.0
WAITING = WorkItem("k1", CASE_ITEM, "admit", status=Status.WAITING, due=NOW + 3600, since=NOW)


@pytest.fixture
def site(tmp_path):
    """A case whose folder is missing, and the tools of its steps."""
    database = open_database(tmp_path / "store.sqlite3")
    database.write_now(cases.add, cases.Case("k1", tmp_path / "case 1", NOW, "f1"))
    database.write_now(work_items.add, WAITING, Event(NOW, "k1", CASE_ITEM, "case.seen"))
    made = SimpleNamespace(now=NOW, database=database, resources=ResourceOptions(), intake=IntakeOptions())
    made.clock, made.emit, made.spool = lambda: made.now, lambda *_, **__: None, lambda key: Spool(tmp_path / key)
    made.workers = SimpleNamespace(warm_up=lambda: None)
    yield made
    database.close()


async def looked_at(driver, site):
    """Whether the waiting item is checked within a few ticks."""
    for _ in range(5):
        await driver.tick()
        if "its folder is missing" in site.database.read_now(work_items.get, "k1").reason:
            return True
    return False


async def test_a_pause_is_kept_while_the_clock_is_right(site):
    driver = Driver(site, RetryOptions(), lambda _: None)
    await driver.tick()
    wait_again(site)
    assert not await looked_at(driver, site)


async def test_a_clock_that_is_set_back_ends_every_pause(site):
    driver = Driver(site, RetryOptions(), lambda _: None)
    await driver.tick()
    wait_again(site)
    site.now -= 1800
    assert await looked_at(driver, site)


async def test_at_the_start_every_waiting_item_is_checked(site):
    assert await looked_at(Driver(site, RetryOptions(), lambda _: None), site)


def wait_again(site):
    """Let the item wait for an hour."""
    item = site.database.read_now(work_items.get, "k1")
    waiting = replace(item, status=Status.WAITING, due=site.now + 3600, reason="")
    site.database.write_now(work_items.move, replace(item, due=item.due), waiting, None)


async def test_a_folder_that_changed_in_the_future_has_changed_now(site, tmp_path):
    (tmp_path / "case 1").mkdir()
    seen = scan_folder(tmp_path / "case 1", 100).fingerprint
    site.database.write_now(cases.change, "k1", fingerprint=seen, changed=NOW + 3600)
    await admit(replace(WAITING, status=Status.READY), site)
    assert site.database.read_now(cases.get, "k1").changed == NOW


async def test_a_folder_first_seen_in_the_future_is_registered_once_when_it_changes(site, tmp_path):
    """A fault round found it: after the clock had been fast, each scan made another case of the folder."""
    folder = tmp_path / "case 1"
    folder.mkdir()
    site.database.write_now(cases.change, "k1", seen=NOW + 3600)
    site.database.write_now(work_items.move, WAITING, replace(WAITING, status=Status.DONE), None)
    assert len(await register_arrivals([folder], site)) == 1
    assert len(await register_arrivals([folder], site)) == 0
    (folder / "another").touch()
    assert len(await register_arrivals([folder], site)) == 1
    assert len(await register_arrivals([folder], site)) == 0
