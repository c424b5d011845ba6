"""Forty cases of three beams on a scheduler cost one status query per tick, however many beams ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.flow.hosts import poller as module
from mqi_communicator.flow.hosts.poller import JobPoller
from mqi_communicator.store import jobs

CASES, BEAMS, SLOTS = 40, 3, 4
TICK_S, BEAM_S = 0.06, 0.02
RUNNING, ENDED = JobStatus(JobState.RUNNING), JobStatus(JobState.ENDED, exit_code=0)


class Translator:
    """A scheduler without text: requests and responses are what they mean."""

    tick_s = TICK_S

    def poll(self, tokens: Sequence[str], wait_s: float = 0.0) -> tuple[tuple[str, ...], float]:
        return tuple(tokens), wait_s

    def read_poll(self, tokens: Sequence[str], response: Any) -> Mapping[str, JobStatus]:
        return {token: response.statuses.get(token, JobStatus(JobState.UNKNOWN)) for token in tokens}

    def read_line(self, line: str) -> tuple[str, JobStatus]:
        return line, ENDED


@dataclass
class Response:
    statuses: dict[str, JobStatus]
    out: str = ""


@dataclass
class Queue:
    """A host whose jobs end by the clock; it counts status queries, and reports ends at once, as the host script."""

    name: str = "hpc"
    queries: int = 0
    ends: dict[str, float] = field(default_factory=dict)

    def statuses(self, tokens: Sequence[str]) -> dict[str, JobStatus]:
        now = time.monotonic()
        return {token: ENDED if self.ends[token] <= now else RUNNING for token in tokens}

    async def request(
        self, call: tuple[Sequence[str], float], *, deadline: float, on_line: Any = None, stays_s: float = 0.0
    ) -> Response:
        assert deadline > stays_s
        self.queries += 1
        (tokens, wait_s), reported = call, set[str]()
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            for token, status in self.statuses(tokens).items():
                if status is ENDED and token not in reported:
                    reported.add(token)
                    on_line(token)
            await asyncio.sleep(0.005)
        return Response(self.statuses(tokens))


class Store:
    """The rows that the poller reads: which jobs hold a slot."""

    def __init__(self) -> None:
        self.held: dict[str, jobs.JobRow] = {}

    async def read(self, ask: Any, *_: Any) -> list[jobs.JobRow]:
        assert ask is jobs.active
        return list(self.held.values())

    async def write(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> tuple[JobPoller, Queue, Store]:
    async def followed(*_: Any) -> bool:
        return False

    monkeypatch.setattr(module.JobPoller, "_is_abandoned", followed)
    queue, store = Queue(), Store()
    parts: Any = (queue, Translator(), store)
    return JobPoller(*parts, slots=SLOTS), queue, store


async def test_a_status_query_per_tick_is_enough_for_120_beams_on_four_slots(
    site: tuple[JobPoller, Queue, Store],
) -> None:
    poller, queue, store = site
    slots, ended = asyncio.Semaphore(SLOTS), 0

    async def beam(case: int, number: int) -> None:
        nonlocal ended
        token = f"case{case}-b{number}-r1"
        while slots.locked():  # as `submit` does for a beam that waits for its turn
            await poller.ensure_polled()
            await asyncio.sleep(TICK_S)
        async with slots:
            queue.ends[token] = time.monotonic() + BEAM_S
            row = jobs.JobRow(token, f"case{case}", number, 1, queue.name, "running", active=True, claimed=1.0)
            store.held[token] = row
            status = await poller.status(token)
            while status is None or status.state is not JobState.ENDED:  # as `follow` does
                await asyncio.sleep(poller.next_poll_s())
                status = await poller.status(token)
            del store.held[token]
            poller.forget(token)
            ended += 1

    began = time.monotonic()
    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        for case in range(CASES):
            for number in range(1, BEAMS + 1):
                group.create_task(beam(case, number))
    ticks = (time.monotonic() - began) / TICK_S
    await poller.close()
    assert ended == CASES * BEAMS
    assert 1 < queue.queries <= ticks + 1
