"""The worker pool: a process for each task, limits that hold, and a fork server that may die at any time."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
from tests.processes import heed_ctrl_c
from tests.seldom import seldom

from mqi_communicator.case.faults import CpuTimeExceeded, Permanent, Transient
from mqi_communicator.flow.workers import pool
from mqi_communicator.flow.workers.child import OOM_SCORE
from mqi_communicator.flow.workers.pool import WorkerPool

pytestmark = pytest.mark.real


@pytest.fixture
def workers() -> WorkerPool:
    return WorkerPool(memory_gib=2, limit_s=60)


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


def raising(error: Exception) -> None:
    raise error


def unsendable() -> object:
    return lambda: None


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


def surroundings() -> tuple[int, int, tuple[int, int], str]:
    """Niceness, umask, limit on core dumps, and what numpy's library of linear algebra reads."""
    mask = os.umask(0)
    os.umask(mask)
    return os.nice(0), mask, resource.getrlimit(resource.RLIMIT_CORE), os.environ["OPENBLAS_NUM_THREADS"]


def mapped(file: Path) -> int:
    """The length of a file that is mapped into memory."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return len(content)


def printing() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.write("DOE^JANE")
        stream.flush()


async def noted(note: Path) -> int:
    def output() -> str:
        return note.read_text() if note.exists() else ""

    async with asyncio.timeout(30):
        while not output():  # noqa: ASYNC110 - another process, not an event of ours
            await asyncio.sleep(0.05)
    return int(output())


async def test_each_task_has_a_process_of_its_own_and_all_have_one_server(workers: WorkerPool):
    both = await asyncio.gather(workers.run(os.getpid), workers.run(os.getpid))
    assert len({os.getpid(), *both}) == 3
    server = await workers.run(os.getppid)
    assert server == await WorkerPool(memory_gib=1, limit_s=60).run(os.getppid) != os.getpid()


async def test_a_task_runs_with_low_priority_and_leaves_nothing_for_others(workers: WorkerPool):
    niceness = min(os.nice(0) + 5, 19)
    assert await workers.run(surroundings) == (niceness, 0o077, (0, 0), "1")


def oom_score(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def own_oom_score() -> int:
    return oom_score("self")


async def test_without_memory_the_kernel_ends_a_worker_before_the_communicator(workers: WorkerPool):
    """OOMPolicy=continue in deploy/mqi.service relies on it. The fork server, which is small, counts as we do."""
    assert await workers.run(own_oom_score) >= OOM_SCORE > oom_score("self")
    assert oom_score(await workers.run(os.getppid)) == oom_score("self")


@pytest.mark.parametrize("inherited", [0, OOM_SCORE + 100])
def test_the_score_is_only_raised(inherited: int):
    """Lowering it takes a capability that a service does not have."""
    code = (
        f"import pathlib; own = pathlib.Path('/proc/self/oom_score_adj'); own.write_text('{inherited}')\n"
        "from mqi_communicator.system.parent import end_before_the_communicator\n"
        f"end_before_the_communicator({OOM_SCORE}); print(own.read_text())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert int(ended.stdout) == max(inherited, OOM_SCORE)


async def test_faults_come_back_and_nothing_of_a_patient_with_other_errors(workers: WorkerPool):
    with pytest.raises(Permanent) as refused:
        await workers.run(refuse)
    assert (refused.value.reason, refused.value.advice) == ("not this one", "send another")
    with pytest.raises(Permanent) as failed:
        await workers.run(wrong)
    assert "KeyError in wrong:" in failed.value.reason
    assert "DOE" not in failed.value.reason
    assert "report this" in failed.value.advice


async def test_an_answer_that_cannot_be_sent_fails_as_the_task_does(workers: WorkerPool):
    with pytest.raises(Permanent, match="unsendable failed unexpectedly"):
        await workers.run(unsendable)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "DOE"), ModuleNotFoundError("DOE")])
async def test_what_a_disk_or_the_installation_causes_may_pass(workers: WorkerPool, error: Exception):
    with pytest.raises(Transient, match=f"raising failed unexpectedly: {type(error).__name__} in raising:"):
        await workers.run(raising, error)


async def test_no_memory_for_the_system_is_no_memory(workers: WorkerPool):
    with pytest.raises(Permanent, match=r"more memory than resources\.worker_memory_gib"):
        await workers.run(raising, OSError(errno.ENOMEM, "Cannot allocate memory"))


async def test_what_a_task_prints_is_discarded(workers: WorkerPool, capfd: pytest.CaptureFixture[str]):
    await workers.run(printing)
    assert capfd.readouterr() == ("", "")


async def test_a_crash_in_native_code_fails_its_task_and_no_other(workers: WorkerPool):
    crashed, fine = await asyncio.gather(workers.run(crash), workers.run(abs, -3), return_exceptions=True)
    assert isinstance(crashed, Permanent)
    assert crashed.reason == "crash crashed in native code (SIGSEGV)"
    assert fine == 3


async def test_more_memory_than_the_limit_is_refused_in_words(workers: WorkerPool):
    with pytest.raises(Permanent, match=r"more memory than resources\.worker_memory_gib"):
        await workers.run(bytearray, 3 << 30)


async def test_a_mapped_file_counts_for_nothing_and_a_long_answer_arrives_whole(workers: WorkerPool, tmp_path: Path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(3 << 30)
    assert await workers.run(mapped, tmp_path / "large") == 3 << 30
    assert await workers.run(bytes, 20 << 20) == bytes(20 << 20)


async def test_what_takes_too_long_is_killed(workers: WorkerPool, tmp_path: Path):
    await workers.run(note_nothing)  # the fork server runs
    workers._limit = 3
    with pytest.raises(Transient, match="longer than 3 s"):
        await workers.run(slow, tmp_path / "pid")
    await gone(await noted(tmp_path / "pid"))
    assert await workers.run(abs, -3) == 3


def native() -> int:
    return sum(range(10**12))


async def test_what_takes_too_much_processor_time_is_ended_and_what_only_waits_is_not(workers: WorkerPool):
    worked, waited = await asyncio.gather(
        workers.run_within(0.5, busy), workers.run_within(0.5, idle), return_exceptions=True
    )
    assert isinstance(worked, CpuTimeExceeded)
    assert worked.reason == "busy took more than 0.5 s of processor time"
    assert waited == 7


@pytest.mark.long
async def test_native_code_that_takes_too_much_processor_time_is_refused_in_words(workers: WorkerPool):
    """It does not return to Python to be ended, and what was killed was tried again for ever."""
    workers._grace = 1
    with pytest.raises(CpuTimeExceeded, match=r"native took more than 0\.5 s of processor time"):
        await workers.run_within(0.5, native)


async def test_a_task_that_is_cancelled_is_killed(workers: WorkerPool, tmp_path: Path):
    task = asyncio.create_task(workers.run(slow, tmp_path / "pid"))
    child = await noted(tmp_path / "pid")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gone(child)


async def test_a_task_that_is_cancelled_while_its_process_starts_is_killed(
    workers: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    start, started = pool._start, []

    def starting(task: bytes) -> pool.Started:
        made = start(task)
        started.append(made[0])
        return made

    monkeypatch.setattr(pool, "_start", starting)
    await workers.run(note_nothing)
    task = asyncio.create_task(workers.run(slow, tmp_path / "pid"))
    await asyncio.sleep(0)  # the thread has it
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await workers.run(note_nothing)  # after the one that was cancelled
    await asyncio.gather(*(gone(process.pid) for process in started if process.pid))
    assert not (tmp_path / "pid").exists() or not alive(await noted(tmp_path / "pid"))


@pytest.mark.long
async def test_a_server_that_is_killed_takes_its_children_along_and_another_starts(workers: WorkerPool, tmp_path: Path):
    task = asyncio.create_task(workers.run(slow, tmp_path / "pid"))
    child = await noted(tmp_path / "pid")
    server = await workers.run(os.getppid)
    os.kill(server, signal.SIGKILL)
    assert await workers.run(os.getppid) != server
    with pytest.raises(Transient, match="without an answer"):
        await task
    await gone(child)


def loaded(name: str) -> bool:
    return name in sys.modules


@pytest.mark.long
async def test_the_server_loads_the_packages_of_the_engine_so_that_no_worker_does(workers: WorkerPool):
    killed = await workers.run(os.getppid)
    other = WorkerPool(memory_gib=2, limit_s=60, packages=["mqi_communicator.dose.mcsquare"])
    os.kill(killed, signal.SIGKILL)
    await gone(killed)
    assert await other.run(loaded, "mqi_communicator.dose.mcsquare.case")
    assert not await other.run(loaded, "mqi_communicator.dose.moqui.case")


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from mqi_communicator.flow.workers.child import OOM_SCORE
from mqi_communicator.flow.workers.pool import WorkerPool
from tests.integration.test_worker_pool import slow

async def main():
    workers = WorkerPool(memory_gib=2, limit_s=60)
    print(await workers.run(os.getppid), flush=True)
    await workers.run(slow, Path(sys.argv[1]))

asyncio.run(main())
"""


@pytest.mark.parametrize("number", seldom([signal.SIGKILL, signal.SIGINT], often=[signal.SIGKILL]))
async def test_the_server_and_the_children_die_with_the_communicator(tmp_path: Path, number: signal.Signals):
    daemon = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DAEMON,
        tmp_path / "pid",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_ctrl_c,
    )
    assert daemon.stdout is not None
    server = int(await daemon.stdout.readline())
    child = await noted(tmp_path / "pid")
    daemon.send_signal(number)
    await asyncio.gather(gone(server), gone(child), daemon.wait())


@pytest.mark.long
async def test_the_server_starts_before_it_is_needed(workers: WorkerPool):
    killed = await workers.run(os.getppid)
    os.kill(killed, signal.SIGKILL)
    await gone(killed)
    workers.warm_up()
    await asyncio.to_thread(pool._STARTER.submit(list).result)
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    assert await workers.run(os.getppid) == server != killed
