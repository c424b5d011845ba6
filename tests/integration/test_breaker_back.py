"""Two hundred cases wait for a host that comes back: they do not all knock at once, and nobody is needed."""

from __future__ import annotations

import asyncio

import pytest

from mqi_communicator.case.call import Answer, Call
from mqi_communicator.case.faults import AtLimit, Unreachable
from mqi_communicator.flow.guard import BreakerOpen, GuardedHost
from mqi_communicator.flow.options import BreakerOptions
from mqi_communicator.store.database import open_database

CALL = Call("hello")
CASES = 200


class Away:
    """A host that is away until it is back, and counts who knocks at once."""

    name = "one"

    def __init__(self) -> None:
        self.back, self.now, self.most, self.calls = False, 0, 0, 0
        self.together: list[int] = []

    async def ask(self, _call, **_how):
        self.calls += 1
        if not self.back:
            raise Unreachable("connection refused")
        self.now += 1
        self.together.append(self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        return Answer(0, "mqi-hello")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def store(tmp_path):
    database = open_database(tmp_path / "store.sqlite3")
    yield database
    database.close()


async def test_a_recovering_host_is_not_stormed_and_everybody_gets_through(store):
    options = BreakerOptions(open_s=0.2, open_cap_s=0.4, back_s=0.2)
    away, said = Away(), []
    host = GuardedHost(away, store, options, lambda event, **facts: said.append((event, facts)))

    async def case() -> None:
        while True:
            try:
                await host.ask(CALL, deadline=60)
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
    states = [facts["after"] for event, facts in said if event == "breaker.moved"]
    assert states[-1] == "closed"
    assert states.index("half_open") < len(states) - 1


async def test_a_question_that_is_meant_to_stay_is_not_slow(store):
    class Patient(Away):
        async def ask(self, _call, **_how):
            await asyncio.sleep(0.3)
            return Answer(0, "")

    options = BreakerOptions(slow_calls=1, slow_share=0.5)
    host = GuardedHost(Patient(), store, options, lambda *_args, **_facts: None)
    await host.ask(CALL, deadline=1.4, stays_s=0.3)
    assert host.breakers["commands"].state == "closed"
