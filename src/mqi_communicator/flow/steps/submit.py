"""submit: submit one job of one beam to the scheduler, once, when it is its turn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from mqi_communicator.case.faults import ActionRequired, Fault, Permanent, Transient, Unreachable
from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Done, Outcome, Resend, Wait
from mqi_communicator.case.request import GpuInUse, InputGone
from mqi_communicator.compute import gpus
from mqi_communicator.compute.job import GpuHold, Job
from mqi_communicator.compute.scheduler import JobState
from mqi_communicator.dose.engine import GpuDemand, JobRequest
from mqi_communicator.flow.hosts.compute_hosts import ComputeHost
from mqi_communicator.flow.steps.same_job import require_same_job
from mqi_communicator.flow.steps.spent import run_after_spent
from mqi_communicator.flow.tools import Tools
from mqi_communicator.store import cases, jobs, work_items

START_S = 90.0
AGAIN_S = 10.0
MAX_PAUSE_S = 30.0  # between two checks of a beam that waits for its turn
FULL_S = 1800.0  # the same while every slot is in use: the end of a job makes the first that wait due
ENDED = (JobState.ENDED, JobState.LOST, JobState.BARRED)


async def submit(item: WorkItem, tools: Tools) -> Outcome:
    """The scheduler knows the job of `item.token`, which holds a job slot of the host, and GPUs where it needs some.

    A later run starts only after every earlier one has provably ended, or can no longer start.
    """
    own = await tools.database.read(work_items.get, item.case)
    if own.step in jobs.BEFORE_THE_BEAMS:
        return Wait(60.0, "waiting for the case's input to be uploaded again", parked=True)
    if later := await run_after_spent(item, tools):
        return later
    host = await tools.host_of(item.case)
    if item.run > 1 and (wait := await _wait_for_earlier_runs(item, tools, host)):
        return wait
    await require_same_job(item.case, tools)
    demand = _demand(await tools.database.read(cases.get, item.case))
    if demand is not None and host.gpus is None and host.scheduler.name == "direct":
        raise ActionRequired(
            f"the dose engine needs a GPU, and no GPUs are configured for {host.name}",
            "add gpus: {} to the host and restart the communicator",
        )
    if demand is not None and host.gpus is not None:
        await host.poller.ensure_polled()
    row = await tools.database.write(jobs.claim, _wanted_job(item, host, tools), _capacity(host, demand))
    if isinstance(row, jobs.Refusal):
        await host.poller.ensure_polled()
        return Wait(recheck_in(row, host), await _waiting_for(row, host, demand, tools))
    return await _start(item, tools, host, row, demand)


def recheck_in(refused: jobs.Refusal, host: ComputeHost) -> float:
    """Seconds until the next check. A beam further back in the queue is checked less often."""
    if 0 < host.slots <= refused.in_use:
        return FULL_S
    return min(MAX_PAUSE_S, host.scheduler.tick_s * (1 + refused.ahead // max(host.slots, 1)))


def _wanted_job(item: WorkItem, host: ComputeHost, tools: Tools) -> jobs.JobRow:
    return jobs.JobRow(
        token=item.token,
        case=item.case,
        beam=item.beam,
        run=item.run,
        host=host.name,
        state=jobs.WANTED,
        active=False,
        claimed=tools.clock(),
    )


def _demand(case: cases.Case) -> GpuDemand | None:
    return GpuDemand(**json.loads(case.demand)) if case.demand else None


def _capacity(host: ComputeHost, demand: GpuDemand | None) -> jobs.HostCapacity:
    if demand is None or host.gpus is None:
        return jobs.HostCapacity(host.slots)
    free = gpus.fit(host.poller.gpus, host.gpus, demand.mib)
    return jobs.HostCapacity(host.slots, free, demand.most, demand.least)


async def _waiting_for(refused: jobs.Refusal, host: ComputeHost, demand: GpuDemand | None, tools: Tools) -> str:
    """What the beam waits for, in one line."""
    why = f"waiting for its turn on {host.name}"
    if refused.in_use >= host.slots:
        why = f"waiting for a free job slot on {host.name}: {refused.in_use} of {host.slots} in use (resources.jobs)"
    elif demand is not None and host.gpus is not None and (refused.gpus or 0) < demand.least:
        leases = await _leases(host, tools)
        states = gpus.describe(host.poller.gpus, host.gpus, demand.mib, leases)
        why = f"waiting for a free GPU on {host.name}: " + ("; ".join(states) or "it has none")
    if not refused.ahead:
        return why
    ahead = "1 beam is" if refused.ahead == 1 else f"{refused.ahead} beams are"
    return f"{why}; {ahead} ahead (by priority, then by arrival)"


async def _leases(host: ComputeHost, tools: Tools) -> Mapping[str, str]:
    active = await tools.database.read(jobs.active, host.name)
    return {name: f"beam {job.beam} of case {job.case}" for job in active for name in job.gpus.split(",") if name}


async def _start(
    item: WorkItem, tools: Tools, host: ComputeHost, row: jobs.JobRow, demand: GpuDemand | None
) -> Outcome:
    names = tuple(name for name in row.gpus.split(",") if name)
    hold = None
    if names and demand is not None and host.gpus is not None:
        check = not host.gpus.listed
        hold = GpuHold(names, check, demand.mib, host.gpus.foreign_mib)
    gpu_count = len(names) if host.scheduler.name == "direct" else (demand.most if demand is not None else 0)
    job = Job(item.token, tools.engine.job(JobRequest(item.beam, gpu_count)).work(), hold)
    try:
        number = host.scheduler.read_submit(await host.guarded.request(host.scheduler.submit(job), deadline=START_S))
    except Unreachable:
        raise  # it may have been submitted: keep the slot
    except InputGone as gone:
        await _release_slot(item, tools, host)
        return Resend(gone.reason)
    except GpuInUse as taken:
        await _release_slot(item, tools, host)
        return Wait(AGAIN_S, f"waiting for a GPU on {host.name}: {taken.reason}")
    except Transient:
        raise
    except Permanent:  # the next beam gets the slot; after any other fault the same would befall it at once
        await _release_slot(item, tools, host)
        await tools.database.write(jobs.wake_queue, host.name, host.slots, tools.clock(), but=item.token)
        raise
    except Fault:
        await _release_slot(item, tools, host)
        raise
    await tools.database.write(jobs.change, item.token, state=JobState.QUEUED.value, scheduler_id=number)
    return Done({"token": item.token, "host": host.name, "gpus": len(names)})


async def _release_slot(item: WorkItem, tools: Tools, host: ComputeHost) -> None:
    """Release the slot after a refusal, if the job provably never started."""
    seen = await host.poller.poll(item.token)
    if seen[item.token].state is JobState.ABSENT:
        await tools.database.write(jobs.change, item.token, state=jobs.WANTED, active=False, gpus="")


async def _wait_for_earlier_runs(item: WorkItem, tools: Tools, host: ComputeHost) -> Wait | None:
    for run in range(1, item.run):
        token = replace(item, run=run).token
        row = await tools.database.read(jobs.get, token)
        if row is None or (not row.active and (row.state in ENDED or row.state == jobs.WANTED)):
            continue
        state = (await host.poller.poll(token))[token].state
        if state is JobState.ABSENT:
            host.scheduler.read_cancel(await host.guarded.request(host.scheduler.cancel([token]), deadline=START_S))
            state = (await host.poller.poll(token))[token].state
        if state not in ENDED:
            why = f"run {run} of this beam has not ended yet ({state}); the next run starts after it"
            return Wait(AGAIN_S, f"{why}; if you have checked that it is dead: mqi lost {item.case} {item.beam}")
        await tools.database.write(jobs.change, token, state=state.value, active=False)
        await tools.database.write(jobs.wake_queue, host.name, host.slots, tools.clock())
    return None
