"""The poller's report on a job is never older than its submission, and all jobs cost one remote command."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqi_communicator.case.faults import Unreachable
from mqi_communicator.case.model import CASE_ITEM, Event, WorkItem
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.hosts.guard import GuardedHost
from mqi_communicator.flow.hosts.poller import JobPoller
from mqi_communicator.flow.options import BreakerOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps import follow as following
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.workspace import SUMS, sums_text, workspace
from mqi_communicator.store import cases, jobs, work_items
from mqi_communicator.store.database import open_database

pytestmark = pytest.mark.real
KEY = "pollercase22"


@pytest.fixture
def store(tmp_path):
    database = open_database(tmp_path / "store.sqlite3")
    database.write_now(cases.add, cases.Case(KEY, Path("/in/x"), 1.0, "f"))
    for beam in (CASE_ITEM, 1, 2, 3):
        step = "compare" if beam == CASE_ITEM else "submit"
        database.write_now(work_items.add, WorkItem(KEY, beam, step), Event(1.0, KEY, beam, "x"))
    yield database
    database.close()


@dataclass
class Bench:
    poller: JobPoller
    host: GuardedHost
    root: str
    calls: list[str]


@pytest.fixture
async def bench(tmp_path, store):
    calls = []

    def emit(event, **facts):
        if event == "remote.call":
            calls.append(str(facts["operation"]))

    host = GuardedHost(LocalHost(LocalOptions()), store, BreakerOptions(), emit)
    root = str(tmp_path / "remote")
    await host.request(workspace(root), deadline=90)
    calls.clear()
    poller = JobPoller(host, DirectScheduler(root, DirectOptions(poll_s=1)), store)
    yield Bench(poller, host, root, calls)
    await poller.close()
    await host.close()


def claim(store, beam: int) -> str:
    token = f"{KEY}-b{beam}-r1"
    row = jobs.JobRow(token, KEY, beam, 1, "local", jobs.WANTED, active=False, claimed=1.0)
    assert isinstance(store.write_now(jobs.claim, row, jobs.HostCapacity(9)), jobs.JobRow)
    return token


async def begin(store, bench: Bench, beam: int, command: str) -> str:
    token = claim(store, beam)
    job = Job(token, Work((Program("engine", ("sh", "-c", command)),), (), 60))
    await bench.host.request(DirectScheduler(bench.root).submit(job), deadline=90)
    store.write_now(jobs.change, token, state=JobState.QUEUED.value)
    return token


def send(root: str) -> None:
    folder = Path(root) / "cases" / KEY / "input" / "common"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"x")
    (folder.parent / SUMS).write_bytes(sums_text({"common/x": hashlib.sha256(b"x").hexdigest()}))


async def test_a_job_being_submitted_does_not_count_as_absent(store, bench):
    token = claim(store, 1)
    await bench.poller.ensure_polled()  # another beam waits for a slot during the submission
    await asyncio.wait({bench.poller._polling})
    store.write_now(jobs.change, token, state=JobState.QUEUED.value)
    assert await bench.poller.status(token) is None


async def test_many_jobs_cost_one_command_per_interval(store, bench):
    send(bench.root)
    tokens = [await begin(store, bench, beam, "sleep 300") for beam in (1, 2, 3)]
    bench.calls.clear()
    began = time.monotonic()
    while time.monotonic() < began + 3.5:
        seen = await asyncio.gather(*(bench.poller.status(token) for token in tokens * 5))
        assert {status.state for status in seen if status} == {JobState.RUNNING}
    assert 1 <= bench.calls.count("poll") <= 5, json.dumps(bench.calls)
    await bench.host.request(DirectScheduler(bench.root, DirectOptions(kill_grace_s=1)).cancel(tokens), deadline=90)


async def test_an_end_is_known_at_once_while_the_poll_continues(store, bench):
    send(bench.root)
    bench.poller._interval_s = 20.0
    long, short = await begin(store, bench, 1, "sleep 300"), await begin(store, bench, 2, "sleep 1; exit 3")
    began = time.monotonic()
    status = await bench.poller.status(short)
    assert (status.state, status.exit_code) == (JobState.ENDED, 3)
    assert time.monotonic() - began < 8  # not the 20 s of the poll
    assert bench.calls.count("poll") == 0  # it has not been answered yet
    assert bench.poller._statuses[long].state is JobState.RUNNING
    await bench.host.request(DirectScheduler(bench.root, DirectOptions(kill_grace_s=1)).cancel([long]), deadline=90)


async def test_a_failed_poll_is_reported_and_the_next_one_is_tried(store, bench):
    send(bench.root)
    token = await begin(store, bench, 1, "exit 0")
    gates = Path(bench.root) / "gates"
    gates.rename(gates.with_name("away"))
    assert (await bench.poller.status(token)).state is JobState.UNKNOWN
    gates.with_name("away").rename(gates)
    await asyncio.sleep(1.1)
    assert (await bench.poller.status(token)).state is JobState.ENDED


async def test_action_is_required_only_after_a_time_of_polls_that_prove_nothing(store, bench, monkeypatch):
    """However long it has computed before: one poll without an answer is no reason."""
    monkeypatch.setattr(following, "UNKNOWN_PATIENCE_S", 1.0)
    send(bench.root)
    token = await begin(store, bench, 1, "exit 0")
    gates = Path(bench.root) / "gates"
    gates.rename(gates.with_name("away"))
    host = ComputeHost("local", bench.host, DirectScheduler(bench.root), bench.poller, bench.root, slots=9, gpus=None)

    async def host_of(_key):
        return host

    spool = Spool(Path(bench.root).parent / "spool" / KEY)
    tools = SimpleNamespace(database=store, clock=time.time, host_of=host_of, spool=lambda _key: spool)
    item = WorkItem(KEY, 1, "follow", since=time.time() - 3600)
    assert not (await following.follow(item, tools)).needs_person
    await asyncio.sleep(1.1)
    reported = await following.follow(item, tools)
    assert reported.needs_person
    assert f"mqi lost {KEY} 1" in reported.why
    assert bench.poller.unknown_s(token, JobState.RUNNING) == 0
    assert not (await following.follow(item, tools)).needs_person


async def test_an_outage_does_not_count_as_unknown_time(store, bench, monkeypatch):
    token = claim(store, 1)
    store.write_now(jobs.change, token, state=JobState.QUEUED.value)
    bench.poller.unknown_s(token, JobState.UNKNOWN)
    await asyncio.sleep(0.1)

    async def away(*_words, **_how):
        raise Unreachable("no route")

    monkeypatch.setattr(bench.host, "request", away)
    with pytest.raises(Unreachable):
        await bench.poller.status(token)
    assert bench.poller.unknown_s(token, JobState.UNKNOWN) == 0
