"""Periodic background work: its intervals, and which exceptions end it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from mqi_communicator import background
from mqi_communicator.background import periodic
from mqi_communicator.store.database import StoreUnavailable


@pytest.fixture
def pauses(monkeypatch):
    """The pauses passed to `asyncio.sleep`, which returns at once; the sixth ends the work."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        if len(found) == 6:
            raise asyncio.CancelledError

    monkeypatch.setattr(background.asyncio, "sleep", sleep)
    return found


async def test_it_pauses_for_the_interval_unless_the_work_returns_another_pause(pauses):
    returned: Iterator[float | None] = iter([None, 3.0, 0.0, None, None])

    async def work() -> float | None:
        return next(returned)

    with suppress(asyncio.CancelledError):
        await periodic(10, work, first_s=60)
    assert pauses == [60, 10, 3, 0, 10, 10]


async def test_a_database_error_is_logged_and_the_work_is_tried_again_after_the_interval(pauses):
    async def work() -> None:
        raise StoreUnavailable("disk full")

    with capture_logs() as lines, suppress(asyncio.CancelledError):
        await periodic(10, work)
    assert pauses == [0, 10, 10, 10, 10, 10]
    assert [(line["event"], line["why"]) for line in lines] == [("database.error", "disk full")] * 5


async def test_any_other_exception_ends_it(pauses):
    async def work() -> None:
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        await periodic(10, work)
    assert pauses == [0]
