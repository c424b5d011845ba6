"""A step is begun for what a line is, not for what it was when the due ones were read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqi_communicator.case.model import CASE_LINE, Event, Line
from mqi_communicator.case.outcome import Done, Wait
from mqi_communicator.flow import driver as driving
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.options import ResourceOptions, RetryOptions
from mqi_communicator.flow.steps import Step
from mqi_communicator.store import audit, cases, lines
from mqi_communicator.store.database import open_database

NOW = 1_800_000_000.0


@pytest.fixture
def site(tmp_path):
    """What steps are handed; a store without a case."""
    database = open_database(tmp_path / "store.sqlite3")
    yield SimpleNamespace(
        database=database, resources=ResourceOptions(desk=4), clock=lambda: NOW, ear=lambda *_, **__: None
    )
    database.close()


def add(site, key: str, rank: float) -> None:
    site.database.write_now(cases.add, cases.Case(key, Path("/watch", key), NOW, key, rank=rank))
    line = Line(key, CASE_LINE, "admit", due=NOW, since=NOW)
    site.database.write_now(lines.add, line, Event(NOW, key, CASE_LINE, "case.seen"))


@pytest.mark.parametrize("uses", ["desk", ""])
async def test_looking_again_and_finding_the_same_is_no_news(site, monkeypatch, uses):
    """An hour's outage with many cases waiting showed it: each look of an upload was one more event of its case."""
    looks, told, heard = 0, [], []

    async def work(_line, _tools):
        nonlocal looks
        looks += 1
        return Wait(0.0, "waiting for a place" if looks < 4 else "waiting for the host")

    step = Step("admit", uses, 60.0, "being tested")
    monkeypatch.setattr(driving, "step_of", lambda _line: step)
    monkeypatch.setitem(driving.PERFORM, step.name, work)
    site.ear = lambda name, **_: told.append(name)
    driver = Driver(site, RetryOptions(), lambda event: heard.append(event.why))
    add(site, "k1", rank=1)
    while looks < 6:
        await driver.tick()
        await asyncio.sleep(0)
    await driver.stop()
    assert told == ["step.begin"]
    assert heard == ["waiting for a place", "waiting for the host"]
    assert len(site.database.read_now(audit.history, "k1")) == 3


async def test_what_has_ended_while_another_was_begun_is_not_begun_as_it_was(site, monkeypatch):
    begun: list[tuple[str, str]] = []
    may_end = asyncio.Event()

    async def work(line, _tools):
        begun.append((line.case, line.step))
        await (may_end.wait() if line.case == "slow" and line.step == "admit" else asyncio.Event().wait())
        return Done({})

    step = Step("admit", "desk", 60.0, "being tested")
    monkeypatch.setattr(driving, "step_of", lambda _line: step)
    monkeypatch.setitem(driving.PERFORM, step.name, work)
    driver = Driver(site, RetryOptions(), lambda _: None)
    up_to_date = driver._up_to_date

    async def while_the_other_ends(line):
        if line.case == "first":
            may_end.set()
            await asyncio.wait([driver._flight["slow", CASE_LINE]])
            await asyncio.sleep(0)  # for what it calls back
        return await up_to_date(line)

    monkeypatch.setattr(driver, "_up_to_date", while_the_other_ends)
    add(site, "slow", rank=2)
    await driver.tick()
    add(site, "first", rank=1)
    await driver.tick()
    await driver.tick()
    await driver.stop()
    assert begun.count(("slow", "admit")) == 1
    assert ("slow", "prepare") in begun
    assert ("first", "admit") in begun
