"""A step is started for the current state of an item, not for the state when the due ones were read."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.outcome import Done, Wait
from mqi_communicator.flow import driver as driving
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.options import ResourceOptions, RetryOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps.table import Step
from mqi_communicator.flow.transitions.apply import apply_order
from mqi_communicator.flow.transitions.record import record_outcome
from mqi_communicator.store import audit, cases, orders, work_items
from mqi_communicator.store.database import open_database

NOW = 1_800_000_000.0


@pytest.fixture
def site(tmp_path):
    """The tools of steps; a store without a case."""
    database = open_database(tmp_path / "store.sqlite3")
    yield SimpleNamespace(
        database=database, resources=ResourceOptions(workers=4), clock=lambda: NOW, emit=lambda *_, **__: None
    )
    database.close()


def add(site, key: str, rank: float) -> None:
    site.database.write_now(cases.add, cases.Case(key, Path("/watch", key), NOW, key, rank=rank))
    item = WorkItem(key, CASE_ITEM, "admit", due=NOW, since=NOW)
    site.database.write_now(work_items.add, item, Event(NOW, key, CASE_ITEM, "case.seen"))


@pytest.mark.parametrize("limit", ["comparisons", ""])
async def test_a_check_with_the_same_result_writes_no_event(site, monkeypatch, limit):
    """An hour's outage with many waiting cases showed it: each check of an upload was one more event of its case."""
    polls, emitted, reasons = 0, [], []

    async def work(_line, _tools):
        nonlocal polls
        polls += 1
        return Wait(0.0, "waiting for a slot" if polls < 4 else "waiting for the host")

    step = Step("admit", limit, 60.0, "being tested")
    monkeypatch.setattr(driving, "step_of", lambda _line: step)
    monkeypatch.setitem(driving.PERFORM, step.name, work)
    site.emit = lambda name, **_: emitted.append(name)
    driver = Driver(site, RetryOptions(), lambda event: reasons.append(event.why))
    add(site, "k1", rank=1)
    while polls < 6:
        await driver.tick()
        await asyncio.sleep(0)
    await driver.stop()
    assert emitted == ["step.started"]
    assert reasons == ["waiting for a slot", "waiting for the host"]
    assert len(site.database.read_now(audit.history, "k1")) == 3


async def test_an_item_that_ended_since_the_due_ones_were_read_is_not_started(site, monkeypatch):
    begun: list[tuple[str, str]] = []
    may_end = asyncio.Event()

    async def work(item, _tools):
        begun.append((item.case, item.step))
        await (may_end.wait() if item.case == "slow" and item.step == "admit" else asyncio.Event().wait())
        return Done({})

    step = Step("admit", "comparisons", 60.0, "being tested")
    monkeypatch.setattr(driving, "step_of", lambda _line: step)
    monkeypatch.setitem(driving.PERFORM, step.name, work)
    driver = Driver(site, RetryOptions(), lambda _: None)
    shown_as_running = driver._shown_as_running

    async def while_the_other_ends(item):
        if item.case == "first":
            may_end.set()
            await asyncio.wait([driver._tasks["slow", CASE_ITEM]])
            await asyncio.sleep(0)  # for what it calls back
        return await shown_as_running(item)

    monkeypatch.setattr(driver, "_shown_as_running", while_the_other_ends)
    add(site, "slow", rank=2)
    await driver.tick()
    add(site, "first", rank=1)
    await driver.tick()
    await driver.tick()
    await driver.stop()
    assert begun.count(("slow", "admit")) == 1
    assert ("slow", "prepare") in begun
    assert ("first", "admit") in begun


