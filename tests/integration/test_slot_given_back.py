"""A beam whose job cannot be submitted gives its slot back: the next one gets it, unless the same would befall it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.spooled import shut, spooled, two_hosts

from mqi_communicator.app import App
from mqi_communicator.case.faults import ActionRequired, Fault, Permanent
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.request import GpuInUse
from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.flow.steps.submit import submit
from mqi_communicator.store import cases, jobs, work_items

FIRST, SECOND = "firstcase234", "secondcase23"
LATER = 9e9


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    """Two cases on host `one`, each with a beam that waits for its turn."""
    made = two_hosts(tmp_path)
    for rank, key in enumerate((FIRST, SECOND), start=1):
        case = spooled(made, key, content=key)
        made.tools.spool(key).recipe.write_text(json.dumps(dict(made.tools.preparer.recipe())))
        made.tools.spool(key).sent_to.write_text("one")
        made.database.write_now(cases.add, case)
        made.database.write_now(cases.change, key, host="one", rank=float(rank))
        own = WorkItem(key, CASE_ITEM, "compare")
        made.database.write_now(work_items.add, own, Event(1.0, key, CASE_ITEM, "case.seen"))
        made.database.write_now(work_items.add_beam, WorkItem(key, 1, "submit", Status.WAITING, due=LATER))
        row = jobs.JobRow(f"{key}-b1-r1", key, 1, 1, "one", jobs.WANTED, active=False, claimed=1.0)
        made.database.write_now(jobs.claim, row, jobs.HostCapacity(0))
    yield made
    await shut(made)


@pytest.mark.parametrize(
    ("fault", "next_is_due"),
    [
        (Permanent("no such engine"), True),
        (ActionRequired("no key"), False),
        (GpuInUse("GPU 0 has 9 GiB in use"), False),
    ],
)
async def test_the_next_beam_is_due_only_if_the_first_has_failed_for_good(app: App, monkeypatch, fault, next_is_due):
    host = app.tools.hosts["one"]

    async def refuse(*_, **__):
        raise fault

    async def nothing(token):
        return {token: JobStatus(JobState.ABSENT, "")}

    monkeypatch.setattr(type(host.guarded), "request", refuse)
    monkeypatch.setattr(type(host.poller), "poll", lambda _self, token: nothing(token))
    with contextlib.suppress(Fault):
        await submit(WorkItem(FIRST, 1, "submit"), app.tools)
    first, second = (app.database.read_now(work_items.get, key, 1).due for key in (FIRST, SECOND))
    assert first == LATER, "its own step has just been tried"
    assert (second < LATER) == next_is_due
    assert not app.database.read_now(jobs.active, "one")
