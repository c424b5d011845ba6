"""What happens to jobs on a real cluster, and what is concluded of them."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mqi_communicator.case.faults import ActionRequired, Unreachable
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.direct import DirectScheduler
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.scheduler import Cause, JobState
from mqi_communicator.compute.slurm import SlurmScheduler
from mqi_communicator.compute.slurm_options import SlurmOptions
from mqi_communicator.remote.local import LocalHost
from mqi_communicator.remote.options import LocalOptions
from mqi_communicator.remote.workspace import workspace
from tests.contract.test_scheduler_contract import SECONDS, Bench, another_case, job, token  # noqa: F401 - a fixture
from tests.slurm.cluster import Cluster

QUICK = {"query_s": 1, "look_s": 0.2, "files_late_s": 1, "kill_grace_s": 1}


@pytest.fixture
async def bench(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Bench]:
    root, host = tmp_path / "work", LocalHost(LocalOptions())
    assert (await host.request(workspace(str(root)), deadline=SECONDS)).exit_code == 0
    made = Bench(scheduler(root), host, root)
    made.send("common/x", b"input")
    yield made
    cluster.resume_controller()
    cluster.ask("scancel", "--state=RUNNING")
    cluster.ask("scancel", "--state=PENDING")
    await host.close()


def scheduler(root: Path, **options: object) -> SlurmScheduler:
    made = SlurmScheduler(str(root), SlurmOptions.model_validate({"gres": "gpu:1", **QUICK, **options}))
    made.skew_s = 1.0
    return made


async def test_a_job_gets_the_gpus_that_it_asked_for(bench: Bench):
    bench.scheduler = scheduler(bench.root, gres="gpu:2")
    number = await bench.submit(job("echo $CUDA_VISIBLE_DEVICES"))
    assert number.isdigit()
    assert (await bench.ended(token())).log_tail.splitlines()[-1] == "0,1"


async def test_more_jobs_than_gpus_wait_in_the_queue_and_say_so(bench: Bench):
    for beam in range(1, 7):
        await bench.submit(job("sleep 20", beam=beam))
    tokens = [token(beam=beam) for beam in range(1, 7)]
    for _ in range(100):
        seen = await bench.poll(*tokens)
        states = [status.state for status in seen.values()]
        waiting = [status for status in seen.values() if status.state is JobState.QUEUED]
        if states.count(JobState.RUNNING) == 4 and any(status.queued_because for status in waiting):
            break
        await asyncio.sleep(0.2)
    assert sorted(states) == [JobState.QUEUED] * 2 + [JobState.RUNNING] * 4
    assert {status.stuck for status in waiting} == {False}


async def test_a_job_that_can_never_begin_needs_somebody(bench: Bench):
    bench.scheduler = scheduler(bench.root, partition="short", time_s=3600)
    await bench.submit(job("true"))
    for _ in range(100):
        status = (await bench.poll(token()))[token()]
        if status.stuck:
            break
        await asyncio.sleep(0.2)
    assert (status.state, status.stuck) == (JobState.QUEUED, True), status
    assert "slurm.time_s" in status.queued_because


@pytest.mark.parametrize("options", [{"partition": "nowhere"}, {"gres": "gpu:9"}, {"gres": "tpu:1"}])
async def test_what_slurm_refuses_is_told_in_its_own_words(bench: Bench, options: dict[str, object]):
    bench.scheduler = scheduler(bench.root, **options)
    with pytest.raises(ActionRequired, match=r"Slurm refuses the job: sbatch: error"):
        await bench.submit(job("true"))
    assert (await bench.poll(token()))[token()].state is JobState.ABSENT
    bench.scheduler = scheduler(bench.root)
    await bench.submit(job("exit 4"))
    assert (await bench.ended(token())).exit_code == 4


async def test_a_submission_that_was_accepted_though_it_failed_is_adopted(
    bench: Bench, cluster: Cluster, tmp_path: Path
):
    mark = tmp_path / "count"
    cluster.pause_controller()
    with pytest.raises(Unreachable, match="does not answer"):
        await bench.submit(job(f"echo >> {mark}; sleep 3"))
    with pytest.raises(Unreachable):  # nor can it be looked for
        await bench.submit(job(f"echo >> {mark}; sleep 3"))
    cluster.resume_controller()
    await asyncio.sleep(1)
    assert (await bench.submit(job(f"echo >> {mark}; sleep 3"))).isdigit()
    assert (await bench.ended(token())).exit_code == 0
    await asyncio.sleep(1)
    assert mark.read_text() == "\n"


async def test_a_controller_that_is_down_makes_nothing_end(bench: Bench, cluster: Cluster):
    await bench.submit(job("sleep 25; exit 5"))
    await bench.until(token(), JobState.RUNNING)
    cluster.stop_controller()
    try:
        await asyncio.sleep(1.2)
        status = (await bench.poll(token()))[token()]
        assert status.state is JobState.UNKNOWN
        assert "Slurm does not answer" in status.raw
        status = await bench.ended(token())  # by its own word, on the shared file system
        assert status.exit_code == 5
    finally:
        cluster.start_controller()
    for _ in range(100):
        if cluster.ask("sinfo", "-h"):
            break
        await asyncio.sleep(0.1)


async def test_a_job_whose_node_died_is_lost_for_that_cause(bench: Bench, cluster: Cluster):
    await bench.submit(job("sleep 300"))
    await bench.until(token(), JobState.RUNNING)
    node = int(cluster.ask("squeue", "-h", "-n", token(), "-o", "%N").strip().removeprefix("node"))
    cluster.kill_node(node)
    status = await bench.until(token(), JobState.LOST, JobState.ENDED)
    assert (status.state, status.cause) == (JobState.LOST, Cause.NODE), status
    cluster.start_node(node)
    for _ in range(300):
        if cluster.ask("sinfo", "-h", "-N", "-p", "gpu", "-o", "%T").split() == ["idle", "idle"]:
            break
        await asyncio.sleep(0.1)


async def test_a_job_that_somebody_requeued_is_lost_and_does_not_compute_again(
    bench: Bench, cluster: Cluster, tmp_path: Path
):
    mark = tmp_path / "count"
    number = await bench.submit(job(f"trap '' TERM; echo >> {mark}; sleep 60"))
    await bench.until(token(), JobState.RUNNING)
    await asyncio.sleep(2)
    cluster.ask("scontrol", "update", f"jobid={number}", "Requeue=1")
    cluster.ask("scontrol", "requeue", number)
    status = await bench.until(token(), JobState.LOST, JobState.ENDED)
    if status.state is JobState.LOST:
        assert status.cause is Cause.REQUEUED
    cluster.ask("scontrol", "update", f"jobid={number}", "StartTime=now")
    await asyncio.sleep(4)
    assert mark.read_text() == "\n"


async def test_a_job_that_somebody_cancelled_says_so(bench: Bench, cluster: Cluster):
    number = await bench.submit(job("sleep 60"))
    await bench.until(token(), JobState.RUNNING)
    cluster.ask("scancel", number)
    status = await bench.until(token(), JobState.LOST, JobState.ENDED)
    assert status.cause is Cause.CANCELLED


async def test_a_job_that_was_preempted_says_so(bench: Bench, cluster: Cluster):
    bench.scheduler = scheduler(bench.root, gres="gpu:2", options=["--nodelist=node1"])
    await bench.submit(job("sleep 60"))
    await bench.until(token(), JobState.RUNNING)
    cluster.ask(
        "sbatch",
        "-p",
        "rude",
        "--gres=gpu:2",
        "--nodelist=node1",
        "--chdir=/tmp",
        "--output=/dev/null",
        "--wrap=sleep 3",
    )
    status = await bench.until(token(), JobState.LOST, JobState.ENDED)
    assert status.cause is Cause.PREEMPTED


async def test_a_drained_node_lets_its_job_end_and_takes_no_other(bench: Bench, cluster: Cluster):
    bench.scheduler = scheduler(bench.root, options=["--nodelist=node2"])
    await bench.submit(job("sleep 3; exit 0"))
    await bench.until(token(), JobState.RUNNING)
    cluster.ask("scontrol", "update", "nodename=node2", "state=drain", "reason=test")
    try:
        await bench.submit(job("exit 0", beam=2))
        assert (await bench.ended(token())).exit_code == 0
        for _ in range(100):
            status = (await bench.poll(token(beam=2)))[token(beam=2)]
            if status.queued_because:
                break
            await asyncio.sleep(0.2)
        assert (status.state, status.stuck) == (JobState.QUEUED, False)
        assert "drained" in status.queued_because
    finally:
        cluster.ask("scontrol", "update", "nodename=node2", "state=resume")
    assert (await bench.ended(token(beam=2))).exit_code == 0


async def test_another_users_job_of_the_same_name_is_not_touched(bench: Bench, cluster: Cluster):
    if os.getuid() != 0:
        pytest.skip("only root can submit for another user")
    other = cluster.ask("sbatch", "--parsable", "--uid=nobody", "--chdir=/tmp", "--output=/dev/null",
                        f"--job-name={token()}", "--wrap=sleep 20").strip()  # fmt: skip
    assert other.isdigit()
    await bench.submit(job("sleep 20"))
    await bench.until(token(), JobState.RUNNING)
    await bench.cancel(token())
    await bench.ended(token())
    assert cluster.ask("squeue", "-h", "-j", other, "-o", "%T").strip() in ("RUNNING", "PENDING")
    cluster.ask("scancel", other)


def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often squeue was asked."""
    witness, folder = tmp_path / "asked", tmp_path / "bin"
    folder.mkdir()
    for name in ("squeue", "sacct"):
        real = subprocess.run(("which", name), capture_output=True, text=True, check=True).stdout.strip()
        (folder / name).write_text(f'#!/bin/sh\necho {name} >>{witness}\nexec {real} "$@"\n')
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return lambda: witness.read_text().splitlines().count("squeue")


