"""Work at the desk: a process for each order, limits that hold, and an office that may die at any time."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mqi_communicator.case.faults import CpuTimeExceeded, Permanent, Transient
from mqi_communicator.flow.workers import pool as room
from mqi_communicator.flow.workers.pool import WorkerPool

pytestmark = pytest.mark.real


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    made = WorkerPool(memory_gib=2, limit_s=60)
    yield made
    await made.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while alive(pid):  # noqa: ASYNC110 - another process, not an event of ours
            await asyncio.sleep(0.05)


def note_nothing() -> None:
    pass


def crash() -> None:
    ctypes.string_at(0)


def wrong() -> None:
    raise KeyError("DOE^JANE")


def refuse() -> None:
    raise Permanent("not this one", "send another")


def slow(note: Path) -> None:
    note.write_text(str(os.getpid()))
    time.sleep(600)


def busy() -> None:
    while True:
        pass


def idle() -> int:
    time.sleep(3)
    return 7


def brief(note: Path) -> int:
    note.write_text(str(os.getpid()))
    time.sleep(1)
    return 7


async def noted(note: Path) -> int:
    def said() -> str:
        return note.read_text() if note.exists() else ""

    async with asyncio.timeout(30):
        while not said():  # noqa: ASYNC110 - another process, not an event of ours
            await asyncio.sleep(0.05)
    return int(said())


async def test_each_order_has_a_process_of_its_own_and_all_one_office(workers: WorkerPool):
    both = await asyncio.gather(workers.run(os.getpid), workers.run(os.getpid))
    assert len({os.getpid(), *both}) == 3
    assert await workers.run(os.getppid) == await workers.run(os.getppid) != os.getpid()


async def test_faults_come_back_and_nothing_of_a_patient_with_other_errors(workers: WorkerPool):
    with pytest.raises(Permanent) as refused:
        await workers.run(refuse)
    assert (refused.value.reason, refused.value.advice) == ("not this one", "send another")
    with pytest.raises(Transient) as failed:
        await workers.run(wrong)
    assert "KeyError in wrong:" in failed.value.reason
    assert "DOE" not in failed.value.reason


async def test_a_crash_in_native_code_costs_its_order_and_no_other(workers: WorkerPool):
    crashed, fine = await asyncio.gather(workers.run(crash), workers.run(abs, -3), return_exceptions=True)
    assert isinstance(crashed, Transient)
    assert "ended without an answer" in crashed.reason
    assert fine == 3


async def test_more_memory_than_the_limit_is_refused_in_words(workers: WorkerPool):
    with pytest.raises(Permanent, match=r"more memory than resources\.worker_memory_gib"):
        await workers.run(bytearray, 3 << 30)


async def test_what_takes_too_long_is_ended(tmp_path: Path):
    workers = WorkerPool(memory_gib=2, limit_s=60)
    await workers.run(note_nothing)  # the office has loaded this module
    workers._limit = 3
    with pytest.raises(Transient, match="longer than 3 s"):
        await workers.run(slow, tmp_path / "pid")
    await gone(await noted(tmp_path / "pid"))
    assert await workers.run(abs, -3) == 3
    await workers.close()


async def test_what_takes_too_much_processor_time_is_ended_and_what_only_waits_is_not(workers: WorkerPool):
    worked, waited = await asyncio.gather(
        workers.run_within(0.5, busy), workers.run_within(0.5, idle), return_exceptions=True
    )
    assert isinstance(worked, CpuTimeExceeded)
    assert worked.reason == "busy took more than 0.5 s of processor time"
    assert waited == 7


async def test_what_is_not_wanted_any_more_is_ended(workers: WorkerPool, tmp_path: Path):
    order = asyncio.create_task(workers.run(slow, tmp_path / "pid"))
    child = await noted(tmp_path / "pid")
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
    await gone(child)


async def test_an_office_that_dies_takes_its_children_along_and_another_opens(workers: WorkerPool, tmp_path: Path):
    order = asyncio.create_task(workers.run(slow, tmp_path / "pid"))
    child = await noted(tmp_path / "pid")
    office = await workers.run(os.getppid)
    os.kill(office, signal.SIGKILL)
    with pytest.raises(Transient, match="without an answer"):
        await order
    await gone(child)
    assert await workers.run(os.getppid) != office


async def test_an_office_that_is_given_up_lets_its_children_end_their_work(workers: WorkerPool, tmp_path: Path):
    order = asyncio.create_task(workers.run(brief, tmp_path / "pid"))
    await noted(tmp_path / "pid")
    office = await workers._open()
    workers._forget()
    assert await order == 7
    assert await office.process.wait() == 0  # and it ends


async def test_an_office_closes_with_the_desk_and_when_nobody_needs_it(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(room, "_IDLE_S", 0.2)
    workers.warm_up()
    first = await workers.run(os.getppid)
    await gone(first)
    second = await workers.run(os.getppid)
    assert second != first
    await workers.close()
    await gone(second)
