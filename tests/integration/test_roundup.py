"""What the roundup says of a job is never older than its submission, and all jobs cost one remote command."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mqi_communicator.case.model import CASE_LINE, Event, Line
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.flow.guard import GuardedHost
from mqi_communicator.flow.options import BreakerOptions
from mqi_communicator.flow.roundup import Roundup
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.stage import workspace
from mqi_communicator.store import cases, jobs, lines
from mqi_communicator.store.database import open_database

pytestmark = pytest.mark.real
KEY = "abcdefgh2345"


@pytest.fixture
def store(tmp_path):
    database = open_database(tmp_path / "store.sqlite3")
    database.write_now(cases.add, cases.Case(KEY, Path("/in/x"), 1.0, "f"))
    for beam in (CASE_LINE, 1, 2, 3):
        step = "compare" if beam == CASE_LINE else "submit"
        database.write_now(lines.add, Line(KEY, beam, step), Event(1.0, KEY, beam, "x"))
    yield database
    database.close()


@pytest.fixture
async def ground(tmp_path, store):
    calls = []

    def ear(event, **_facts):
        calls.append(event)

    host = GuardedHost(LocalHost(LocalOptions()), store, BreakerOptions(), ear)
    root = str(tmp_path / "remote")
    await host.run(workspace(root), deadline=30)
    calls.clear()
    yield Roundup(host, DirectScheduler(root), store, every_s=0.2), calls
    await host.close()


def claim(store, beam: int) -> str:
    token = f"{KEY}-b{beam}-r1"
    row = jobs.JobRow(token, KEY, beam, 1, "local", "claimed", active=True, claimed=1.0)
    assert store.write_now(jobs.claim, row, 9) == 0
    return token


async def test_a_job_that_is_only_just_being_submitted_is_not_called_absent(store, ground):
    roundup, _calls = ground
    token = claim(store, 1)
    await roundup.tend()  # somebody else waits for a place, while the submission is on its way
    store.write_now(jobs.change, token, state=JobState.QUEUED.value)
    assert await roundup.look(token) is None


async def test_many_jobs_cost_one_command_a_tick(store, ground):
    roundup, calls = ground
    tokens = [claim(store, beam) for beam in (1, 2, 3)]
    for token in tokens:
        store.write_now(jobs.change, token, state=JobState.QUEUED.value)
    seen = await asyncio.gather(*(roundup.look(token) for token in tokens * 5))
    assert {status.state for status in seen if status} == {JobState.ABSENT}
    assert calls.count("remote.call") == 1, json.dumps(calls)
