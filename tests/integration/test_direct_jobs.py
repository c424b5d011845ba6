"""Jobs on a plain host over SSH: what they outlive, and what an observer may conclude."""
# ruff: noqa: ASYNC110, ASYNC220, ASYNC240 - a test may wait for a file or a small program

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.processes import kill

from mqi_communicator.case.faults import Permanent, RemoteUnfit
from mqi_communicator.case.request import InputGone
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.options import DirectOptions
from mqi_communicator.compute.scheduler import JobState, JobStatus
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote.ssh import SshHost
from mqi_communicator.remote.workspace import SUMS, sums_text, workspace

pytestmark = pytest.mark.real

CASE = "zzzzyyyy2345"
TOKEN = f"{CASE}-b1-r1"


class Bench:
    """A private host, a workspace on it, a scheduler."""

    def __init__(self, host: SshHost, root: Path) -> None:
        self.host = host
        self.root = root
        self.scheduler = DirectScheduler(str(root), DirectOptions(kill_grace_s=1))
        self.gate = root / "gates" / TOKEN / "started"
        self.run = root / "cases" / CASE / "runs" / TOKEN

    async def submit(self, command: str) -> None:
        job = Job(TOKEN, Work((Program("engine", ("sh", "-c", command)),), (), 60))
        self.scheduler.read_submit(await self.host.request(self.scheduler.submit(job), deadline=90))

    async def poll(self) -> JobStatus:
        response = await self.host.request(self.scheduler.poll((TOKEN,)), deadline=90)
        return self.scheduler.read_poll((TOKEN,), response)[TOKEN]

    async def cancel(self) -> None:
        self.scheduler.read_cancel(await self.host.request(self.scheduler.cancel((TOKEN,)), deadline=90))

    def send(self) -> None:
        """Something to compute from."""
        folder = self.root / "cases" / CASE / "input"
        (folder / "common").mkdir(parents=True)
        (folder / "common" / "x").write_bytes(b"x")
        (folder / SUMS).write_bytes(sums_text({"common/x": hashlib.sha256(b"x").hexdigest()}))

    async def running(self) -> list[int]:
        """Wait until the engine writes its log; the process ids in the record's session, the leader first."""
        while not (self.run / "log").exists() or "up" not in (self.run / "log").read_text():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)  # what the engine starts next
        leader = int(self.record()[1])
        return [leader, *(pid for pid in session(leader) if pid != leader)]

    def record(self) -> list[str]:
        return self.gate.read_text().strip().split(",")

    def rewrite(self, field: int, value: str) -> None:
        record = self.record()
        record[field] = value
        self.gate.write_text(",".join(record) + "\n")


def session(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def has_mark(pid: int) -> bool:
    with suppress(OSError):
        return b"MQI_TOKEN" in Path(f"/proc/{pid}/environ").read_bytes()
    return False


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    with PrivateHost(tmp_path_factory.mktemp("a host")) as host:
        yield host


@pytest.fixture
async def bench(private: PrivateHost, tmp_path: Path) -> AsyncIterator[Bench]:
    host = SshHost(private.options())
    bench = Bench(host, tmp_path / "work")
    await host.request(workspace(str(bench.root)), deadline=90)
    bench.send()
    yield bench
    await bench.cancel()
    await bench.host.close()


async def test_a_job_outlives_its_session_and_its_sshd(bench: Bench, private: PrivateHost):
    await bench.submit("echo up; sleep 2; echo through")
    await bench.running()
    kill(private.descendants())
    private.stop()
    private.start()
    host = SshHost(private.options())
    bench.host, old = host, bench.host
    await old.close()
    assert (await bench.poll()).state is JobState.RUNNING
    while (status := await bench.poll()).state is JobState.RUNNING:
        await asyncio.sleep(0.2)
    assert (status.state, status.exit_code) == (JobState.ENDED, 0)
    assert status.log_tail == "mqi-program engine\nup\nthrough\n"


async def test_a_session_killed_whole_is_lost(bench: Bench):
    await bench.submit("echo up; sleep 60")
    kill(await bench.running())
    status = await bench.poll()
    assert (status.state, status.exit_code, status.log_tail) == (JobState.LOST, None, "mqi-program engine\nup\n")


async def test_an_engine_that_outlives_its_wrapper_is_still_running_and_can_be_cancelled(bench: Bench):
    await bench.submit("echo up; setsid sleep 60")
    leader, *members = await bench.running()
    kill([leader])
    await asyncio.sleep(0.1)
    assert (await bench.poll()).state is JobState.RUNNING
    await bench.cancel()
    assert not [pid for pid in members if alive(pid)]
    assert (await bench.poll()).state is JobState.LOST


async def test_a_member_that_hid_its_mark_keeps_the_job_from_being_lost(bench: Bench):
    await bench.submit("echo up; env -i sleep 61 & sleep 0.2; kill -9 $PPID $(ps -o ppid= -p $PPID); wait")
    leader, *_ = await bench.running()
    while alive(leader):
        await asyncio.sleep(0.05)
    while marked := [pid for pid in session(leader) if alive(pid) and has_mark(pid)]:
        kill(marked)
        await asyncio.sleep(0.1)
    seen = (await bench.poll()).state  # while nobody reaps the leader its session is still proved to be the job's
    assert seen in (JobState.UNKNOWN, JobState.RUNNING)
    kill(session(leader))
    assert (await bench.poll()).state is JobState.LOST


async def test_another_boot_is_a_lost_job_and_an_exit_file_is_still_believed(bench: Bench):
    await bench.submit("echo up; sleep 60")
    pids = await bench.running()
    bench.rewrite(3, "00000000-0000-0000-0000-000000000000")
    assert (await bench.poll()).state is JobState.LOST
    (bench.run / "exit").write_text("0,1700000000\n")
    status = await bench.poll()
    assert (status.state, status.exit_code, status.ended) == (JobState.ENDED, 0, 1.7e9)
    kill(pids)


async def test_another_machine_of_the_same_workspace_is_unknown(bench: Bench):
    await bench.submit("echo up; sleep 60")
    pids = await bench.running()
    bench.rewrite(4, "node-2")
    assert (await bench.poll()).state is JobState.UNKNOWN
    kill(pids)


@pytest.mark.parametrize("field", ["start", "boot"])
async def test_a_stranger_with_a_used_pid_is_never_killed(bench: Bench, field: str):
    stranger = subprocess.Popen(("sleep", "60"), start_new_session=True)
    try:
        await bench.submit("true")
        while (await bench.poll()).state is not JobState.ENDED:
            await asyncio.sleep(0.1)
        (bench.run / "exit").unlink()
        bench.rewrite(1, str(stranger.pid))
        if field == "boot":
            real = Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()[19]
            bench.rewrite(2, real)
            bench.rewrite(3, "00000000-0000-0000-0000-000000000000")
        assert (await bench.poll()).state is JobState.LOST
        await bench.cancel()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    "text", ["", "0\n", "zero,1\n", "0,1 job alive\n", "0,1,2\n", "9999,1\n", "\n0,1\n", "$(x),1\n"]
)
async def test_an_exit_file_that_cannot_be_read_is_unknown(bench: Bench, text: str):
    await bench.submit("exit 0")
    while (await bench.poll()).state is not JobState.ENDED:
        await asyncio.sleep(0.1)
    (bench.run / "exit").write_text(text)
    assert (await bench.poll()).state is JobState.UNKNOWN


