"""An exception that nobody expected costs its case one try: it fails in words, and the other cases continue."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

from mqi_communicator.case.model import CASE_ITEM, Status, WorkItem
from mqi_communicator.case.outcome import Done, Wait
from mqi_communicator.demo.sample import write_sample
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.flow.arrivals import register_arrivals
from mqi_communicator.flow.driver import Driver
from mqi_communicator.flow.options import ResourceOptions, RetryOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps.functions import PERFORM
from mqi_communicator.flow.workers.pool import WorkerPool
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.database import open_database

pytestmark = pytest.mark.real

EXPECTED = {  # by the label of a plan and the name of its folder: reason and advice
    "RecursionError": ("examine failed unexpectedly: RecursionError in check:", "report this with the log"),
    "MemoryError": (
        "examine needs more memory than resources.worker_memory_gib allows",
        "raise resources.worker_memory_gib",
    ),
    "SIGABRT": ("examine crashed in native code (SIGABRT)", "report this with the log"),
}


def check(plan: IonPlan, *rest: object) -> Sequence[str]:
    """Code of ours with bugs that some plans reach."""
    match plan.label:
        case "RecursionError":
            return check(plan, *rest)
        case "MemoryError":
            return str(bytearray(3 << 30))
        case "SIGABRT":
            os.abort()
    return ()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Any]:
    """A case folder for each unexpected end, one more, and admission with nothing after it."""
    database = open_database(tmp_path / "store.sqlite3")
    watch = tmp_path / "watch"
    write_sample(watch / "sound", size="tiny")
    for name in EXPECTED:
        shutil.copytree(watch / "sound", watch / name)
        label(watch / name / "RP.dcm", name)
    emitted: list[dict[str, object]] = []
    yield SimpleNamespace(
        watch=watch,
        database=database,
        resources=ResourceOptions(),
        intake=IntakeOptions(settle_s=0, still_s=0, no_dose_still_s=0),
        workers=WorkerPool(memory_gib=2, limit_s=120),
        spool=lambda key: Spool(tmp_path / "spool" / key),
        clock=time.time,
        emit=lambda name, **facts: emitted.append({"event": name, **facts}),
        emitted=emitted,
    )
    database.close()


def label(plan: Path, text: str) -> None:
    data = pydicom.dcmread(plan)
    data.RTPlanLabel = text
    data.save_as(plan)


async def until_nothing_moves(site: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, WorkItem]:
    """Each case's work item by folder, once admission has decided about all."""

    async def admitted(*_: object) -> Wait:
        return Wait(3600.0, "admitted")

    monkeypatch.setitem(PERFORM, "prepare", admitted)
    driver = Driver(site, RetryOptions(first_s=0.01, cap_s=0.01), lambda _: None)
    async with asyncio.timeout(120):
        while any(item.status is Status.READY or item.tries for item in site.database.read_now(work_items.live)):
            await driver.tick()
    await driver.stop()
    known = site.database.read_now(cases.all_cases)
    return {case.source.name: site.database.read_now(work_items.get, case.key) for case in known}


@pytest.mark.long
async def test_a_case_fails_once_until_its_folder_changes_and_the_others_are_admitted(
    site: Any, monkeypatch: pytest.MonkeyPatch
):
    site.preparer = SimpleNamespace(refusals=check)
    folders = [site.watch / name for name in (*EXPECTED, "sound")]
    assert len(await register_arrivals(folders, site)) == 4
    found = await until_nothing_moves(site, monkeypatch)
    assert found["sound"].step == "prepare"
    for name, (reason, advice) in EXPECTED.items():
        item = found[name]
        assert item.status is Status.FAILED
        assert (item.reason[: len(reason)], item.advice.count(advice)) == (reason, 1)
        assert [one["case"] for one in site.emitted if one["event"] == "step.started"].count(item.case) == 1

    assert len(await register_arrivals(folders, site)) == 0
    label(site.watch / "RecursionError" / "RP.dcm", "changed")
    assert len(await register_arrivals(folders, site)) == 1
    assert (await until_nothing_moves(site, monkeypatch))["RecursionError"].step == "prepare"


async def test_an_outcome_that_cannot_be_recorded_fails_its_item_and_is_not_repeated(
    site: Any, monkeypatch: pytest.MonkeyPatch
):
    """Its step was repeated at once and without end: the exception left the item due."""
    tries: list[str] = []

    async def work(item: WorkItem, _tools: object) -> Done:
        tries.append(item.case)
        return Done({(1, 2): "no key of JSON"})  # type: ignore[dict-item]

    monkeypatch.setitem(PERFORM, "admit", work)
    await register_arrivals([site.watch / "sound"], site)
    found = await until_nothing_moves(site, monkeypatch)
    assert len(tries) == 1
    assert found["sound"].status is Status.FAILED
    assert found["sound"].reason == "internal error: the outcome of the step cannot be recorded (TypeError)"
    assert [one["error"] for one in site.emitted if one["event"] == "step.internal_error"] == ["TypeError"]
    assert found["sound"].beam == CASE_ITEM


async def test_an_exception_of_a_step_in_the_daemon_is_retried_a_few_times_and_fails_its_item(
    site: Any, monkeypatch: pytest.MonkeyPatch
):
    tries: list[str] = []

    async def work(item: WorkItem, _tools: object) -> Done:
        tries.append(item.case)
        raise KeyError("a name of a patient")

    monkeypatch.setitem(PERFORM, "admit", work)
    await register_arrivals([site.watch / "sound"], site)
    found = await until_nothing_moves(site, monkeypatch)
    assert len(tries) == RetryOptions().tries
    assert (found["sound"].status, found["sound"].reason) == (Status.FAILED, "internal error: KeyError (8 tries)")
    assert found["sound"].advice == "report it, with the log"
    assert "patient" not in repr(site.emitted)