async def test_a_beam_checked_before_its_case_left_the_upload_is_checked_again_at_once(site, monkeypatch):
    """It saw the case at `upload`, the case continued and woke it before its check ended: the wake-up counts."""
    clock = itertools.count(int(NOW))
    site.clock = lambda: float(next(clock))
    checked, left = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def work(item, tools):
        if item.beam == CASE_ITEM:
            if item.step == "upload":
                tools.database.write_now(work_items.add_beam, WorkItem(item.case, 1, "submit", due=NOW, since=NOW))
                await checked.wait()
                return Done({})
            left.set()
            return Wait(600.0, "its beams compute", parked=True)
        seen.append(tools.database.read_now(work_items.get, item.case).step)
        checked.set()
        await left.wait()
        return Wait(600.0, "waiting for the case", parked=True)

    monkeypatch.setattr(
        driving, "step_of", lambda _line: SimpleNamespace(name="any", limit="", limit_s=60.0, only_polls=False)
    )
    monkeypatch.setattr(driving, "PERFORM", {"any": work})
    driver = Driver(site, RetryOptions(), lambda _: None)
    site.database.write_now(cases.add, cases.Case("k1", Path("/watch/k1"), NOW, "k1", rank=1))
    item = WorkItem("k1", CASE_ITEM, "upload", due=NOW, since=NOW)
    site.database.write_now(work_items.add, item, Event(NOW, "k1", CASE_ITEM, "case.seen"))
    for _ in range(20):
        await driver.tick()
        if len(seen) > 1 or await driver.idle_reason():
            break
    await driver.stop()
    assert seen == ["upload", "compare"]


async def test_an_item_that_is_due_soon_does_not_wait_behind_one_that_runs(site, monkeypatch):
    """The running one is due as well, and longer: only what becomes due later ends the wait."""
    begun: list[str] = []

    async def work(item, _tools):
        begun.append(item.case)
        await asyncio.Event().wait()
        return Done({})

    monkeypatch.setitem(driving.PERFORM, "admit", work)
    monkeypatch.setattr(driving, "TICK_S", 3600.0)
    site.resources, site.clock = ResourceOptions(admissions=2), time.time
    driver = Driver(site, RetryOptions(), lambda _: None)
    await driver._handle_clock_step()  # at the start everything is due
    for key, due_in in (("running", -1.0), ("soon", 1.0)):
        site.database.write_now(cases.add, cases.Case(key, Path("/watch", key), NOW, key, rank=1))
        item = WorkItem(key, CASE_ITEM, "admit", Status.WAITING, due=time.time() + due_in, since=NOW)
        site.database.write_now(work_items.add, item, Event(NOW, key, CASE_ITEM, "case.seen"))
    async with asyncio.timeout(60):
        await driver.tick()
    driver.wake()
    await driver.tick()
    assert begun == ["running", "soon"]
    await driver.stop()


@pytest.mark.parametrize("wake", ["beams", "step"])
def test_a_wake_up_of_an_item_under_way_is_not_lost(site, wake):
    """It is due, so it is being checked; the result of that check is older than the wake-up."""
    add(site, "k1", rank=1)
    site.database.write_now(work_items.add_beam, WorkItem("k1", 1, "submit", due=NOW, since=NOW))
    before = site.database.read_now(work_items.get, "k1", 1)
    if wake == "beams":
        site.database.write_now(work_items.wake_beams, "k1", NOW + 1)
    else:
        site.database.write_now(work_items.wake_step, "submit", NOW + 1)
    after = replace(before, status=Status.WAITING, due=NOW + 60)
    site.database.write_now(work_items.move, before, after, None)
    assert site.database.read_now(work_items.get, "k1", 1).due == NOW + 1