async def test_however_often_anybody_asks_the_scheduler_is_asked_seldom(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = counted(tmp_path, monkeypatch)
    bench.scheduler = scheduler(bench.root, query_s=30)
    for beam in (1, 2, 3):
        await bench.submit(job("sleep 4; exit 0", beam=beam))
    tokens = [token(beam=beam) for beam in (1, 2, 3)]
    states: set[JobState] = set()
    began, polls = time.monotonic(), 0
    while time.monotonic() - began < SECONDS and states != {JobState.ENDED}:
        states = {status.state for status in (await bench.poll(*tokens)).values()}
        polls += 1
    assert states == {JobState.ENDED}
    assert time.monotonic() - began < 20
    assert polls > 10
    assert asked() == 1


async def test_who_asks_at_the_same_time_shares_one_answer(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = counted(tmp_path, monkeypatch)
    bench.scheduler = scheduler(bench.root, query_s=30)
    await bench.submit(job("sleep 60"))
    seen = await asyncio.gather(*(bench.poll(token()) for _ in range(8)))
    assert asked() == 1
    assert {one[token()].state for one in seen} <= {JobState.QUEUED, JobState.RUNNING}


async def test_a_login_node_is_not_for_computing(bench: Bench, tmp_path: Path):
    direct = DirectScheduler(str(bench.root))
    response = await bench.host.request(
        direct.submit(Job(token(), Work((Program("x", ("true",)),), (), 9))), deadline=90
    )
    with pytest.raises(ActionRequired, match="Slurm jobs are submitted"):
        direct.read_submit(response)
