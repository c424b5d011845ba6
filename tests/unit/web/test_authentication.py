"""Passwords are checked one at a time, and each attempt counts, however it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from mqi_communicator.web import authentication
from mqi_communicator.web.authentication import check_password
from mqi_communicator.web.throttle import FREE, Throttle


class Hashing:
    """Takes the place of the hash, which needs 64 MiB: counts how many run at once, and waits to be released."""

    def __init__(self):
        self.running, self.most = 0, 0
        self.released = threading.Event()

    def __call__(self, _user, _password):
        self.running += 1
        self.most = max(self.most, self.running)
        self.released.wait(10)
        self.running -= 1
        return False


@pytest.fixture
def hashing(monkeypatch):
    found = Hashing()
    monkeypatch.setattr(authentication, "password_matches", found)
    monkeypatch.setattr(authentication, "_one_at_a_time", asyncio.Lock())
    yield found
    found.released.set()


@pytest.fixture
def context():
    return SimpleNamespace(users=SimpleNamespace(users=dict), signing_in=0, throttle=Throttle())


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.001)


async def test_one_password_is_hashed_at_a_time(hashing, context):
    attempts = [asyncio.create_task(check_password(context, name, "x", "")) for name in ("ann", "ben", "cleo")]
    await until(lambda: context.signing_in == len(attempts) and hashing.running)
    hashing.released.set()
    assert [attempt.user for attempt in await asyncio.gather(*attempts)] == [None] * 3
    assert hashing.most == 1


async def test_an_attempt_that_is_broken_off_counts(hashing, context):
    for _ in range(FREE["name"]):
        hashing.released.clear()
        attempt = asyncio.create_task(check_password(context, "ann", "x", ""))
        await until(lambda: hashing.running)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        hashing.released.set()
        await until(lambda: not hashing.running)
    assert context.throttle.pause("ann", "", time.monotonic()) > 0
    assert (await check_password(context, "ann", "x", "")).pause_s > 0
    assert context.signing_in == 0
