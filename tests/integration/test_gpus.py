"""GPUs of a plain host: one of our jobs on each; none on a GPU used by others or in an unknown state."""
# ruff: noqa: ASYNC240 - a test may look at a small file

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.test_scheduler_contract import SECONDS, Bench, Now, another_case, token  # noqa: F401 - a fixture
from tests.processes import kill
from tests.standin.gpus import FakeGpus

from mqi_communicator.case.request import GpuInUse, RemoteRequest
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.gpus import read_inventory, reason_unusable
from mqi_communicator.compute.job import GpuHold, Job
from mqi_communicator.compute.options import DirectOptions, GpuOptions
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.remote.ssh import SshHost
from mqi_communicator.remote.workspace import workspace

pytestmark = pytest.mark.real


@dataclass
class Gpus(Bench):
    gpus: FakeGpus

    async def begin(self, *numbers: int, command: str = "sleep 60", beam: int = 1, need: int = 1000) -> None:
        hold = GpuHold(tuple(self.gpus.uuid(n) for n in numbers), need_mib=need, foreign_mib=500)
        work = Work((Program("engine", ("sh", "-c", command)),), (), 60)
        await self.submit_job(Job(token(beam=beam), work, hold))

    async def submit_job(self, job: Job) -> None:
        self.scheduler.read_submit(await self.host.request(self.scheduler.submit(job), deadline=SECONDS))

    def leases(self) -> list[str]:
        return sorted(path.name for path in (self.root / "leases").iterdir() if not path.name.startswith("."))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Gpus]:
    fake = FakeGpus(tmp_path, jobs_mib=700)
    root = tmp_path / "work"
    with PrivateHost(tmp_path / "host", environment=fake.environment) as private:
        host = SshHost(private.options())
        await host.request(workspace(str(root)), deadline=SECONDS)
        made = Gpus(DirectScheduler(str(root), DirectOptions(kill_grace_s=1), gpus=True), host, root, fake)
        made.send("common/x", b"input")
        yield made
        await made.cancel(*(token(beam=beam) for beam in range(1, 5)))
        await host.close()


async def test_a_job_sees_its_gpus_and_no_others(bench: Gpus):
    await bench.begin(2, 0, command="echo $CUDA_VISIBLE_DEVICES")
    assert bench.gpus.uuid(2) + "," + bench.gpus.uuid(0) in (await bench.ended(token())).log_tail
    assert bench.leases() == []


async def test_a_gpu_is_leased_to_one_job_and_free_again_after_it(bench: Gpus):
    await bench.begin(0, 1)
    bench.gpus.state["jobs"] = 0  # so that the lease alone speaks
    bench.gpus.save()
    with pytest.raises(GpuInUse, match="leased"):
        await bench.begin(1, beam=2)
    assert (await bench.poll(token(beam=2)))[token(beam=2)].state is JobState.ABSENT
    await bench.begin(2, beam=2)
    assert len(bench.leases()) == 3
    await bench.cancel(token())
    await bench.ended(token())
    await bench.begin(1, beam=3)
    assert bench.leases() == [bench.gpus.uuid(1), bench.gpus.uuid(2)]


async def test_the_lease_of_a_job_that_was_killed_is_nobodys(bench: Gpus):
    await bench.begin(0)
    record = (bench.root / "gates" / token() / "started").read_text().split(",")
    kill([int(record[1]), *(int(p.name) for p in Path("/proc").glob("[0-9]*") if marked(p))])
    assert bench.leases() == [bench.gpus.uuid(0)]
    assert (await bench.ended(token())).state is JobState.LOST
    await bench.begin(0, beam=2)
    assert (await bench.poll(token(beam=2)))[token(beam=2)].state is JobState.RUNNING


def marked(folder: Path) -> bool:
    try:
        return f"MQI_TOKEN={Now.case}".encode() in (folder / "environ").read_bytes()
    except OSError:
        return False


async def test_a_lease_lives_as_long_as_anything_of_its_job(bench: Gpus):
    begun = Path(bench.root) / "begun"
    await bench.begin(0, command=f"setsid sleep 60 & : >{begun}; wait")
    async with asyncio.timeout(SECONDS):
        while not begun.exists():  # noqa: ASYNC110 - another process, not an event of ours
            await asyncio.sleep(0.05)
    record = (bench.root / "gates" / token() / "started").read_text().split(",")
    kill([int(record[1])])  # the wrapper; what it started computes on
    bench.gpus.state["jobs"] = 0
    bench.gpus.save()
    with pytest.raises(GpuInUse, match="leased"):
        await bench.begin(0, beam=2)


async def test_many_jobs_at_once_do_not_share_a_gpu(bench: Gpus):
    tries = [bench.begin(0, beam=beam, command="sleep 5") for beam in (1, 2, 3, 4)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(one) for one in outcomes].count(GpuInUse) == 3, outcomes
    assert len(bench.leases()) == 1


@pytest.mark.parametrize("mode", ["nodriver", "lost", "garbage"])
async def test_nothing_begins_on_what_is_unknown(bench: Gpus, mode: str):
    bench.gpus.say(mode)
    with pytest.raises(GpuInUse, match="driver does not answer"):
        await bench.begin(0)
    assert bench.leases() == []
    response = await bench.host.request(bench.scheduler.poll((token(),)), deadline=SECONDS)
    assert read_inventory(response).trouble
    bench.gpus.say("ok")
    await bench.begin(0)


async def test_nothing_begins_beside_somebody_else(bench: Gpus):
    bench.gpus.use(0, 501)
    with pytest.raises(GpuInUse, match="the GPU is used by others"):
        await bench.begin(0)
    bench.gpus.use(0, 499)
    await bench.begin(0)


async def test_nothing_begins_where_memory_is_short(bench: Gpus):
    with pytest.raises(GpuInUse, match="enough free memory"):
        await bench.begin(0, need=8001)
    await bench.begin(0, need=8000)


async def test_a_look_tells_of_the_gpus_and_knows_our_own_jobs(bench: Gpus):
    await bench.begin(1)
    bench.gpus.use(3, 4000, pid=os.getpid())
    await asyncio.sleep(0.3)
    response = await bench.host.request(bench.scheduler.poll((token(),)), deadline=SECONDS)
    found = read_inventory(response)
    assert found.trouble == ""
    assert [gpu.ours_mib for gpu in found.gpus] == [0, 700, 0, 0]
    assert [bool(reason_unusable(gpu, GpuOptions(), 0)) for gpu in found.gpus] == [False, False, False, True]
    assert bench.scheduler.read_poll((token(),), response)[token()].state is JobState.RUNNING
    assert read_inventory(await bench.host.request(RemoteRequest("gpus"), deadline=SECONDS)).gpus[3].foreign == (
        os.getpid(),
    )
