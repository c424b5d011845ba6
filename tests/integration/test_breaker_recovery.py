"""Two hundred cases wait for a host that recovers: they do not all call at once, and no action is required."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mqi_communicator.case.faults import AbsurdAnswer, AtLimit, Fault, Unreachable
from mqi_communicator.case.model import CASE_ITEM, Event, Status, WorkItem
from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.flow.hosts.breaker import Breaker
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.hosts.guard import BreakerOpen, GuardedHost
from mqi_communicator.flow.hosts.poller import JobPoller
from mqi_communicator.flow.options import BreakerOptions, ResourceOptions, RetryOptions
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.steps.upload import upload
from mqi_communicator.flow.transitions.decide import decide
from mqi_communicator.remote.workspace import SUMS
from mqi_communicator.store import cases, work_items
from mqi_communicator.store.database import open_database

CALL = RemoteRequest("hello")
CASES = 200


class Away:
    """A host that is unreachable until `back`, and counts concurrent calls."""

    name = "one"

    def __init__(self) -> None:
        self.back, self.now, self.most, self.calls = False, 0, 0, 0
        self.together: list[int] = []

    async def request(self, _call, **_how):
        self.calls += 1
        if not self.back:
            raise Unreachable("connection refused")
        self.now += 1
        self.together.append(self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        return RemoteResponse(0, "mqi-hello")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def store(tmp_path):
    database = open_database(tmp_path / "store.sqlite3")
    yield database
    database.close()


async def test_a_recovering_host_is_not_overloaded_and_every_call_succeeds(store):
    options = BreakerOptions(open_s=0.2, open_cap_s=0.4, back_s=0.2)
    away, events = Away(), []
    host = GuardedHost(away, store, options, lambda event, **facts: events.append((event, facts)))

    async def case() -> None:
        while True:
            try:
                await host.request(CALL, deadline=60)
            except (BreakerOpen, AtLimit) as held:
                await asyncio.sleep(held.retry_in or 0.1)
            except Unreachable:
                await asyncio.sleep(0.1)
            else:
                return

    waiting = [asyncio.create_task(case()) for _ in range(CASES)]
    async with asyncio.timeout(60):
        while host.breakers["commands"].openings < 2:  # noqa: ASYNC110 - time must pass
            await asyncio.sleep(0.05)
    knocks = away.calls
    again = GuardedHost(away, store, options, lambda *_args, **_facts: None)
    assert again.breakers["commands"].state != "closed", "a restart does not forget"
    away.back = True
    async with asyncio.timeout(100):
        await asyncio.gather(*waiting)
    assert knocks < CASES + 20, "while it was away few asked more than once"
    assert away.together[:1] == [1], "one probe first"
    assert max(away.together[:3]) <= 4
    states = [facts["after"] for event, facts in events if event == "breaker.state_changed"]
    assert states[-1] == "closed"
    assert states.index("half_open") < len(states) - 1


async def test_a_request_that_waits_on_the_host_is_not_slow(store):
    class Patient(Away):
        async def request(self, _call, **_how):
            await asyncio.sleep(0.3)
            return RemoteResponse(0, "")

    options = BreakerOptions(slow_calls=1, slow_share=0.5)
    host = GuardedHost(Patient(), store, options, lambda *_args, **_facts: None)
    await host.request(CALL, deadline=1.4, stays_s=0.3)
    assert host.breakers["commands"].state == "closed"


async def test_absurd_answers_are_the_hosts_fault_and_open_its_breaker(store):
    class Flooding(Away):
        async def request(self, _call, **_how):
            self.calls += 1
            raise AbsurdAnswer("the response is longer than 32 MiB")

    flooding, events = Flooding(), []
    options = BreakerOptions(failures=3)
    host = GuardedHost(flooding, store, options, lambda event, **facts: events.append((event, facts)))
    met = []
    for _ in range(10):
        with pytest.raises(Fault) as fault:
            await host.request(CALL, deadline=60)
        met.append(fault.value)
    assert flooding.calls == 3
    assert host.breakers["commands"].state == "open"
    assert [facts["outcome"] for event, facts in events if event == "remote.call"] == ["absurd"] * 3
    item = WorkItem("k1", CASE_ITEM, "upload", tries=7)
    retry = RetryOptions()
    moved = [decide(item, fault, 1.0, after=None, retry=retry, chance=0.0)[0] for fault in met]
    assert {one.status for one in moved} == {Status.WAITING}
    assert moved[0].needs_person


@pytest.fixture
def site(store, tmp_path):
    """The tools of an upload; one case may be on the only host, which is unreachable."""
    guarded = GuardedHost(Away(), store, BreakerOptions(), lambda *_args, **_facts: None)
    poller = JobPoller(guarded, DirectScheduler("/remote"), store)
    host = ComputeHost("one", guarded, DirectScheduler("/remote"), poller, "/remote", slots=1, gpus=None)

    async def host_of(_key):
        return host

    return SimpleNamespace(
        database=store,
        hosts={"one": host},
        host_of=host_of,
        spool=lambda key: Spool(tmp_path / key),
        resources=ResourceOptions(cases=1),
        clock=time.time,
    )


def to_upload(site, key: str, host: str) -> WorkItem:
    """A case that is ready to be uploaded."""
    spool, item = site.spool(key), WorkItem(key, CASE_ITEM, "upload")
    for folder in (spool.input, spool.case):
        folder.mkdir(parents=True)
    (spool.input / SUMS).touch()
    spool.manifest.write_text(json.dumps({"content": "", "lineage": "", "beams": [[1, "AP"]], "files": []}))
    site.database.write_now(cases.add, cases.Case(key, Path("/in", key), 1.0, key, host=host))
    site.database.write_now(work_items.add, item, Event(1.0, key, CASE_ITEM, "x"))
    return item


async def test_of_two_cases_assigned_at_once_one_gets_the_last_slot(site):
    both = [upload(to_upload(site, key, ""), site) for key in ("k1", "k2")]
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["AtLimit", "Unreachable"]
    assert sorted(case.host for case in site.database.read_now(cases.all_cases)) == ["", "one"]


async def test_cases_on_a_host_probe_its_paused_transfers(site):
    """More cases than the limit, as after it was lowered: if it delayed them, no call would find the host back."""
    site.hosts["one"].guarded.breakers["bulk"] = Breaker("open", why="no route")
    both = [upload(to_upload(site, key, "one"), site) for key in ("k1", "k2")]
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert [type(end).__name__ for end in ends] == ["Unreachable", "Unreachable"]


async def test_a_case_whose_host_was_removed_before_its_beams_began_goes_to_the_one_that_is_left(site):
    with pytest.raises(Unreachable):
        await upload(to_upload(site, "k1", "removed"), site)
    assert (await site.database.read(cases.get, "k1")).host == "one"