async def test_no_verdict_waits_for_an_admission_or_a_report_and_urgent_cases_go_first(site, monkeypatch):
    site.resources = ResourceOptions(workers=1, admissions=1, transfers=3)
    begun: list[str] = []

    async def work(item, _tools):
        begun.append(item.case)
        await asyncio.Event().wait()
        return Done({})

    for step in ("admit", "compare", "report"):
        monkeypatch.setitem(driving.PERFORM, step, work)
    driver = Driver(site, RetryOptions(), lambda _: None)
    for step in ("report", "admit", "compare"):
        for rank, priority in enumerate(("urgent", "routine")):
            key = f"{priority} {step}"
            site.database.write_now(cases.add, cases.Case(key, Path("/watch", key), NOW, key, rank=rank))
            item = WorkItem(key, CASE_ITEM, step, due=NOW, since=NOW)
            site.database.write_now(work_items.add, item, Event(NOW, key, CASE_ITEM, "case.seen"))
    await driver.tick()
    await asyncio.sleep(0)
    assert sorted(begun) == ["urgent admit", "urgent compare", "urgent report"]
    assert driver.in_use == {"admissions": 1, "preparations": 0, "comparisons": 1, "reports": 1, "transfers": 0}
    assert driver.limits == {"admissions": 1, "preparations": 1, "comparisons": 1, "reports": 1, "transfers": 3}
    reasons = {step: site.database.read_now(work_items.get, f"routine {step}").reason for step in ("admit", "report")}
    assert reasons == {
        "admit": "waiting for other admissions to finish (resources.admissions = 1)",
        "report": "waiting for other reports to finish (resources.workers = 1)",
    }
    await driver.stop()


async def test_a_wait_for_other_steps_changes_no_event(site, monkeypatch):
    """With many waiting cases, one waits for another's step between two checks, and finds what it found before."""
    site.resources = ResourceOptions(workers=4, transfers=1)
    polls = dict.fromkeys(("k1", "k2"), 0)
    events: list[Event] = []

    async def work(item, _tools):
        polls[item.case] += 1
        await asyncio.sleep(0.01)
        return Wait(0.01, "waiting for the host")

    began = time.monotonic()
    site.clock = lambda: NOW + time.monotonic() - began
    monkeypatch.setattr(driving, "step_of", lambda _line: Step("admit", "transfers", 60.0, "being tested"))
    monkeypatch.setitem(driving.PERFORM, "admit", work)
    driver = Driver(site, RetryOptions(), events.append)
    for key in polls:
        add(site, key, rank=1)
    queued = set()
    async with asyncio.timeout(60):
        while min(polls.values()) < 4:
            await driver.tick()
            queued |= {site.database.read_now(work_items.get, key).reason.split(" (")[0] for key in polls}
    await driver.stop()
    assert "waiting for other transfers to finish" in queued
    assert sorted((event.case, event.why) for event in events) == [(key, "waiting for the host") for key in polls]


def test_the_end_of_a_case_makes_the_first_due_that_waits_without_a_host(site):
    for key, rank, host in (("ends", 1, "gpu1"), ("sent", 2, "gpu1"), ("second", 4, ""), ("first", 3, "")):
        step, status = ("tidy", Status.READY) if key == "ends" else ("upload", Status.WAITING)
        site.database.write_now(cases.add, cases.Case(key, Path("/watch", key), NOW, key, rank=rank, host=host))
        item = WorkItem(key, CASE_ITEM, step, status, due=NOW + 500, since=NOW)
        site.database.write_now(work_items.add, item, Event(NOW, key, CASE_ITEM, "case.seen"))
    before = site.database.read_now(work_items.get, "ends")
    after = replace(before, status=Status.DONE, due=NOW)
    site.database.write_now(record_outcome, before, after, None, Done({}))
    due = {key: site.database.read_now(work_items.get, key).due - NOW for key in ("sent", "second", "first")}
    assert due == {"sent": 500, "second": 500, "first": 0}


def test_a_job_that_is_declared_lost_makes_the_beams_due_that_wait_for_its_slot(site, tmp_path):
    for key, rank in (("lost", 1), ("next", 2)):
        add(site, key, rank)
        step = "follow" if key == "lost" else "submit"
        item = WorkItem(key, 1, step, Status.WAITING, due=NOW + 100, since=NOW)
        site.database.write_now(work_items.add_beam, item)
    number = site.database.write_now(orders.add, at=NOW, case="lost", beam=1, order="lost", who="ann", why="it is dead")
    order = site.database.read_now(orders.get, number)
    site.database.write_now(apply_order, order, Spool(tmp_path / "spool/lost"), NOW, 3600.0)
    assert site.database.read_now(work_items.get, "next", 1).due == NOW
