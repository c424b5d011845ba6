"""The driver waits without ticks while nothing happens, and acts when the store was written by another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqi_communicator.flow import driver as driving
from mqi_communicator.flow import pending_orders
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.options import ResourceOptions, RetryOptions
from mqi_communicator.store.database import open_database
from mqi_communicator.system.changes import FolderChanges

ORDER = """
import sys, time
from pathlib import Path
from mqi_communicator.store import orders
from mqi_communicator.store.database import open_database
database = open_database(Path(sys.argv[1]))
database.write_now(orders.add, at=1.0, case="k1", order="hold", who="a test", why="")
"""


@pytest.fixture
def site(tmp_path: Path):
    database = open_database(tmp_path / "store.sqlite3")
    yield SimpleNamespace(database=database, resources=ResourceOptions(), clock=time.time, emit=lambda *_, **__: None)
    database.close()


@pytest.fixture
def applied(monkeypatch) -> list[str]:
    found: list[str] = []

    async def apply(tools, order):
        found.append(order.order)
        await tools.database.write(lambda connection: connection.exec_driver_sql("DELETE FROM orders"))
        return []

    monkeypatch.setattr(pending_orders, "apply", apply)
    return found


@pytest.fixture
async def started(site, monkeypatch) -> AsyncIterator[Callable[[Path], Awaitable[Driver]]]:
    """Make a driver that is woken by changes in a folder; without them it waits for an hour."""
    monkeypatch.setattr(driving, "IDLE_TICK_S", 3600.0)
    heeding: list[asyncio.Task[None]] = []

    async def start(folder: Path) -> Driver:
        driver = Driver(site, RetryOptions(), lambda _: None, FolderChanges([folder]))
        heeding.append(asyncio.create_task(driver.heed_changes()))
        await asyncio.sleep(0)
        return driver

    yield start
    for task in heeding:
        task.cancel()
    await asyncio.gather(*heeding, return_exceptions=True)


async def test_an_order_of_another_process_ends_the_wait(started, applied, tmp_path: Path):
    driver = await started(tmp_path)
    driver.wake()
    await driver.tick()
    waiting = asyncio.create_task(driver.tick())
    words = (sys.executable, "-c", ORDER, str(tmp_path / "store.sqlite3"))
    await asyncio.to_thread(subprocess.run, words, check=True)
    async with asyncio.timeout(60):
        await waiting
        driver.wake()
        await driver.tick()
    assert applied == ["hold"]


async def test_where_the_system_reports_no_changes_there_is_a_tick_each_second(started, tmp_path: Path):
    driver = await started(tmp_path / "missing")
    async with asyncio.timeout(60):
        for _ in range(3):
            await driver.tick()


async def test_a_tick_without_work_writes_nothing_that_would_cause_the_next_one(started, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(driving, "TICK_S", 0.0)
    driver = await started(tmp_path)
    driver.wake()
    await driver.tick()
    waiting = asyncio.create_task(driver.tick())
    assert await asyncio.wait([waiting], timeout=3) == (set(), {waiting})
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