async def test_a_submit_needs_its_workspace_and_its_input(bench: Bench):
    shutil.rmtree(bench.root / "cases" / CASE)
    with pytest.raises(InputGone, match="input is no longer"):
        await bench.submit("true")
    bench.run.mkdir(parents=True)
    bench.send()
    with pytest.raises(Permanent, match="its gate does not"):
        await bench.submit("true")
    assert (await bench.poll()).state is JobState.UNKNOWN
    bench.root.rename(bench.root.with_name("away"))
    with pytest.raises(RemoteUnfit, match="workspace"):
        await bench.submit("true")
    bench.root.with_name("away").rename(bench.root)


async def test_a_full_cancel_has_an_end(bench: Bench):
    await bench.submit("trap '' TERM; echo up; while :; do sleep 1; done")
    pids = await bench.running()
    began = time.monotonic()
    await bench.cancel()
    assert time.monotonic() - began < 8
    assert not [pid for pid in pids if alive(pid)]


async def test_thirty_jobs_are_looked_at_in_well_under_a_second(bench: Bench):
    tokens = [f"{CASE}-b{beam}-r1" for beam in range(1, 31)]
    await bench.submit("echo up; exit 0")
    await bench.host.request(bench.scheduler.poll(tokens), deadline=90)
    began = time.monotonic()
    await bench.host.request(bench.scheduler.poll(tokens), deadline=90)
    assert time.monotonic() - began < 2  # measured: 0.05 s


async def test_a_clock_that_jumps_ends_no_job(tmp_path: Path):
    programs, offset = tmp_path / "programs", tmp_path / "offset"
    programs.mkdir()
    offset.write_text("0")
    (programs / "date").write_text(f'#!/bin/sh\nexec /bin/date -d "@$(($(/bin/date +%s) + $(cat {offset})))" "$@"\n')
    (programs / "date").chmod(0o755)
    with PrivateHost(tmp_path / "host", environment={"PATH": f"{programs}:{os.environ['PATH']}"}) as private:
        bench = Bench(SshHost(private.options()), tmp_path / "work")
        await bench.host.request(workspace(str(bench.root)), deadline=30)
        bench.send()
        jump = Program("jump", ("sh", "-c", f"echo 3600 >{offset}"))
        job = Job(TOKEN, Work((jump, Program("engine", ("echo", "computed"))), (), 60))
        bench.scheduler.read_submit(await bench.host.request(bench.scheduler.submit(job), deadline=30))
        while (status := await bench.poll()).state is JobState.RUNNING:
            await asyncio.sleep(0.2)
        await bench.host.close()
    assert (status.state, status.exit_code) == (JobState.ENDED, 0)
    assert "computed" in status.log_tail
